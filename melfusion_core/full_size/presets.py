"""Which public repositories make which full-size pipeline, and the architectures that they hold.

The repositories' commit hashes are not written here: a hash that nobody could check would be worse than none. An
assembly asks the Hub for the hash that each repository has at that moment, downloads exactly that, and records it in
the result's `assembly.json`; giving that file back (`--lock`) repeats the assembly. A hash may also be given by
hand.

The configurations below are those of the published models; they serve the tables of parameters, memory and time, and,
where a repository has weights but no configuration that diffusers reads (Tango), the loading itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repository:
    """A public repository and the folders of it that are used.

    Args:
        repo: Name on the Hub.
        folders: Sub-folders, or `""` for its top.
        pickle: Name of a weight file that the repository publishes only as a pickle; None where it has safetensors.
    """

    repo: str
    folders: tuple[str, ...]
    pickle: str | None = None


@dataclass(frozen=True)
class Preset:
    """What a full-size pipeline is made of.

    Args:
        name: The preset.
        image: The image model: UNet, VAE, text encoder, tokenizer, scheduler.
        music: The music model's UNet.
        audio: The music VAE and the vocoder.
        text: The music model's text encoder.
        kind: How captions reach the UNet: `t5`, `audioldm2` or `musicldm`.
        max_caption_tokens: Captions are padded or cut to this many tokens.
        fusion: The synapse's fusion.
        gate_init: The synapse's gates before training; nearly closed, so that the public music model starts as it is.
        key_timesteps: Image-model timesteps whose features are used.
        num_inversion_steps: Steps of a picture's inversion.
    """

    name: str
    image: Repository
    music: Repository
    audio: Repository
    text: Repository
    kind: str
    max_caption_tokens: int = 128
    fusion: str = "interpolate"
    gate_init: float = 0.02
    key_timesteps: tuple[int, ...] = (1, 251, 501, 751)
    num_inversion_steps: int = 12

    def repositories(self) -> dict[str, Repository]:
        """The repositories by role: image, music, audio, text."""
        return {"image": self.image, "music": self.music, "audio": self.audio, "text": self.text}


STABLE_DIFFUSION = Repository(
    "stable-diffusion-v1-5/stable-diffusion-v1-5", ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
)
AUDIOLDM2 = "cvssp/audioldm2-music"
MUSICLDM = "ucsd-reach/musicldm"

TABLE = {
    "paper": Preset(
        "paper",
        image=STABLE_DIFFUSION,
        music=Repository("declare-lab/tango-full", ("",), pickle="pytorch_model_main.bin"),
        audio=Repository("cvssp/audioldm-s-full-v2", ("vae", "vocoder")),
        text=Repository("google/flan-t5-large", ("",)),
        kind="t5",
    ),
    "audioldm2": Preset(
        "audioldm2",
        image=STABLE_DIFFUSION,
        music=Repository(AUDIOLDM2, ("unet", "scheduler")),
        audio=Repository(AUDIOLDM2, ("vae", "vocoder")),
        text=Repository(
            AUDIOLDM2,
            ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "projection_model", "language_model"),
        ),
        kind="audioldm2",
        fusion="decoupled",
    ),
    "musicldm": Preset(
        "musicldm",
        image=STABLE_DIFFUSION,
        music=Repository(MUSICLDM, ("unet", "scheduler")),
        audio=Repository(MUSICLDM, ("vae", "vocoder")),
        text=Repository(MUSICLDM, ("text_encoder", "tokenizer")),
        kind="musicldm",
        fusion="decoupled",
    ),
}

_SD_BLOCKS = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
}
TANGO_UNET: dict[str, Any] = {  # declare-lab/tango, configs/diffusion_model_config.json
    **_SD_BLOCKS,
    "sample_size": (32, 2),
    "in_channels": 8,
    "out_channels": 8,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
    "upcast_attention": True,
}
TANGO_SCHEDULER: dict[str, Any] = {  # Stable Diffusion 2.1's, with which Tango was trained
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
SD15_UNET: dict[str, Any] = {**_SD_BLOCKS, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD_VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
AUDIO_VAE: dict[str, Any] = {  # embed_dim 8, ch 128, ch_mult 1 2 4, two residual blocks, no attention but the middle's
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": (128, 256, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 2,
    "latent_channels": 8,
    "sample_size": 1024,
    "scaling_factor": 0.9227914214134216,
}
HIFIGAN: dict[str, Any] = {
    "model_in_dim": 64,
    "sampling_rate": 16000,
    "upsample_initial_channel": 1024,
    "upsample_rates": [5, 4, 2, 2, 2],
    "upsample_kernel_sizes": [16, 16, 8, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    "normalize_before": False,
}
FLAN_T5_LARGE: dict[str, Any] = {
    "d_model": 1024,
    "d_ff": 2816,
    "d_kv": 64,
    "num_layers": 24,
    "num_heads": 16,
    "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": False,
    "use_cache": False,
}
_AUDIOLDM_BLOCKS = {
    "sample_size": 128,
    "in_channels": 8,
    "out_channels": 8,
    "block_out_channels": (128, 256, 384, 640),
    "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 3,
    "up_block_types": ("CrossAttnUpBlock2D",) * 3 + ("UpBlock2D",),
    "layers_per_block": 2,
}
AUDIOLDM2_UNET: dict[str, Any] = {
    **_AUDIOLDM_BLOCKS,
    "cross_attention_dim": [[None, 768, 1024]] * 4,
    "attention_head_dim": (4, 8, 12, 20),
}
MUSICLDM_UNET: dict[str, Any] = {
    **_AUDIOLDM_BLOCKS,
    "cross_attention_dim": (128, 256, 384, 640),
    "attention_head_dim": (4, 8, 12, 20),
    "class_embed_type": "simple_projection",
    "class_embeddings_concat": True,
    "projection_class_embeddings_input_dim": 512,
}
