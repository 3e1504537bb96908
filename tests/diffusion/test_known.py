"""Known parts of latents: told to the UNet with a mask, and copied into the result exactly."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers import UNet2DConditionModel

from melfusion_core.diffusion.guidance import MusicCondition
from melfusion_core.diffusion.sampling import make_scheduler, sample_latents
from melfusion_core.engines.base import Known
from melfusion_core.models.text import TextCondition
from melfusion_core.take import TakeSettings
from tests.conftest import music_scheduler

CHANNELS, TIME, HEIGHT, WIDTH = 3, 8, 4, 16


class Telling:
    """Tells the UNet what is known: its values and its mask."""

    @staticmethod
    def model_input(latents, channels, start=0, known=None, alpha_cumprod=1.0):
        if known is None:
            told = torch.zeros_like(latents).repeat(1, 2, 1, 1)
        else:
            told = torch.cat([torch.where(known.mask, known.values, 0.0), known.mask.to(latents.dtype)], dim=1)
        return torch.cat([latents, told], dim=1)

    @staticmethod
    def model_output(output, latents, alpha_cumprod):
        return output


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=3 * CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    ).eval()


def condition(count: int) -> MusicCondition:
    def text(seed: int) -> TextCondition:
        states = torch.randn(count, 2, WIDTH, generator=torch.Generator().manual_seed(seed))
        return TextCondition(states, torch.ones(count, 2, dtype=torch.bool), states[:, 0])

    return MusicCondition(text(1), text(2), False, None, TakeSettings(guidance_scale=2.0))


@torch.no_grad()
def compose(unet: UNet2DConditionModel, known: Known | None) -> list:
    noise = torch.randn(2, CHANNELS, TIME, HEIGHT, generator=torch.Generator().manual_seed(3))
    scheduler = make_scheduler(music_scheduler(), "dpm++", 3)
    return list(sample_latents(Telling, unet, None, [condition(2)], scheduler, noise, known))


def test_what_is_known_comes_back_exactly_and_changes_the_rest(unet):
    mask = torch.zeros(2, CHANNELS, TIME, HEIGHT, dtype=torch.bool)
    mask[:, :, :4] = True
    values = torch.randn(mask.shape, generator=torch.Generator().manual_seed(4))
    steps, free = compose(unet, Known(values, mask)), compose(unet, None)
    for result in (steps[-1].latents, *(step.clean_latents for step in steps)):
        assert torch.equal(result[mask], values[mask])
    assert not torch.equal(steps[-1].latents[~mask], free[-1].latents[~mask])
    other = compose(unet, Known(values + 1.0, mask))
    assert not torch.equal(steps[-1].latents[~mask], other[-1].latents[~mask])


def test_nothing_known_is_told_too(unet):
    mask = torch.zeros(2, CHANNELS, TIME, HEIGHT, dtype=torch.bool)
    nothing = compose(unet, Known(torch.ones(mask.shape), mask))[-1].latents
    assert torch.equal(nothing, compose(unet, None)[-1].latents)


def test_known_parts_are_picked_and_checked():
    known = Known(torch.arange(4.0).view(4, 1, 1, 1), torch.tensor([True, False, True, False]).view(4, 1, 1, 1))
    picked = known.index([2, 2, 1])
    assert picked.values.flatten().tolist() == [2.0, 2.0, 1.0]
    assert picked.paste(torch.full((3, 1, 1, 1), 9.0)).flatten().tolist() == [2.0, 2.0, 9.0]
    with pytest.raises(ValueError, match="same shape"):
        Known(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="bools"):
        dataclasses.replace(known, mask=known.mask.float())
