"""The networks of melfusion-mini and a tiny variant of each for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler, ModelMixin, UNet2DConditionModel

from melfusion_core.engines.score.inputs import input_channels, output_channels
from melfusion_core.engines.score.layout import CHANNELS, ROWS
from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
from melfusion_core.models.features import decoder_attention_names
from melfusion_core.models.synapse import VisualSynapse

SIZES = ("mini", "tiny")
TEXT_DIM = 384
LISTENING = 4.0
"""Deviation of what a new layer adds to the timestep's embedding, which has 1.5 at timestep 100 in the mini.

Denoising hardly needs to be told, so what starts quiet stays quiet: of the variance of pictures' mean keys and values
in the mini's first connected layer, the told mood makes 1.5 % when started at 0.5, and 18 % at 4.
"""


def _check(size: str) -> None:
    if size not in SIZES:
        raise ValueError(f"size must be one of {SIZES}, got {size!r}")


def build_vocoder(size: str = "mini") -> ISTFTVocoder:
    """The vocoder.

    Args:
        size: ``mini`` or ``tiny``.

    Returns:
        The untrained network.
    """
    _check(size)
    return ISTFTVocoder() if size == "mini" else ISTFTVocoder(dim=16, num_layers=1, expansion=2)


def build_image_unet(size: str = "mini") -> UNet2DConditionModel:
    """The image model's UNet, in pixel space.

    Args:
        size: ``mini`` or ``tiny``.

    Returns:
        The untrained network.
    """
    _check(size)
    mini = size == "mini"
    return UNet2DConditionModel(
        sample_size=16 if mini else 8,  # of 4 x 4 patches of a 64 x 64 picture
        in_channels=48 if mini else 12,
        out_channels=48 if mini else 12,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(96, 160) if mini else (16, 32),
        layers_per_block=1,
        cross_attention_dim=TEXT_DIM,
        attention_head_dim=(3, 5) if mini else (2, 2),
        norm_num_groups=16 if mini else 8,
    )


@torch.no_grad()
def told_unet(unet: UNet2DConditionModel, dim: int) -> UNet2DConditionModel:
    """An image UNet that is told what pictures show, by one linear layer beside the timestep's embedding.

    Told zeros, it does what the other one does. It listens from the start: keys and values are to carry what it is
    told even where denoising has no use for it.

    Args:
        unet: An image UNet that is told nothing.
        dim: How many numbers it is to be told.

    Returns:
        The network, with the other's weights and a new layer.
    """
    settings = {name: value for name, value in unet.config.items() if not name.startswith("_")}
    settings |= {"class_embed_type": "simple_projection", "projection_class_embeddings_input_dim": dim}
    told = UNet2DConditionModel(**settings)
    layer = told.class_embedding
    layer.weight.normal_(0.0, LISTENING / dim**0.5)
    layer.bias.zero_()
    fresh = {f"class_embedding.{name}": value for name, value in layer.state_dict().items()}
    told.load_state_dict(unet.state_dict() | fresh)
    return told


def build_music_unet(
    size: str = "mini",
    latent_channels: int = 64,
    positions: tuple[int, int] = (80, 4),
    coordinates: int = 15,
    width: int = 0,
) -> UNet2DConditionModel:
    """The music model's UNet; its last input channels are coordinates.

    Wide and shallow on few positions: with attention on both levels every beat can look at every other one.

    Args:
        size: ``mini`` or ``tiny``.
        latent_channels: Channels of the codec's latents.
        positions: Latent positions of a whole clip along time and frequency; both even.
        coordinates: Input channels for coordinates, 0 or odd; see
            :func:`~melfusion_core.engines.spectrogram.latents.add_coordinates`.
        width: Channels of the first level, half those of the second, a multiple of 32; 0 for the size's own.

    Returns:
        The untrained network.

    Raises:
        ValueError: When the width is out of range.
    """
    _check(size)
    if width < 0 or width % 32:
        raise ValueError(f"width must be a multiple of 32, got {width}")
    mini = size == "mini"
    width = width or (128 if mini else 16)
    heads = width // 32 if mini else 2
    return UNet2DConditionModel(
        sample_size=positions,
        in_channels=latent_channels + coordinates,
        out_channels=latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        block_out_channels=(width, 2 * width),
        layers_per_block=1,
        cross_attention_dim=TEXT_DIM,
        attention_head_dim=(heads, 2 * heads) if mini else (2, 2),
        norm_num_groups=16 if mini else 8,
        class_embed_type="projection",  # of the caption's pooled embedding
        projection_class_embeddings_input_dim=TEXT_DIM,
    )


def build_score_unet(size: str = "mini", fold: int = 1, width: int = 0) -> UNet2DConditionModel:
    """The music UNet of the score engine; see :mod:`melfusion_core.engines.score.inputs` for what it sees.

    Args:
        size: ``mini`` or ``tiny``.
        fold: How many rows of the latent image become one.
        width: Channels of the first level, half those of the second, a multiple of 32; 0 for the size's own.

    Returns:
        The untrained network.
    """
    unet = build_music_unet(size, CHANNELS * fold, (32, ROWS // fold), 0, width)
    channels = {"in_channels": input_channels(fold), "out_channels": output_channels(fold)}
    unet = UNet2DConditionModel.from_config(unet.config, **channels)
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet


def build_synapse(
    unet: ModelMixin,
    image_dims: Sequence[int],
    key_timesteps: Sequence[int],
    num_inversion_steps: int,
    **settings: Any,
) -> VisualSynapse:
    """A synapse between a music UNet's decoder and an image UNet's, layer by layer in order.

    Args:
        unet: The music UNet.
        image_dims: Width of each connected layer of the image UNet.
        key_timesteps: Image-model timesteps of the features.
        num_inversion_steps: Steps of the pictures' inversion.
        settings: Further arguments of the synapse.

    Returns:
        The untrained synapse.
    """
    names = decoder_attention_names(unet, "attn2")
    layers = [unet.get_submodule(name.removesuffix(".processor")) for name in names]
    return VisualSynapse(
        num_layers=len(layers),
        music_dims=[layer.inner_dim for layer in layers],
        image_dims=list(image_dims),
        heads=[layer.heads for layer in layers],
        key_timesteps=key_timesteps,
        num_inversion_steps=num_inversion_steps,
        **settings,
    )


def image_scheduler() -> DDIMScheduler:
    """Noise schedule of the image model: scaled linear.

    The network predicts the clean picture, for the reason given at :func:`music_scheduler`. Measured on two runs with
    the same seed: v-prediction took 792 steps to the weighted validation loss (0.105) that the clean picture reached
    after 207.

    Returns:
        The schedule.
    """
    return _scheduler()


def music_scheduler() -> DDIMScheduler:
    """Noise schedule of the music model: scaled linear with zero terminal SNR, trailing steps.

    The network predicts the clean latents: it has few more channels than a position has values, and noise does not fit
    through them (Li & He 2025, "Back to basics: let denoising generative models denoise").

    Returns:
        The schedule.
    """
    return _scheduler(rescale_betas_zero_snr=True, timestep_spacing="trailing")


def _scheduler(**more: Any) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="sample",
        clip_sample=False,
        set_alpha_to_one=True,
        **more,
    )
