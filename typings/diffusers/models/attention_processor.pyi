from torch import nn

class Attention(nn.Module):
    """As the attention layers are whose processors are replaced: they have keys, values and an output."""

    heads: int
    inner_dim: int
    to_q: nn.Module
    to_k: nn.Module
    to_v: nn.Module
    to_out: nn.ModuleList
