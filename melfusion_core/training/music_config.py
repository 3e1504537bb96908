"""Settings of the trainer of the music UNet and its synapse."""

from __future__ import annotations

from dataclasses import dataclass

from melfusion_core.training.config import TrainConfig


@dataclass(frozen=True)
class MusicConfig(TrainConfig):
    """Train the music UNet and the visual synapse together.

    Args:
        data: Folder that the prepare step wrote, or a corpus or packs to prepare first, into `out/prepared`.
        image_unet: Folder of the trained image UNet, to prepare with.
        subset: Clips to prepare: `core`, `full` or `all`.
        size: Network size, `mini` or `tiny`.
        batch_size: Crops per step and process; half as many where crops are full clips.
        learning_rate: Peak learning rate.
        ema_decay: Decay of the moving average of the weights, after its own warm-up.
        crop_frames: Latent frames per crop.
        full_from: Fraction of the run after which whole clips are shown instead of crops; 1 for never.
        text_dropout: Fraction of crops without their caption.
        image_dropout: Fraction of crops without their picture.
        both_dropout: Fraction of crops with neither.
        pairing_width: A clip's picture is drawn anew at every step, with this standard deviation on the axes of
            valence and arousal (0 to 1) around the music's; 0 for always its own. The corpus pairs with about 0.08.
        picture_crop: Smallest side of the window that each step cuts from its pictures' token grids, drawn evenly from
            here to 1; 1 for whole pictures.
        caption_draws: Captions drawn per crop, of which the longest is taken: above 1, more of them say much.
        min_snr_gamma: Gamma of the min-SNR weighting.
        timestep_shift: How much timesteps crowd towards the noise, in training and in the measured losses; 1 is even.
        init: Folder with the `unet` and `synapse` to start from (a run's export, or a model) instead of random
            weights; it brings its own size.
        gate_rate: Learning rate of the gates relative to the rest.
        validation_clips: Held-out clips to measure on.
        vae: Folder of the music VAE, for samples; empty for none.
        vocoder: Folder of the vocoder, for audio samples; empty for pictures only.
        sample_steps: Denoising steps of the samples.
        sample_guidance: Guidance scale of the samples.
    """

    size: str = "mini"
    batch_size: int = 16
    learning_rate: float = 4e-4
    ema_decay: float = 0.999
    sample_minutes: float = 12.0
    validate_minutes: float = 6.0
    crop_frames: int = 40
    full_from: float = 0.85
    text_dropout: float = 0.15
    image_dropout: float = 0.15
    both_dropout: float = 0.10
    pairing_width: float = 0.08
    picture_crop: float = 1.0
    caption_draws: int = 1
    min_snr_gamma: float = 5.0
    timestep_shift: float = 4.0
    gate_rate: float = 10.0
    validation_clips: int = 48
    vae: str = ""
    vocoder: str = ""
    sample_steps: int = 20
    sample_guidance: float = 3.5
    image_unet: str = ""
    subset: str = "all"
    init: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        rates = (self.text_dropout, self.image_dropout, self.both_dropout)
        self.require(min(rates) >= 0 and sum(rates) <= 1, "dropouts must not be negative, nor more than 1 in sum")
        self.require(self.crop_frames > 0 and self.crop_frames % 4 == 0, "crop_frames must be a multiple of 4")
        self.require(0 <= self.full_from <= 1, "full_from must be in [0, 1]")
        self.require(self.batch_size >= 2 and self.validation_clips >= 2, "batches need at least 2 examples")
        self.require(self.min_snr_gamma > 0 and self.gate_rate > 0, "min_snr_gamma and gate_rate must be positive")
        self.require(self.timestep_shift >= 1, "timestep_shift must be at least 1")
        self.require(self.pairing_width >= 0, "pairing_width must not be negative")
        self.require(0 < self.picture_crop <= 1, "picture_crop must be above 0 and at most 1")
        self.require(self.caption_draws >= 1, "caption_draws must be at least 1")
        self.require(not self.init or self.size == MusicConfig.size, "init brings its own size")
