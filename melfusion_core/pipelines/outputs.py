"""What a generation returns, and what its step callback receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import AudioPipelineOutput
from diffusers.utils import BaseOutput

from melfusion_core.engines.base import Plan, Rendered

Audios = np.ndarray | torch.Tensor | list


class GenerationInterrupted(RuntimeError):
    """The step callback, or another thread through :meth:`MelFusionPipeline.interrupt`, stopped the generation."""


@dataclass(frozen=True)
class StepInfo:
    """What the step callback receives, and :meth:`MelFusionPipeline.stream` yields.

    Args:
        step: Number of the finished step, from 1.
        num_steps: Number of all steps.
        timestep: The model timestep it started from.
        clean_latents: Estimate of the final latents, of shape ``(batch, channels, time, height)``; in
            :meth:`MelFusionPipeline.compare` the samples with the picture come first, then the text-only ones. The
            engine's ``view`` draws it.
        plan: What was settled of the samples before.
    """

    step: int
    num_steps: int
    timestep: int
    clean_latents: torch.Tensor
    plan: Plan


StepCallback = Callable[[StepInfo], Any]


@dataclass
class MelFusionPipelineOutput(AudioPipelineOutput):
    """Output of a generation.

    Args:
        audios: Waveforms of shape ``(batch, channels, samples)``, or a list of them where their lengths differ; with
            ``output_type`` ``"latent"`` latents instead.
        takes: The same with what else the engine made of them; None for latents.
    """

    audios: Audios
    takes: list[Rendered] | None = None


@dataclass
class ComparisonOutput(BaseOutput):
    """The same noise with and without the picture.

    Args:
        with_image: Waveforms that follow caption and picture, as in :class:`MelFusionPipelineOutput`.
        text_only: Waveforms that follow the caption alone.
        with_image_takes: ``with_image`` with what else the engine made; None for latents.
        text_only_takes: ``text_only`` with what else the engine made; None for latents.
    """

    with_image: Audios
    text_only: Audios
    with_image_takes: list[Rendered] | None = None
    text_only_takes: list[Rendered] | None = None
