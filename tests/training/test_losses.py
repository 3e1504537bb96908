from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from melfusion_core.training import losses
from melfusion_core.training.optim import learning_rate_factor


def test_snr_by_hand():
    snr = losses.snr_of(torch.tensor([0.9, 0.5, 0.0]), torch.tensor([0, 1, 2]))
    assert torch.allclose(snr, torch.tensor([9.0, 1.0, 0.0]))


def test_min_snr_weights_by_hand():
    snr = torch.tensor([99.0, 4.0, 1.0, 0.0])
    assert torch.allclose(losses.min_snr_weight(snr, 5.0, "v_prediction"), torch.tensor([0.05, 1.0, 1.0, 1.0]))
    assert torch.allclose(losses.min_snr_weight(snr[:3], 5.0, "epsilon"), torch.tensor([5 / 99, 1.0, 1.0]))
    assert torch.allclose(losses.min_snr_weight(snr, 5.0, "sample"), torch.tensor([5.0, 5.0, 2.0, 1.0]))
    with pytest.raises(ValueError, match="flow"):
        losses.min_snr_weight(snr, 5.0, "flow")


def test_every_target_gives_the_same_weighted_loss():
    """One and the same guess of the clean sample costs the same, whether it is stated as sample or as velocity."""
    generator = torch.Generator().manual_seed(0)
    clean, noise, error = (torch.randn(4, 8, generator=generator) for _ in range(3))
    timesteps = torch.tensor([20, 300, 700, 950])
    costs = {}
    for kind in ("sample", "v_prediction"):
        scheduler = DDIMScheduler(prediction_type=kind)
        target = losses.training_target(scheduler, clean, noise, timesteps)
        signal, spread = (
            p[timesteps].sqrt()[:, None] for p in (scheduler.alphas_cumprod, 1 - scheduler.alphas_cumprod)
        )
        guess = clean + error
        if kind == "v_prediction":
            noisy = scheduler.add_noise(clean, noise, timesteps)
            guess = (signal * noisy - guess) / spread
        weight = losses.min_snr_weight(losses.snr_of(scheduler.alphas_cumprod, timesteps), 5.0, kind)
        costs[kind] = weight * (guess - target).square().mean(dim=1)
    assert torch.allclose(costs["sample"], costs["v_prediction"], rtol=1e-3)
    scheduler = DDIMScheduler(prediction_type="epsilon")
    assert losses.training_target(scheduler, clean, noise, timesteps) is noise


def test_shift_crowds_timesteps_towards_the_noise():
    even, crowded = (
        losses.stratified_timesteps(1000, 1000, torch.Generator().manual_seed(0), shift) for shift in (1.0, 4.0)
    )
    assert (even >= 800).sum() == 200
    assert (crowded >= 800).sum() == 500  # 4 u / (1 + 3 u) is 0.8 where u is 0.5
    assert crowded.min() >= 0 and crowded.max() == 999 and bool((crowded >= even).all())


def test_stratified_timesteps_fill_every_stratum():
    timesteps = losses.stratified_timesteps(10, 1000, torch.Generator().manual_seed(0))
    assert sorted((timesteps // 100).tolist()) == list(range(10))
    assert timesteps.tolist() != sorted(timesteps.tolist())


def test_hinge_losses():
    real, fake = [torch.tensor([2.0])], [torch.tensor([-2.0])]
    assert losses.hinge_discriminator_loss(real, fake) == 0
    assert losses.hinge_discriminator_loss(fake, real) == 6
    assert losses.hinge_generator_loss(real) == 0
    features = [[torch.ones(2, 2)]]
    assert losses.feature_matching_loss(features, features) == 0


def test_learning_rate_rises_then_ends_at_zero():
    factors = [learning_rate_factor(progress, 0.1) for progress in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])
