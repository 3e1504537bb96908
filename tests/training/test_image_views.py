"""Random views of training pictures."""

from __future__ import annotations

import torch

from melfusion_core.training.picture_views import random_views, recolour


def test_whole_pictures_are_only_mirrored():
    pixels = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    views = random_views(pixels, 8, 1.0, torch.Generator().manual_seed(1))
    same = torch.tensor([torch.allclose(a, b, atol=1e-5) for a, b in zip(views, pixels, strict=True)])
    turned = torch.tensor([torch.allclose(a, b.flip(-1), atol=1e-5) for a, b in zip(views, pixels, strict=True)])
    assert bool((same | turned).all()) and bool(same.any()) and bool(turned.any())


def test_crops_stay_inside_the_picture():
    ramp = torch.linspace(0, 1, 32).expand(64, 3, 32, 32)
    views = random_views(ramp, 16, 0.5, torch.Generator().manual_seed(0))
    assert views.shape == (64, 3, 16, 16)
    width = (views[..., 0, -1] - views[..., 0, 0]).abs().amax(dim=1)  # of the crop, less one pixel
    assert float(width.min()) > 0.4 and float(width.max()) < 1.0
    assert float(width.std()) > 0.05


def test_other_colours_keep_the_picture_and_differ_each_time():
    pixels = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    views = recolour(pixels, torch.Generator().manual_seed(1))
    assert views.shape == pixels.shape and float(views.abs().max()) <= 1.0
    again = recolour(pixels[:1].expand(6, -1, -1, -1), torch.Generator().manual_seed(2))
    assert float((again[0] - again[1]).abs().mean()) > 0.02
    for before, after in zip(pixels.mean(1), views.mean(1), strict=True):
        assert float(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1]) > 0.8
