"""What a generation returns, and what its step callback receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import AudioPipelineOutput
from diffusers.utils import BaseOutput


class GenerationInterrupted(RuntimeError):
    """The step callback, or another thread through :meth:`MelFusionPipeline.interrupt`, stopped the generation."""


class StepInfo(TypedDict):
    """What the step callback receives.

    Attributes:
        step: Number of the finished step, from 1.
        timestep: The model timestep it started from.
        num_steps: Number of all steps.
        clean_latents: Estimate of the final latents, of shape ``(batch, channels, time, frequency)``; in
            :meth:`MelFusionPipeline.compare` the samples with the picture come first, then the text-only ones.
            :meth:`MelFusionPipeline.decode_latents` turns it into a spectrogram.
    """

    step: int
    timestep: int
    num_steps: int
    clean_latents: torch.Tensor


StepCallback = Callable[[StepInfo], Any]


@dataclass
class MelFusionPipelineOutput(AudioPipelineOutput):
    """Output of a generation.

    Args:
        audios: Waveforms of shape ``(batch, samples)``; with ``output_type`` ``"mel"`` or ``"latent"`` those instead.
        mels: Normalised log-mel of shape ``(batch, frames, n_mels)`` that the waveforms were made from, on the CPU;
            None for latents.
    """

    mels: torch.Tensor | None = None


@dataclass
class ComparisonOutput(BaseOutput):
    """The same noise with and without the picture.

    Args:
        with_image: Waveforms that follow caption and picture, of shape ``(batch, samples)``.
        text_only: Waveforms that follow the caption alone, same shape.
        with_image_mels: Normalised log-mel of ``with_image``, of shape ``(batch, frames, n_mels)``, on the CPU.
        text_only_mels: Normalised log-mel of ``text_only``, same shape.
    """

    with_image: np.ndarray | torch.Tensor
    text_only: np.ndarray | torch.Tensor
    with_image_mels: torch.Tensor | None = None
    text_only_mels: torch.Tensor | None = None
