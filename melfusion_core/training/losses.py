"""Losses and noise-level weights.

Shape legend: `batch` examples, `samples` per waveform, `frames` and `n_mels` of a log-mel spectrogram.
"""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from torch.nn import functional

from melfusion_core.diffusion.timesteps import shift_timesteps


def snr_of(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Signal-to-noise ratio of noise levels.

    Args:
        alphas_cumprod: Cumulative products of a scheduler, of shape `(train_timesteps,)`.
        timesteps: Of shape `(batch,)`.

    Returns:
        `alpha_bar / (1 - alpha_bar)` of shape `(batch,)`.
    """
    level = alphas_cumprod.to(timesteps.device)[timesteps]
    return level / (1 - level)


def min_snr_weight(snr: torch.Tensor, gamma: float, prediction_type: str) -> torch.Tensor:
    """Min-SNR weights (Hang et al., 2023) for the squared error of a prediction.

    Args:
        snr: Signal-to-noise ratios, any shape.
        gamma: Ratio from which the weight no longer grows with the clean signal's precision.
        prediction_type: `epsilon`, `v_prediction` or `sample`.

    Returns:
        `min(snr, gamma) / snr` for epsilon; `min(snr + 1, gamma) / (snr + 1)` for v, so that the noisiest steps,
        where the layout of a piece is decided, keep weight 1 (the usual `min(snr, gamma) / (snr + 1)` is 0 at the
        last step of a schedule with zero terminal SNR: that step would never be learned). For the clean sample,
        `min(snr + 1, gamma)`: an error of the sample is `sqrt(snr + 1)` times as large as one of v, so both
        types minimise the same loss.

    Raises:
        ValueError: When the prediction type is another one.
    """
    if prediction_type == "epsilon":
        return snr.clamp(max=gamma) / snr
    if prediction_type == "v_prediction":
        return (snr + 1).clamp(max=gamma) / (snr + 1)
    if prediction_type == "sample":
        return (snr + 1).clamp(max=gamma)
    raise ValueError(f"unknown prediction type {prediction_type!r}")


def loss_weights(scheduler: DDIMScheduler, timesteps: torch.Tensor, gamma: float) -> torch.Tensor:
    """Min-SNR weights of noise levels, for what a scheduler's network predicts.

    Args:
        scheduler: The noise schedule.
        timesteps: Of shape `(batch,)`.
        gamma: See `min_snr_weight`; 0 weights all alike.

    Returns:
        Of shape `(batch,)`, on the device of the timesteps.
    """
    if not gamma:
        return torch.ones(len(timesteps), device=timesteps.device)
    return min_snr_weight(snr_of(scheduler.alphas_cumprod, timesteps), gamma, scheduler.config.prediction_type)


def dropped(place: float, text: float, image: float, both: float) -> tuple[bool, bool]:
    """Decide which condition an example goes without.

    Args:
        place: Uniform random number in [0, 1).
        text: Share of examples without their caption.
        image: Share without their picture.
        both: Share with neither.

    Returns:
        Whether caption and picture are left out.
    """
    if place < both:
        return True, True
    return place < both + text, both + text <= place < both + text + image


def training_target(
    scheduler: DDIMScheduler, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
) -> torch.Tensor:
    """What a network should predict, by its scheduler's prediction type.

    Args:
        scheduler: The noise schedule.
        clean: Clean samples of shape `(batch, ...)`.
        noise: Gaussian noise, same shape.
        timesteps: Of shape `(batch,)`.

    Returns:
        The target, same shape.

    Raises:
        ValueError: When the prediction type is unknown.
    """
    kind = scheduler.config.prediction_type
    if kind == "sample":
        return clean
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return scheduler.get_velocity(clean, noise, timesteps)
    raise ValueError(f"unknown prediction type {kind!r}")


def stratified_timesteps(
    batch: int, train_timesteps: int, generator: torch.Generator, shift: float = 1.0
) -> torch.Tensor:
    """Timesteps spread evenly over a batch, one random draw in each stratum: less variance than independent draws.

    Args:
        batch: Number of timesteps.
        train_timesteps: Timesteps are below this.
        generator: CPU generator.
        shift: How much they crowd towards the noise, see `shift_timesteps`.

    Returns:
        Of shape `(batch,)`, int64, shuffled.
    """
    places = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
    places = places[torch.randperm(batch, generator=generator)]
    return (shift_timesteps(places, shift) * train_timesteps).long().clamp(max=train_timesteps - 1)


def hinge_discriminator_loss(real: list[torch.Tensor], fake: list[torch.Tensor]) -> torch.Tensor:
    """Hinge loss of a discriminator.

    Args:
        real: Scores of real audio, one tensor per resolution.
        fake: Scores of generated audio.

    Returns:
        Scalar, mean over resolutions.
    """
    terms = [functional.relu(1 - r).mean() + functional.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def hinge_generator_loss(fake: list[torch.Tensor]) -> torch.Tensor:
    """Hinge loss of a generator.

    Args:
        fake: Scores of generated audio, one tensor per resolution.

    Returns:
        Scalar, mean over resolutions.
    """
    return torch.stack([functional.relu(1 - scores).mean() for scores in fake]).mean()


def feature_matching_loss(real: list[list[torch.Tensor]], fake: list[list[torch.Tensor]]) -> torch.Tensor:
    """L1 distance of a discriminator's hidden features, relative to their size.

    Args:
        real: Features of real audio, per resolution and layer.
        fake: Features of generated audio.

    Returns:
        Scalar.
    """
    terms = [
        functional.l1_loss(f, r.detach()) / r.detach().abs().mean().clamp_min(1e-4)
        for many_r, many_f in zip(real, fake, strict=True)
        for r, f in zip(many_r, many_f, strict=True)
    ]
    return torch.stack(terms).mean()
