from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from melfusion_core.diffusion.guidance import MusicCondition, branch_weights, rescale_guidance
from melfusion_core.diffusion.sampling import denoise, make_scheduler
from melfusion_core.diffusion.timesteps import shifted_timesteps
from melfusion_core.models.inversion import predict_clean
from melfusion_core.models.synapse import ImageFeatures
from melfusion_core.models.text import TextCondition
from melfusion_core.take import TakeSettings


def condition(guidance: float, image_guidance: float, image: bool = True, same_text: bool = False) -> MusicCondition:
    text = TextCondition(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 3))
    features = ImageFeatures((0,), (((torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)),),)) if image else None
    settings = TakeSettings(guidance_scale=guidance, image_guidance_scale=image_guidance)
    return MusicCondition(text, text, same_text, features, settings)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ((4.0, 2.0), {"null": -3.0, "text": 2.0, "image": 2.0}),
        ((4.0, 4.0), {"null": -3.0, "image": 4.0}),
        ((1.0, 1.0), {"image": 1.0}),
        ((1.0, 3.0), {"text": -2.0, "image": 3.0}),
        ((4.0, 0.0), {"null": -3.0, "text": 4.0}),
        ((4.0, 2.0, False), {"null": -3.0, "text": 4.0}),
        ((1.0, 2.0, False), {"text": 1.0}),
        ((4.0, 2.0, True, True), {"text": -1.0, "image": 2.0}),
        ((4.0, 2.0, False, True), {"text": 1.0}),
    ],
)
def test_only_needed_branches_run_and_their_weights_are_those_of_the_formula(settings, expected):
    weights = branch_weights(condition(*settings))
    assert weights == expected and sum(weights.values()) == 1.0


def test_weights_against_the_formula():
    null, text, image = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    weights = branch_weights(condition(3.5, 1.5))
    actual = weights["null"] * null + weights["text"] * text + weights["image"] * image
    torch.testing.assert_close(actual, null + 3.5 * (text - null) + 1.5 * (image - text))


def test_rescaling():
    guided, conditional = torch.randn(2, 3, 4, 5) * 7, torch.randn(2, 3, 4, 5)
    full = rescale_guidance(guided, conditional, 1.0)
    torch.testing.assert_close(full.std(dim=(1, 2, 3)), conditional.std(dim=(1, 2, 3)))
    torch.testing.assert_close(rescale_guidance(guided, conditional, 0.0), guided)


def zero_terminal_snr() -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


@pytest.mark.parametrize(
    "sampler, shift, tolerance",
    [("dpm++", 1.0, 0.01), ("ddim", 1.0, 0.05), ("dpm++", 4.0, 0.06), ("ddim", 4.0, 0.12)],
)
def test_samplers_reach_gaussian_data(sampler, shift, tolerance):
    """With the exact v of data N(mean, spread^2), noise of unit variance must become exactly that distribution."""
    mean, spread = 0.7, 0.4
    scheduler = make_scheduler(zero_terminal_snr(), sampler, 40, shift)

    def model(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        alpha = float(scheduler.alphas_cumprod[int(timestep)])
        variance = alpha * spread**2 + 1 - alpha
        clean = mean + alpha**0.5 * spread**2 * (latents - alpha**0.5 * mean) / variance
        noise = (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5
        return alpha**0.5 * noise - (1 - alpha) ** 0.5 * clean

    noise = torch.linspace(-2, 2, 9).view(1, 1, 9, 1)
    steps = list(denoise(model, scheduler, noise))
    assert len(steps) == 40 and steps[0].timestep == 999
    assert all(torch.isfinite(step.latents).all() and torch.isfinite(step.clean_latents).all() for step in steps)
    torch.testing.assert_close(steps[0].clean_latents, torch.full_like(noise, mean), atol=1e-2, rtol=0)
    torch.testing.assert_close(steps[-1].latents, mean + spread * noise, atol=tolerance, rtol=0)


def test_ddim_does_not_clip_latents():
    assert make_scheduler(zero_terminal_snr(), "ddim", 4).config.clip_sample is False
    with pytest.raises(ValueError, match="sampler"):
        make_scheduler(zero_terminal_snr(), "euler", 4)


def test_shifted_steps_are_smaller_in_the_noise():
    assert shifted_timesteps(4, 1000, 1.0) == [999, 749, 499, 249]
    assert shifted_timesteps(4, 1000, 3.0) == [999, 899, 749, 499]
    for count in (1, 25, 400, 1000):
        timesteps = shifted_timesteps(count, 1000, 8.0)
        assert timesteps[0] == 999 and timesteps[-1] >= 0 and len(set(timesteps)) == count
        assert timesteps == sorted(timesteps, reverse=True)
        assert make_scheduler(zero_terminal_snr(), "ddim", count, 8.0).timesteps.tolist() == timesteps


def test_ddim_at_uneven_steps_is_ddim():
    """The sampler of uneven steps, at even ones, against the plain one."""
    even = make_scheduler(zero_terminal_snr(), "ddim", 10)
    uneven = make_scheduler(zero_terminal_snr(), "ddim", 10, 1.0 + 1e-9)
    assert uneven.timesteps.tolist() == even.timesteps.tolist() and type(uneven) is not type(even)
    noise = torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    ends = [
        list(denoise(lambda latents, timestep: (latents - 0.2).sin(), scheduler, noise))[-1].latents
        for scheduler in (even, uneven)
    ]
    torch.testing.assert_close(*ends, atol=2e-3, rtol=0)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_clean_estimate_inverts_the_forward_process(prediction_type):
    clean, noise = torch.randn(2, 5)
    alpha = 0.3
    sample = alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise
    output = {
        "epsilon": noise,
        "sample": clean,
        "v_prediction": alpha**0.5 * noise - (1 - alpha) ** 0.5 * clean,
    }[prediction_type]
    torch.testing.assert_close(predict_clean(sample, output, alpha, prediction_type), clean)
    with pytest.raises(ValueError):
        predict_clean(sample, output, alpha, "flow")
