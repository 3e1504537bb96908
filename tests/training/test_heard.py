"""How much of keys and values says what the image model was told."""

from __future__ import annotations

import torch

from melfusion_core.training import heard
from melfusion_core.training.presets import build_image_unet, image_scheduler, told_unet


def shares(scale: float) -> list[tuple[float, float]]:
    torch.manual_seed(0)
    unet = told_unet(build_image_unet("tiny"), 2).eval()
    with torch.no_grad():
        unet.class_embedding.weight.mul_(scale)
    side = heard.picture_size(unet)
    return heard.heard_shares(unet, image_scheduler("sample"), torch.rand(4, 3, side, side) * 2 - 1)


def test_louder_is_heard_better_and_silence_not_at_all(fake_text):
    silent, quiet, loud = (shares(scale) for scale in (0.0, 0.1, 1.0))
    assert all(share == 0 for pair in silent for share in pair)
    for before, after in zip(quiet, loud, strict=True):
        assert all(0 <= low < high <= 1 for low, high in zip(before, after, strict=True))
