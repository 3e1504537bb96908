"""Cropped views of pictures whose features are stored: windows of their token grids.

A picture seen whole again and again is learned by heart. A window of its grid says about what a crop of the picture
would (though its tokens have seen the rest through the image model), without another inversion.
"""

from __future__ import annotations

import math

import torch

from melfusion_core.models.features import KeyValue


def crop_features(features: list[KeyValue], side: float, places: torch.Tensor) -> list[KeyValue]:
    """Keep one window of each picture's token grid, at the same place in all layers.

    Args:
        features: For each layer `(key, value)` of shape `(batch, tokens, dim)`; tokens form a square grid.
        side: Width and height of the window relative to the grid, in (0, 1]; 1 keeps all.
        places: Where each window lies between left and right, and between top and bottom, in [0, 1], of shape
            `(2, batch)`.

    Returns:
        For each layer `(key, value)` of shape `(batch, kept, dim)`, kept the same number for all pictures.

    Raises:
        ValueError: When side lies outside its range or a layer's tokens are no square grid.
    """
    if not 0 < side <= 1:
        raise ValueError(f"side must be above 0 and at most 1, got {side}")
    if side == 1:
        return features
    return [(_crop(key, side, places), _crop(value, side, places)) for key, value in features]


def _crop(tokens: torch.Tensor, side: float, places: torch.Tensor) -> torch.Tensor:
    batch, count, dim = tokens.shape
    grid = math.isqrt(count)
    if grid * grid != count:
        raise ValueError(f"{count} tokens are no square grid")
    kept = max(1, round(side * grid))
    starts = (places * (grid - kept)).round().long().tolist()
    windows = [
        picture.view(grid, grid, dim)[top : top + kept, left : left + kept]
        for picture, left, top in zip(tokens, *starts, strict=True)
    ]
    return torch.stack(windows).view(batch, kept * kept, dim)
