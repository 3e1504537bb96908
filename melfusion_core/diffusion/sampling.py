"""The denoising loop: a plain loop over steps with a hook.

Shape legend: ``batch`` samples, ``channels``, ``time``, and the ``height`` of an engine's latents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, SchedulerMixin, UNet2DConditionModel

from melfusion_core.diffusion.guidance import GuidedModel, MusicCondition
from melfusion_core.diffusion.timesteps import shifted_timesteps
from melfusion_core.engines.base import Composes, Known
from melfusion_core.models.inversion import predict_clean
from melfusion_core.models.synapse import SynapseHandle
from melfusion_core.take import KNOBS


@dataclass(frozen=True)
class SamplingStep:
    """The state after one denoising step.

    Args:
        index: Number of the step, from 0.
        num_steps: Number of all steps.
        timestep: The model timestep the step started from.
        latents: Latents after the step, of shape ``(batch, channels, time, height)``.
        clean_latents: Estimate of the final latents from this step's prediction, same shape.
    """

    index: int
    num_steps: int
    timestep: int
    latents: torch.Tensor
    clean_latents: torch.Tensor


def make_scheduler(
    scheduler: SchedulerMixin, sampler: str, num_inference_steps: int, timestep_shift: float = 1.0
) -> SchedulerMixin:
    """A fresh sampler for the noise schedule that the model was trained with.

    Args:
        scheduler: The pipeline's scheduler; only its configuration is read.
        sampler: ``"dpm++"`` (DPM-Solver++ 2M) or ``"ddim"``.
        num_inference_steps: Number of steps.
        timestep_shift: How much the steps crowd towards the noise; at 1 they are spaced as the configuration says.

    Returns:
        The sampler, with its timesteps set.

    Raises:
        SettingError: When the sampler is unknown.
    """
    KNOBS["sampler"].check("sampler", sampler)
    if sampler == "ddim" and timestep_shift == 1.0:
        # Latents are normalised, not bounded: clipping them to [-1, 1], DDIM's default, would ruin them.
        made = DDIMScheduler.from_config(scheduler.config, clip_sample=False, set_alpha_to_one=True)
        made.set_timesteps(num_inference_steps)
        return made
    # DDIM knows even steps only; of order 1, DPM-Solver++ is DDIM at any (Lu et al. 2022, section 4.1).
    made = DPMSolverMultistepScheduler.from_config(
        scheduler.config,
        algorithm_type="dpmsolver++",
        solver_order=1 if sampler == "ddim" else 2,
        final_sigmas_type="zero",
    )
    if timestep_shift == 1.0:
        made.set_timesteps(num_inference_steps)
    else:
        total = scheduler.config.num_train_timesteps
        made.set_timesteps(timesteps=shifted_timesteps(num_inference_steps, total, timestep_shift))
    return made


def sample_latents(
    engine: Composes,
    unet: UNet2DConditionModel,
    handle: SynapseHandle | None,
    conditions: Sequence[MusicCondition],
    scheduler: SchedulerMixin,
    latents: torch.Tensor,
    known: Known | None = None,
    snap: Callable[[torch.Tensor, float], torch.Tensor] | None = None,
) -> Iterator[SamplingStep]:
    """Compose latents step by step under guidance; what pipelines and trainers run. Stop iterating to cancel.

    Args:
        engine: Says what the UNet sees of latents.
        unet: The music UNet, with the synapse installed where a condition has a picture.
        handle: The installed synapse's handle; None when no condition has a picture.
        conditions: Conditions of consecutive runs of samples; together they cover the batch.
        scheduler: A sampler from :func:`make_scheduler`.
        latents: Unit Gaussian noise of shape ``(batch, channels, time, height)``.
        known: The settled part of the samples, which comes back exactly; None for nothing.
        snap: Called with each guided prediction and the cumulative product of the noise schedule, for models that
            predict the clean latents; gives what the sampler takes in its place.

    Yields:
        The state after each step; the last one's ``latents`` are the result.
    """
    guided = GuidedModel(engine, unet, handle, conditions, scheduler.alphas_cumprod, known)

    def snapped(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        prediction = guided(noisy, timestep)
        return prediction if snap is None else snap(prediction, float(scheduler.alphas_cumprod[int(timestep)]))

    for step in denoise(snapped, scheduler, latents):
        if known is not None:
            settled = known.to(latents.device)
            last = step.index == step.num_steps - 1
            step = replace(
                step,
                clean_latents=settled.paste(step.clean_latents),
                latents=settled.paste(step.latents) if last else step.latents,
            )
        yield step


def denoise(
    model: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    scheduler: SchedulerMixin,
    latents: torch.Tensor,
) -> Iterator[SamplingStep]:
    """Denoise step by step; stop iterating to cancel.

    Args:
        model: Called with ``(latents, timestep)``, returns the prediction.
        scheduler: A sampler from :func:`make_scheduler`.
        latents: Unit Gaussian noise of shape ``(batch, channels, time, height)``.

    Yields:
        The state after each step; the last one's ``latents`` are the result.
    """
    timesteps = scheduler.timesteps.to(latents.device)
    latents = latents * scheduler.init_noise_sigma
    for index, timestep in enumerate(timesteps):
        output = model(scheduler.scale_model_input(latents, timestep), timestep)
        alpha_cumprod = float(scheduler.alphas_cumprod[int(timestep)])
        clean = predict_clean(latents, output, alpha_cumprod, scheduler.config.prediction_type)
        latents = scheduler.step(output, timestep, latents, return_dict=False)[0]
        yield SamplingStep(index, len(timesteps), int(timestep), latents, clean)
