"""A full-size pipeline arranged for training: its frozen networks' encodings, and the loss of its synapse.

Shape legend: `batch` rows, `channels`/`time`/`frequency` of a latent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from melfusion_core.data.corpus import Triplet
from melfusion_core.engines.base import Rendered
from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
from melfusion_core.full_size.synapse_config import SynapseConfig
from melfusion_core.full_size.trainable import choose_weights
from melfusion_core.models.features import ImageFeatures
from melfusion_core.models.synapse import install_synapse
from melfusion_core.models.text import TextCondition, unet_text_arguments
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from melfusion_core.training.losses import training_target

PRECISIONS = {"no": torch.float32, "bf16": torch.bfloat16}


class FullModel:
    """A pipeline whose music UNet and synapse are trained.

    Args:
        config: The trainer's configuration.
        device: Where to train.

    Raises:
        ValueError: When the configuration's folder holds no pipeline, or one that makes no spectrograms.
    """

    def __init__(self, config: SynapseConfig, device: torch.device) -> None:
        if not (Path(config.model) / "model_index.json").is_file():
            raise ValueError(f"there is no pipeline in {config.model}: it has no model_index.json")
        self.config, self.device = config, device
        self.pipe = MelFusionPipeline.from_pretrained(config.model).to(device)
        if not isinstance(self.pipe.engine, SpectrogramEngine):
            raise ValueError(f"the pipeline in {config.model} makes no spectrograms: its training data is sound")
        for network in (self.pipe.image_unet, self.pipe.image_vae, self.pipe.image_encoder):
            if network is not None:  # diffusers' own `to` warns of what is not the case here
                torch.nn.Module.to(network, PRECISIONS[config.precision])
        self.unet, self.synapse, self.scheduler = self.pipe.unet, self.pipe.synapse, self.pipe.scheduler
        self.trained = choose_weights(self.unet, self.synapse, config.mode, config.lora_rank, config.lora_alpha)
        if config.checkpointing:
            self.unet.enable_gradient_checkpointing()
        self.handle = install_synapse(self.unet, self.synapse)
        self.engine = self.pipe.engine
        self._lengths: dict[str, int] = {}  # of rows' waveforms in samples
        self._caches: dict[str, OrderedDict[Any, Any]] = {
            name: OrderedDict() for name in ("latents", "text", "features")
        }

    @property
    def num_samples(self) -> int:
        """Samples of a clip: as many as whole latent positions that the UNet halves evenly."""
        unit = 2 ** (len(self.unet.config.block_out_channels) - 1) * self.engine.position_samples
        return -(-round(self.config.duration_s * self.engine.sample_rate) // unit) * unit

    @torch.no_grad()
    def latents(self, row: Triplet, place: float) -> torch.Tensor:
        """Latents of a row's music: a piece of a longer clip, a shorter one followed by silence.

        Args:
            row: The row.
            place: Which piece, from 0 (the first) to 1.

        Returns:
            Normalised latents of shape `(1, channels, time, frequency)`, on the CPU.
        """
        waveform = None
        if row.where not in self._lengths:
            waveform = row.read_audio(self.pipe.sample_rate)
            self._lengths[row.where] = len(waveform)
        start = int(place * max(0, self._lengths[row.where] - self.num_samples))

        def make() -> torch.Tensor:
            whole = row.read_audio(self.pipe.sample_rate) if waveform is None else waveform
            piece = whole[start : start + self.num_samples]
            piece = piece - piece.mean()
            if self.config.peak:
                piece = piece * (self.config.peak / piece.abs().max().clamp_min(1e-8))
            piece = torch.nn.functional.pad(piece, (0, self.num_samples - len(piece)))
            return self.engine.encode([Rendered(piece.unsqueeze(0), self.engine.sample_rate)]).cpu()

        return self._kept("latents", (row.where, start), make)

    @torch.no_grad()
    def text(self, caption: str) -> TextCondition:
        """A caption's condition.

        Args:
            caption: The caption; `""` for none.

        Returns:
            The condition, batch 1, on the CPU.
        """
        return self._kept("text", caption, lambda: self.pipe.encode_prompt(caption).to("cpu"))

    @torch.no_grad()
    def features(self, rows: Sequence[Triplet]) -> list[ImageFeatures]:
        """Rows' pictures as the synapse sees them: without a cache all at once, with one each by itself.

        Args:
            rows: The rows.

        Returns:
            Features of each, batch 1, on the CPU.
        """
        if self.config.cache_rows:
            return [self._kept("features", row.where, lambda row=row: self._look([row])) for row in rows]
        if not rows:
            return []
        found = self._look(rows)
        return [found.index([place]) for place in range(len(rows))]

    def _look(self, rows: Sequence[Triplet]) -> ImageFeatures:
        found = self.pipe.encode_image([row.read_image() for row in rows]).to("cpu")
        self.pipe.clear_image_cache()  # it would keep them on the device
        return found

    def _kept(self, kind: str, key: Any, make: Callable[[], Any]) -> Any:
        cache = self._caches[kind]
        if key not in cache:
            value = make()
            if not self.config.cache_rows:
                return value
            cache[key] = value
            while len(cache) > self.config.cache_rows:
                cache.popitem(last=False)
        cache.move_to_end(key)
        return cache[key]

    def errors(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        texts: Sequence[TextCondition],
        features: Sequence[ImageFeatures | None],
    ) -> torch.Tensor:
        """Squared error of the UNet's prediction of noise, of v, or of the clean latents, as its schedule says.

        Args:
            latents: Clean latents of shape `(batch, channels, time, frequency)`.
            noise: Same shape.
            timesteps: Of shape `(batch,)`.
            texts: One condition per row.
            features: One picture per row; None for a row without.

        Returns:
            Mean over each row, of shape `(batch,)`, float32.
        """
        latents, noise, timesteps = (tensor.to(self.device) for tensor in (latents, noise, timesteps))
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        target = training_target(self.scheduler, latents, noise, timesteps)
        text = TextCondition.concat(texts).to(self.device)
        seen = [picture for picture in features if picture is not None]
        if seen:  # a row without a picture has strength 0, at which the features that stand there do not matter
            moved = [(seen[0] if one is None else one).to(self.device, torch.float32) for one in features]
            picture = ImageFeatures.concat(moved)  # as float32: autocast on a CPU joins no float16
            strengths = [float(one is not None) for one in features]
            self.handle.set(picture.at(timesteps), torch.tensor(strengths, device=self.device))
        else:
            self.handle.clear()
        sample = self.engine.model_input(noisy, self.unet.config.in_channels)
        prediction = self.unet(sample, timesteps, **unet_text_arguments(self.unet, text), return_dict=False)[0]
        return (prediction.float() - target.float()).square().mean(dim=(1, 2, 3))
