"""The networks of melfusion-mini and a tiny variant of each for tests."""

from __future__ import annotations

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from melfusion_core.models.vocoder import ISTFTVocoder

SIZES = ("mini", "tiny")
TEXT_DIM = 384


def _check(size: str) -> None:
    if size not in SIZES:
        raise ValueError(f"size must be one of {SIZES}, got {size!r}")


def build_vae(size: str = "mini") -> AutoencoderKL:
    """The music VAE: log-mel (batch, 1, frames, 128) to latents, 8 times smaller in time and frequency.

    Args:
        size: ``mini`` or ``tiny``.

    Returns:
        The untrained network.
    """
    _check(size)
    mini = size == "mini"
    levels = 2
    return AutoencoderKL(
        in_channels=16,  # 4 x 4 patches of the spectrogram
        out_channels=16,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=(64, 128) if mini else (8, 8),
        layers_per_block=1,
        latent_channels=16 if mini else 4,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=1.0,
        force_upcast=False,
        mid_block_add_attention=False,
    )


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
        block_out_channels=(128, 256) if mini else (16, 32),
        layers_per_block=1,
        cross_attention_dim=TEXT_DIM,
        attention_head_dim=(4, 8) if mini else (2, 2),
        norm_num_groups=16 if mini else 8,
    )


def build_music_unet(size: str = "mini", latent_channels: int = 16) -> UNet2DConditionModel:
    """The music model's UNet; its last input channel is the frequency coordinate.

    Args:
        size: ``mini`` or ``tiny``.
        latent_channels: Channels of the VAE's latents.

    Returns:
        The untrained network.
    """
    _check(size)
    mini = size == "mini"
    return UNet2DConditionModel(
        sample_size=(80, 16),
        in_channels=latent_channels + 1,
        out_channels=latent_channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 256) if mini else (8, 16, 32),
        layers_per_block=1,
        cross_attention_dim=TEXT_DIM,
        attention_head_dim=(2, 4, 8) if mini else (1, 2, 2),
        norm_num_groups=16 if mini else 8,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=TEXT_DIM,
    )


def image_scheduler() -> DDIMScheduler:
    """Noise schedule of the image model: scaled linear, v-prediction."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def music_scheduler() -> DDIMScheduler:
    """Noise schedule of the music model: scaled linear with zero terminal SNR, v-prediction, trailing steps."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
