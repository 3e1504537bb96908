"""A full-size pipeline from the files of public repositories."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AutoencoderKL,
    DDIMScheduler,
    ModelMixin,
    UNet2DConditionModel,
)
from transformers import (
    AutoConfig,
    AutoTokenizer,
    ClapModel,
    CLIPTextModel,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5EncoderModel,
)

from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
from melfusion_core.full_size.hifigan import HifiGanVocoder
from melfusion_core.full_size.presets import TANGO_SCHEDULER, TANGO_UNET, Preset
from melfusion_core.full_size.sources import Source
from melfusion_core.full_size.strict import WeightsError, load_component, load_state, read_tango
from melfusion_core.full_size.text_encoders import AudioLDM2TextEncoder, MusicLDMTextEncoder
from melfusion_core.models.features import decoder_attention_names
from melfusion_core.models.null_caption import NullCaption
from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from melfusion_core.training.presets import build_synapse

T5_DECODER = ("decoder.*", "lm_head.weight")  # of a T5 whose encoder alone is used
POSITIONS = ("*position_ids",)  # a table of 0, 1, 2 ... that older releases stored with the weights


def assemble_full(
    preset: Preset,
    sources: Mapping[str, Source],
    resolution: int | None = None,
    fusion: str | None = None,
    gate_init: float | None = None,
    project: bool | None = None,
    allow_pickle: bool = False,
    seed: int = 0,
) -> MelFusionPipeline:
    """Build a full-size pipeline; every weight is loaded, or named in an error.

    Args:
        preset: What is assembled.
        sources: Local files by role, from `find_sources`.
        resolution: Side of the pictures in pixels; None for the image model's own.
        fusion: The synapse's fusion; None for the preset's.
        gate_init: The synapse's gates before training; None for the preset's.
        project: Whether the synapse projects picture keys and values; None: only where widths differ.
        allow_pickle: Whether Tango's pickle may be read.
        seed: Of the synapse's untrained projections.

    Returns:
        The pipeline, in float32 on the CPU.

    Raises:
        WeightsError: When weights are missing, unexpected, or do not fit together.
    """
    image, audio = sources["image"].folder, sources["audio"].folder
    image_unet = load_component(UNet2DConditionModel, image / "unet")
    image_vae = load_component(AutoencoderKL, image / "vae")
    image_text = load_component(CLIPTextModel, image / "text_encoder", unused=POSITIONS)
    image_null = NullCaption.from_encoder(AutoTokenizer.from_pretrained(image / "tokenizer"), image_text)
    if image_null.config.dim != image_unet.config.cross_attention_dim:
        raise WeightsError(
            f"the image model's text encoder is {image_null.config.dim} wide, its UNet expects "
            f"{image_unet.config.cross_attention_dim}"
        )
    unit = 2 ** (len(image_vae.config.block_out_channels) + len(image_unet.config.block_out_channels) - 2)
    if resolution is not None and (resolution <= 0 or resolution % unit):
        raise WeightsError(f"resolution must be a positive multiple of {unit} for this image model, got {resolution}")
    unet, scheduler, tokenizer, text_encoder = _load_music(preset, sources, allow_pickle)
    return MelFusionPipeline(
        engine=SpectrogramEngine(
            load_component(AutoencoderKL, audio / "vae"), load_component(HifiGanVocoder, audio / "vocoder")
        ),
        unet=unet,
        image_unet=image_unet,
        synapse=_build_full_synapse(preset, unet, image_unet, fusion, gate_init, project, seed),
        scheduler=scheduler,
        image_scheduler=_load_scheduler(image / "scheduler"),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        image_vae=image_vae,
        image_null=image_null,
        max_caption_tokens=preset.max_caption_tokens,
        image_resolution=resolution,
    )


def _load_music(
    preset: Preset, sources: Mapping[str, Source], allow_pickle: bool = False
) -> tuple[ModelMixin, DDIMScheduler, PreTrainedTokenizerBase | None, PreTrainedModel]:
    """Load the music model: UNet, noise schedule, tokenizer and text encoder."""
    music, text = sources["music"].folder, sources["text"].folder
    if preset.kind == "t5":
        return _load_t5_music(music, text, allow_pickle)
    scheduler = _load_scheduler(music / "scheduler")
    clap = {
        "clap_tokenizer": AutoTokenizer.from_pretrained(text / "tokenizer"),
        "clap": load_component(ClapModel, text / "text_encoder", unused=POSITIONS),
    }
    if preset.kind == "musicldm":
        return load_component(UNet2DConditionModel, music / "unet"), scheduler, None, MusicLDMTextEncoder(**clap)
    text_encoder = AudioLDM2TextEncoder(
        **clap,
        t5_tokenizer=AutoTokenizer.from_pretrained(text / "tokenizer_2"),
        t5=load_component(T5EncoderModel, text / "text_encoder_2", unused=T5_DECODER),
        projection=load_component(AudioLDM2ProjectionModel, text / "projection_model"),
        language_model=load_component(GPT2LMHeadModel, text / "language_model"),
    )
    return load_component(AudioLDM2UNet2DConditionModel, music / "unet"), scheduler, None, text_encoder


def _load_t5_music(
    music: Path, text: Path, allow_pickle: bool
) -> tuple[ModelMixin, DDIMScheduler, PreTrainedTokenizerBase, PreTrainedModel]:
    tokenizer = AutoTokenizer.from_pretrained(text)
    if (music / "unet").is_dir():
        unet = load_component(UNet2DConditionModel, music / "unet")
        scheduler = _load_scheduler(music / "scheduler")
        return unet, scheduler, tokenizer, load_component(T5EncoderModel, text, unused=T5_DECODER)
    parts = read_tango(music, allow_pickle)
    described = music / "unet_config.json"
    config = json.loads(described.read_text(encoding="utf-8")) if described.is_file() else TANGO_UNET
    unet = load_state(UNet2DConditionModel.from_config(config), parts["unet"], f"the UNet in {music}")
    scheduler = _explicit_scheduler(TANGO_SCHEDULER)
    if not parts["text_encoder"]:
        return unet, scheduler, tokenizer, load_component(T5EncoderModel, text, unused=T5_DECODER)
    # Tango's file holds the text encoder that it was trained with: that one counts.
    text_encoder = T5EncoderModel(AutoConfig.from_pretrained(text))
    return unet, scheduler, tokenizer, load_state(text_encoder, parts["text_encoder"], f"the text encoder in {music}")


def _load_scheduler(folder: Path) -> DDIMScheduler:
    """The noise schedule of a public model, whatever sampler it was published with."""
    return _explicit_scheduler(DDIMScheduler.load_config(folder, local_files_only=True))


def _explicit_scheduler(config: Mapping[str, Any]) -> DDIMScheduler:
    """A noise schedule in whose configuration every setting was said.

    diffusers remembers which settings were defaults and lets another sampler made from the configuration replace
    them by its own; the memory does not survive saving. So a schedule of defaults would sample otherwise after
    loading.
    """
    settings = DDIMScheduler.from_config(dict(config), clip_sample=False).config
    return DDIMScheduler(**{name: settings[name] for name in inspect.signature(DDIMScheduler).parameters})


def _build_full_synapse(
    preset: Preset,
    unet: ModelMixin,
    image_unet: UNet2DConditionModel,
    fusion: str | None = None,
    gate_init: float | None = None,
    project: bool | None = None,
    seed: int = 0,
) -> VisualSynapse:
    """An untrained synapse between the decoders of an image and a music UNet, layer by layer in order."""
    music_dims, image_dims = (
        [network.get_submodule(name.removesuffix(".processor")).inner_dim for name in names]
        for network, names in (
            (unet, decoder_attention_names(unet, "attn2")),
            (image_unet, decoder_attention_names(image_unet, "attn1")),
        )
    )
    if len(music_dims) != len(image_dims):
        raise WeightsError(
            f"the music UNet's decoder has {len(music_dims)} layers to connect, the image UNet's has {len(image_dims)}"
        )
    if project is False and music_dims != image_dims:
        raise WeightsError(f"widths of music {music_dims} and picture {image_dims} differ: a projection is needed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_synapse(
            unet,
            image_dims,
            preset.key_timesteps,
            preset.num_inversion_steps,
            fusion=fusion or preset.fusion,
            gate_init=preset.gate_init if gate_init is None else gate_init,
            project=music_dims != image_dims if project is None else project,
        )
