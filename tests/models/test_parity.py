"""The paper's synapse in a whole UNet of Tango's layout, against its equation written out, and what a call leaves."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from melfusion_core.models.features import capture_image_features, decoder_attention_names
from melfusion_core.models.null_caption import NullCaption
from melfusion_core.models.synapse import VisualSynapse, install_synapse
from tests.full_size import public_folders

TEXT = 7


class WrittenOut:
    """``K = a K_I + (1 - a) K_M``, ``V = a V_I + (1 - a) V_M``, ``O = softmax(Q K^T / sqrt(d)) V``, head by head."""

    def __init__(self, alpha: float, image_key: torch.Tensor, image_value: torch.Tensor) -> None:
        self.alpha, self.image_key, self.image_value = alpha, image_key, image_value

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        query = attn.to_q(hidden_states)
        key = self.alpha * self.image_key + (1 - self.alpha) * attn.to_k(encoder_hidden_states)
        value = self.alpha * self.image_value + (1 - self.alpha) * attn.to_v(encoder_hidden_states)
        width = query.shape[-1] // attn.heads
        outputs = []
        for head in range(attn.heads):
            part = slice(head * width, (head + 1) * width)
            scores = query[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(width)
            outputs.append(scores.softmax(dim=-1) @ value[..., part])
        return attn.to_out[0](torch.cat(outputs, dim=-1))


@pytest.fixture(scope="module")
def music_unet() -> UNet2DConditionModel:
    return public_folders.tango_unet().eval().requires_grad_(False)


def test_the_synapse_is_the_papers_equation_in_every_decoder_layer(music_unet):
    generator = torch.Generator().manual_seed(0)
    names = decoder_attention_names(music_unet, "attn2")
    layers = [music_unet.get_submodule(name.removesuffix(".processor")) for name in names]
    dims, heads = [layer.inner_dim for layer in layers], [layer.heads for layer in layers]
    synapse = VisualSynapse(9, dims, dims, heads, "interpolate", project=False).eval()
    alphas = torch.rand(9, generator=generator)
    with torch.no_grad():
        synapse.gate_logits.copy_(alphas.logit())
    pictures = [tuple(torch.randn(2, TEXT, dim, generator=generator) for _ in range(2)) for dim in dims]
    sample, text = torch.randn(2, 8, 16, 8, generator=generator), torch.randn(2, TEXT, 16, generator=generator)
    original = music_unet.attn_processors
    handle = install_synapse(music_unet, synapse)
    with torch.no_grad(), handle.using(pictures, 1.0):
        ours = music_unet(sample, 300, text).sample
    handle.remove()
    written = {
        name: WrittenOut(float(alpha), *picture) for name, alpha, picture in zip(names, alphas, pictures, strict=True)
    }
    music_unet.set_attn_processor({**original, **written})
    with torch.no_grad():
        theirs = music_unet(sample, 300, text).sample
    music_unet.set_attn_processor(dict(original))
    with torch.no_grad():
        plain = music_unet(sample, 300, text).sample
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert (ours - plain).abs().max() > 1e-3


def test_the_frozen_networks_are_the_same_after_every_call(music_unet):
    torch.manual_seed(0)
    image_unet = UNet2DConditionModel(
        **public_folders.SD_BLOCKS, sample_size=8, in_channels=4, out_channels=4, cross_attention_dim=12,
        attention_head_dim=2,
    ).eval()  # fmt: skip
    networks = (image_unet, music_unet)
    weights = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    processors = [dict(network.attn_processors) for network in networks]
    null = NullCaption(tokens=5, dim=12).condition()
    latents = torch.randn(1, 4, 8, 8)
    scheduler = DDIMScheduler(beta_schedule="scaled_linear")
    plain = image_unet(latents, 10, null.states).sample
    for _ in range(2):
        features = capture_image_features(image_unet, scheduler, latents, null, (1, 501), 2)
        assert len(features.shapes) == 9
        synapse = VisualSynapse(9, [16] * 6 + [8] * 3, [16] * 6 + [8] * 3, [2] * 9, "interpolate", project=False)
        handle = install_synapse(music_unet, synapse)
        with torch.no_grad(), handle.using(features.to(dtype=torch.float32).at(1), 1.0):
            music_unet(torch.randn(1, 8, 16, 8), 1, torch.randn(1, TEXT, 16))
        handle.remove()
        for network, before, installed in zip(networks, weights, processors, strict=True):
            assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
            assert all(network.attn_processors[name] is one for name, one in installed.items())
        assert torch.equal(image_unet(latents, 10, null.states).sample, plain)
