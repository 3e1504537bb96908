"""What full-size models weigh and cost, from their configurations alone: networks on the meta device hold no weights.

Counts of parameters and of floating-point operations are exact for the configurations in `presets`. Memory is the
weights plus a stated allowance; time is operations over a stated throughput, with a floor for each UNet call, which
small batches on a large device do not go below: estimates, not measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import SpeechT5HifiGanConfig, T5Config, T5EncoderModel

from melfusion_core.full_size import presets
from melfusion_core.full_size.hifigan import HifiGanVocoder
from melfusion_core.full_size.presets import Preset

LATENT = (8, 256, 16)  # 10.24 s at 16 kHz
BRANCHES = 3  # nothing, caption, caption and picture: one UNet input each
STEPS = 200  # of the paper
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# Share of a device's peak that such convolutional UNets reach, and peaks in operations per second (dense half
# precision, makers' figures; the CPU's is what two cores were measured to do in single precision).
UTILISATION = 0.35
DEVICES = {"H100": 989e12, "A100": 312e12, "RTX 4090": 165e12, "2-core CPU (float32)": 0.13e12 / UTILISATION}
FLOOR_S = 0.02  # starting the kernels of one UNet call
ACTIVATIONS_GB = 1.5  # working memory of a forward pass at batch 1 with three branches, attention in blocks


@dataclass(frozen=True)
class Part:
    """One network.

    Args:
        name: Which component.
        parameters: Number of its parameters.
        flops: Floating-point operations (multiply and add are two) of one forward pass, batch 1.
        calls: Forward passes for one clip of 10.24 s.
    """

    name: str
    parameters: int
    flops: float
    calls: int

    @property
    def total_flops(self) -> float:
        """Operations for one clip."""
        return self.flops * self.calls


def table(preset: Preset, resolution: int = 512, steps: int = STEPS) -> str:
    """The table of parameters, memory and time, as Markdown.

    Args:
        preset: Which.
        resolution: Side of the picture in pixels.
        steps: Denoising steps.

    Returns:
        The table.
    """
    parts = _count(preset, resolution, steps)
    lines = [
        f"Preset {preset.name}, pictures {resolution} x {resolution}, {steps} steps, one clip of 10.24 s.",
        "",
        "| component | parameters | float16 | operations per call | calls | operations per clip |",
        "|---|---|---|---|---|---|",
    ]
    for part in parts:
        lines.append(
            f"| {part.name} | {part.parameters / 1e6:,.1f} M | {part.parameters * 2 / 1e9:.2f} GB | "
            f"{part.flops / 1e12:.3f} TFLOP | {part.calls} | {part.total_flops / 1e12:,.1f} TFLOP |"
        )
    total = sum(part.parameters for part in parts)
    half, offloaded, single = _memory_gb(parts), _memory_gb(parts, offload=True), _memory_gb(parts, "float32")
    times = ", ".join(f"{name} {_seconds(parts, peak):,.0f} s" for name, peak in DEVICES.items())
    lines += [
        f"| all | {total / 1e6:,.1f} M | {total * 2 / 1e9:.2f} GB | | | "
        f"{sum(part.total_flops for part in parts) / 1e12:,.1f} TFLOP |",
        "",
        f"Memory on the device (estimate): {half:.1f} GB in float16, {offloaded:.1f} GB with CPU offload, "
        f"{single:.1f} GB in float32.",
        f"Time of a clip (estimate, at {UTILISATION:.0%} of the peak): {times}.",
    ]
    return "\n".join(lines)


@torch.no_grad()
def _count(preset: Preset, resolution: int, steps: int) -> list[Part]:
    """Every network that works while a clip is made; of AudioLDM2's and MusicLDM's text encoders, which run once,
    nothing is counted."""
    side, tokens = resolution // 8, preset.max_caption_tokens
    inversions = preset.num_inversion_steps + len(preset.key_timesteps)
    # Name: how it is made, what it is given once, and how often it runs.
    networks: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], int]] = {
        "image VAE": (
            lambda: AutoencoderKL(**presets.SD_VAE),
            lambda vae: vae.encoder(torch.zeros(1, 3, resolution, resolution)),
            1,
        ),
        "image UNet": (
            lambda: UNet2DConditionModel(**presets.SD15_UNET),
            lambda unet: unet(torch.zeros(1, 4, side, side), 1, torch.zeros(1, 77, 768)),
            inversions,
        ),
        "text encoder": (
            lambda: T5EncoderModel(T5Config(**presets.FLAN_T5_LARGE)),
            lambda t5: t5(torch.zeros(1, tokens, dtype=torch.long)),
            2,
        ),
        "music UNet": (*_music_unet(preset.kind, tokens), BRANCHES * steps),
        "music VAE": (
            lambda: AutoencoderKL(**presets.AUDIO_VAE),
            lambda vae: vae.decode(torch.zeros(1, *LATENT)),
            1,
        ),
        "vocoder": (
            lambda: HifiGanVocoder(SpeechT5HifiGanConfig(**presets.HIFIGAN)),
            lambda vocoder: vocoder(torch.zeros(1, 1024, 64)),
            1,
        ),
    }
    if preset.kind != "t5":
        del networks["text encoder"]
    parts = []
    for name, (build, call, calls) in networks.items():
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            network = build().eval()
            call(network)
        parameters = sum(weight.numel() for weight in network.parameters())
        parts.append(Part(name, parameters, counter.get_total_flops(), calls))
    return parts


def _music_unet(kind: str, tokens: int) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    latents = torch.zeros(1, *LATENT, device="meta")
    t5, lm = torch.zeros(1, tokens, 1024, device="meta"), torch.zeros(1, 8, 768, device="meta")
    if kind == "t5":
        return lambda: UNet2DConditionModel(**presets.TANGO_UNET), lambda unet: unet(latents, 1, t5)
    if kind == "audioldm2":
        return (
            lambda: AudioLDM2UNet2DConditionModel(**presets.AUDIOLDM2_UNET),
            lambda unet: unet(latents, 1, lm, encoder_hidden_states_1=t5),
        )
    return (
        lambda: UNet2DConditionModel(**presets.MUSICLDM_UNET),
        lambda unet: unet(latents, 1, None, class_labels=torch.zeros(1, 512)),
    )


def _seconds(parts: list[Part], peak: float) -> float:
    total = 0.0
    for part in parts:
        batches = part.calls / BRANCHES if part.name == "music UNet" else part.calls  # its branches are one batch
        total += max(part.total_flops / (peak * UTILISATION), FLOOR_S * batches)
    return total


def _memory_gb(parts: list[Part], dtype: str = "float16", offload: bool = False) -> float:
    """Weights plus working memory, in 10^9 bytes."""
    weights = [part.parameters * BYTES[dtype] / 1e9 for part in parts]
    return (max(weights) if offload else sum(weights)) + ACTIVATIONS_GB * BYTES[dtype] / 2
