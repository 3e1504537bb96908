"""Other views of pictures: crops, mirror images, other colours."""

from __future__ import annotations

import torch
from torch.nn import functional

LIGHT, SATURATION, CAST = 0.25, 0.35, 0.12
"""Deviations of the factors of light and of the distance from grey, and of what is added to each colour."""


def random_views(pixels: torch.Tensor, size: int, smallest: float, generator: torch.Generator) -> torch.Tensor:
    """Random square crops, half of them mirrored, resized to one size.

    Args:
        pixels: Pictures of shape ``(batch, 3, height, width)``.
        size: Side of the result in pixels.
        smallest: Side of the smallest crop relative to the picture's, in (0, 1].
        generator: CPU generator.

    Returns:
        Pictures of shape ``(batch, 3, size, size)``.
    """
    count = len(pixels)
    scale = smallest + (1 - smallest) * torch.rand(count, generator=generator)
    shift = (1 - scale).unsqueeze(1) * (2 * torch.rand(count, 2, generator=generator) - 1)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0], transform[:, 1, 1], transform[:, :, 2] = scale * mirror, scale, shift
    grid = functional.affine_grid(transform, [count, 3, size, size], align_corners=False)
    return functional.grid_sample(pixels, grid.to(pixels), mode="bilinear", padding_mode="border", align_corners=False)


def recolour(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Other light, saturation and cast, drawn for each picture.

    Args:
        pixels: Pictures of shape ``(batch, 3, height, width)`` in [-1, 1].
        generator: CPU generator.

    Returns:
        Same shape.
    """
    count = len(pixels)
    light = 1.0 + LIGHT * torch.randn(count, 1, 1, 1, generator=generator)
    saturation = (1.0 + SATURATION * torch.randn(count, 1, 1, 1, generator=generator)).clamp(0.0, 2.0)
    cast = CAST * torch.randn(count, 3, 1, 1, generator=generator)
    grey = pixels.mean(dim=1, keepdim=True)
    return ((grey + (pixels - grey) * saturation) * light + cast).clamp(-1.0, 1.0)
