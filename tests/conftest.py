"""Tiny, seeded components of the shipped model's kinds, real classes throughout: no network, no GPU, no checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from PIL import Image
from transformers import AutoTokenizer, BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
from melfusion_core.engines.spectrogram.patch_codec import PatchCodec
from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
from melfusion_core.mel import MelConfig
from melfusion_core.models.picture_encoder import PictureEncoder
from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.models.text import find_minilm, load_minilm
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from melfusion_core.training.presets import told_unet

TINY_MEL = MelConfig(sample_rate=800, n_fft=64, hop_length=16, n_mels=32, fmin=0.0, fmax=400.0)
PICTURE_EYE = {
    "library": "timm",
    "architecture": "test_efficientnet",
    "size": 32,
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.2, 0.2],
}
TextModels = tuple[PreTrainedTokenizerBase, PreTrainedModel]


def make_image_unet(text_dim: int = 32) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=text_dim,
        attention_head_dim=(1, 2),
        norm_num_groups=4,
    ).eval()


def make_told_unet(dim: int, text_dim: int = 32) -> UNet2DConditionModel:
    """An image UNet that is told what pictures show, by embeddings of ``dim`` features."""
    return told_unet(make_image_unet(text_dim), dim).eval()


def make_picture_encoder(**settings: object) -> PictureEncoder:
    """A seeded encoder whose regressions say something."""
    torch.manual_seed(0)
    pixels = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    spoken = {"a pet": [0, 1], "the shore": [2, 3], "beach": [2]}
    values = {
        "eyes": [PICTURE_EYE],
        "words": ("cat", "dog", "beach", "cliff"),
        "spoken": spoken,
        "codes": 3,
        "text_dim": 8,
        "gamma": 0.01,
        "supports": 5,
    }
    encoder = PictureEncoder(**{**values, **settings}).eval().requires_grad_(False)
    features, _ = encoder.see(pixels)
    width = features.shape[1]
    encoder.register_to_config(features=width)
    encoder.feature_mean, encoder.feature_std = features.mean(0), features.std(0).clamp_min(1e-3)
    encoder.support = encoder.see(pixels)[0]
    for name in ("mood_dual", "meaning_dual", "word_codes", "basis", "text_mean", "meaning_mean", "mood_mean"):
        setattr(encoder, name, torch.randn(getattr(encoder, name).shape))
    encoder.meaning_std = 0.5 * torch.arange(1.0, 1.0 + encoder.config.codes)
    encoder.text_gain = torch.tensor(0.4)
    return encoder


def make_music_unet(text_dim: int = 32) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=(64, 4),
        in_channels=4 + 1 + 2 * 2,  # with coordinates: up the frequencies, and along the time in two octaves
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=text_dim,
        attention_head_dim=(1, 2),
        norm_num_groups=4,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=text_dim,
    ).eval()


def make_codec() -> PatchCodec:
    codec = PatchCodec(
        patch=(8, 8), latent_channels=4, latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[4.0, 2.0, 1.5, 1.0]
    ).eval()
    level = torch.ones(1, 64)  # the first component is a patch's level, as in a fitted codec
    rest = torch.randn(3, 64, generator=torch.Generator().manual_seed(3))
    basis = torch.linalg.qr(torch.cat([level, rest]).T).Q.T
    codec.basis.data.copy_(basis * basis.sum(dim=1, keepdim=True).sign())
    return codec


def make_engine() -> SpectrogramEngine:
    vocoder = ISTFTVocoder(dim=8, num_layers=1, expansion=2, **TINY_MEL.to_dict())
    return SpectrogramEngine(make_codec(), vocoder).eval()


def make_synapse(**settings: Any) -> VisualSynapse:
    dims = {"num_layers": 2, "music_dims": (16, 16), "image_dims": (16, 16), "heads": (2, 2)}
    return VisualSynapse(**{**dims, "num_inversion_steps": 2, **settings}).eval()


def music_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="sample",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )


def image_scheduler() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="sample")


@pytest.fixture(scope="session")
def tiny_text() -> TextModels:
    """The real tokenizer with a seeded two-layer encoder of width 32."""
    tokenizer = AutoTokenizer.from_pretrained(find_minilm(verify=False), local_files_only=True)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    return tokenizer, BertModel(config).eval()


@pytest.fixture(scope="session")
def minilm() -> TextModels:
    return load_minilm()


@pytest.fixture(scope="session")
def make_tiny_pipeline(tiny_text: TextModels) -> Callable[..., MelFusionPipeline]:
    """Build a pipeline with equal weights every time; keyword arguments go to the synapse."""

    def make(text: TextModels = tiny_text, **settings: Any) -> MelFusionPipeline:
        tokenizer, text_encoder = text
        torch.manual_seed(0)
        text_dim = text_encoder.config.hidden_size
        pipe = MelFusionPipeline(
            engine=make_engine(),
            unet=make_music_unet(text_dim),
            image_unet=make_image_unet(text_dim),
            synapse=make_synapse(**settings),
            scheduler=music_scheduler(),
            image_scheduler=image_scheduler(),
            tokenizer=tokenizer,
            text_encoder=text_encoder,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return make


@pytest.fixture(scope="session")
def shared_pipeline(make_tiny_pipeline: Callable[..., MelFusionPipeline]) -> MelFusionPipeline:
    """One tiny pipeline for all tests that leave it as it is."""
    return make_tiny_pipeline()


@pytest.fixture
def tiny_pipeline(make_tiny_pipeline: Callable[..., MelFusionPipeline]) -> MelFusionPipeline:
    """A tiny pipeline of the test's own."""
    return make_tiny_pipeline()


@pytest.fixture(scope="session")
def sunset() -> Image.Image:
    """A picture: warm gradient from top to bottom."""
    rows = np.linspace(0.0, 1.0, 48)[:, None, None] * np.ones((1, 64, 1))
    return Image.fromarray((np.array([1.0, 0.6, 0.2]) * rows * 255).astype(np.uint8))


@pytest.fixture(scope="session")
def checkers() -> Image.Image:
    """Another picture: a cold chequerboard."""
    rows, columns = np.indices((64, 48)) // 8
    return Image.fromarray((((rows + columns) % 2)[..., None] * np.array([40, 90, 255])).astype(np.uint8))
