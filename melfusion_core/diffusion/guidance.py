"""Classifier-free guidance with a caption and a picture, every branch of every sample in one UNet call.

Shape legend: ``batch`` samples, ``rows`` UNet inputs (branches of samples), ``channels``, ``time``, and the ``height``
of an engine's latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel

from melfusion_core.engines.base import Composes, Known
from melfusion_core.models.devices import execution_device
from melfusion_core.models.synapse import ImageFeatures, SynapseHandle
from melfusion_core.models.text import TextCondition, unet_text_arguments
from melfusion_core.take import TakeSettings


@dataclass(frozen=True)
class MusicCondition:
    """What a batch of samples is asked to be.

    Args:
        text: The captions, one per sample.
        negative: What to steer away from, one per sample: the empty caption, or the negative prompt.
        same_text: Whether text and negative are equal in every sample, so that one branch serves both.
        image: Features of the pictures, one per sample; None for text-only.
        settings: How the samples are made; the scales of guidance and the strength of the synapse count here.
    """

    text: TextCondition
    negative: TextCondition
    same_text: bool
    image: ImageFeatures | None
    settings: TakeSettings

    def __len__(self) -> int:
        return len(self.text)


def branch_weights(condition: MusicCondition) -> dict[str, float]:
    """Weights of ``e_null + g_t (e_text - e_null) + g_i (e_image - e_text)``, ``e_image`` having caption and picture.

    Args:
        condition: The samples' condition.

    Returns:
        Weight of each branch that is needed, by name: ``null``, ``text``, ``image``. Branches with weight 0 are left
        out, and ``null`` is left out where it equals ``text``. The weights add up to 1.
    """
    text_scale, image_scale = condition.settings.guidance_scale, condition.settings.image_guidance_scale
    if condition.image is None:
        weights = {"null": 1.0 - text_scale, "text": text_scale}
    else:
        weights = {"null": 1.0 - text_scale, "text": text_scale - image_scale, "image": image_scale}
    if condition.same_text:
        weights["text"] += weights.pop("null")
    return {name: weight for name, weight in weights.items() if weight != 0.0}


@dataclass(frozen=True)
class _Rows:
    """UNet inputs of one step.

    Args:
        text: Caption of each row.
        latents: Sample of each row, of shape ``(rows,)``.
        image: Features of each row; None where no row has a picture.
        strengths: Synapse strength of each row, of shape ``(rows,)``.
    """

    text: TextCondition
    latents: torch.Tensor
    image: ImageFeatures | None
    strengths: torch.Tensor

    def only(self, rows: torch.Tensor) -> _Rows:
        """Some of these rows.

        Args:
            rows: Their indices, of shape ``(chosen,)``.

        Returns:
            These rows.
        """
        chosen, strengths = rows.tolist(), self.strengths[rows]
        image = self.image.index(chosen) if self.image is not None and bool(strengths.any()) else None
        return _Rows(self.text.index(chosen), self.latents[rows], image, strengths)


class GuidedModel:
    """A music UNet with guidance: latents and timestep in, guided prediction out.

    Args:
        engine: Says what the UNet sees of latents.
        unet: The music UNet, with the synapse installed where a condition has a picture.
        handle: The installed synapse's handle; None when no condition has a picture.
        conditions: Conditions of consecutive runs of samples; together they cover the batch. Guidance stops at the
            same time for all of them.
        alphas_cumprod: Cumulative products of the noise schedule, of shape ``(train_timesteps,)``.
        known: The settled part of the samples; None for nothing.

    Raises:
        ValueError: When conditions stop guidance at different times.
    """

    def __init__(
        self,
        engine: Composes,
        unet: UNet2DConditionModel,
        handle: SynapseHandle | None,
        conditions: Sequence[MusicCondition],
        alphas_cumprod: torch.Tensor,
        known: Known | None = None,
    ) -> None:
        self.engine = engine
        self.unet = unet
        self.handle = handle
        stops = {condition.settings.guidance_stop for condition in conditions}
        if len(stops) != 1:
            raise ValueError(f"all conditions must have the same guidance_stop, got {sorted(stops)}")
        self._guided_from = (1.0 - stops.pop()) * len(alphas_cumprod)
        self._alphas_cumprod = alphas_cumprod
        device, dtype = execution_device(unet), unet.dtype
        texts: list[TextCondition] = []
        images: list[ImageFeatures] = []
        latent_rows: list[int] = []
        image_rows: list[int] = []
        strengths: list[float] = []
        weights: list[tuple[int, int, float]] = []
        reference_rows: list[int] = []
        rescales: list[float] = []
        first_sample = first_image = 0
        for condition in conditions:
            reference: list[int] = []
            for name, weight in branch_weights(condition).items():
                first_row = len(latent_rows)
                reference = list(range(first_row, first_row + len(condition)))
                texts.append(condition.negative if name == "null" else condition.text)
                for offset, row in enumerate(reference):
                    latent_rows.append(first_sample + offset)
                    weights.append((first_sample + offset, row, weight))
                    image_rows.append(first_image + offset if name == "image" else 0)
                    strengths.append(condition.settings.synapse_strength if name == "image" else 0.0)
            reference_rows += reference  # the last branch is the most conditional one
            rescales += [condition.settings.guidance_rescale] * len(condition)
            if condition.image is not None:
                images.append(condition.image)
                first_image += len(condition)
            first_sample += len(condition)
        weight_matrix = torch.zeros(first_sample, len(latent_rows))
        for sample, row, weight in weights:
            weight_matrix[sample, row] = weight
        self._guided = _Rows(
            text=TextCondition.concat(texts).to(device, dtype),
            latents=torch.tensor(latent_rows, device=device),
            image=ImageFeatures.concat(images).to(device).index(image_rows) if any(strengths) else None,
            strengths=torch.tensor(strengths, device=device),
        )
        self._weights = weight_matrix.to(device)
        self._known = None if known is None else known.to(device)
        self._reference_rows = torch.tensor(reference_rows, device=device)
        self._alone = self._guided.only(self._reference_rows) if self._guided_from > 0 else None
        self._rescale = torch.tensor(rescales, device=device).view(-1, 1, 1, 1) if any(rescales) else None

    def __call__(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Predict.

        Args:
            latents: Noisy latents of shape ``(batch, channels, time, height)``.
            timestep: The timestep, a scalar.

        Returns:
            Guided prediction, float32, same shape as latents.
        """
        if self._alone is not None and int(timestep) < self._guided_from:
            return self._run(self._alone, latents, timestep)
        output = self._run(self._guided, latents, timestep)
        guided = (self._weights @ output.flatten(1)).view_as(latents)
        if self._rescale is not None:
            guided = rescale_guidance(guided, output[self._reference_rows], self._rescale)
        return guided

    def _run(self, rows: _Rows, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        noisy = latents[rows.latents]
        known = None if self._known is None else self._known.index(rows.latents)
        alpha = float(self._alphas_cumprod[int(timestep)])
        channels = self.unet.config.in_channels
        sample = self.engine.model_input(noisy.to(self.unet.dtype), channels, known=known, alpha_cumprod=alpha)
        if self.handle is not None:
            if rows.image is None:
                self.handle.clear()
            else:
                self.handle.set(rows.image.at(int(timestep)), rows.strengths)
        text = unet_text_arguments(self.unet, rows.text)
        output = self.unet(sample, timestep, **text, return_dict=False)[0].float()
        return self.engine.model_output(output, noisy, alpha)


def rescale_guidance(guided: torch.Tensor, conditional: torch.Tensor, amount: torch.Tensor | float) -> torch.Tensor:
    """Bring a guided prediction back towards the conditional one's standard deviation (Lin et al. 2023, section 3.4).

    Args:
        guided: Guided prediction of shape ``(batch, channels, time, height)``.
        conditional: Prediction of the most conditional branch, same shape.
        amount: 0 leaves it as it is, 1 takes the conditional deviation; a number or of shape ``(batch, 1, 1, 1)``.

    Returns:
        Rescaled prediction, same shape.
    """
    axes = (1, 2, 3)
    ratio = conditional.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True).clamp_min(1e-8)
    return guided * (amount * ratio + (1.0 - amount))
