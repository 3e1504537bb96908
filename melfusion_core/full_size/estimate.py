"""What full-size models weigh and cost, from their configurations alone: networks on the meta device hold no weights.

Counts of parameters and of floating-point operations are exact for the configurations in ``presets``. Memory is the
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


@torch.no_grad()
def measure(name: str, build: Callable[[], torch.nn.Module], call: Callable[[Any], Any], calls: int) -> Part:
    """Count a network's parameters and operations on the meta device.

    Args:
        name: What to call it.
        build: Makes the network.
        call: Runs one forward pass on meta tensors.
        calls: Forward passes for one clip.

    Returns:
        The counts.
    """
    with torch.device("meta"):
        network = build().eval()
        counter = FlopCounterMode(display=False)
        with counter:
            call(network)
    return Part(name, sum(weight.numel() for weight in network.parameters()), counter.get_total_flops(), calls)


def estimate(preset: Preset, resolution: int = 512, steps: int = STEPS) -> list[Part]:
    """Count every network of a preset that works while a clip is made.

    Args:
        preset: Which.
        resolution: Side of the picture in pixels.
        steps: Denoising steps.

    Returns:
        The parts. Of AudioLDM2's and MusicLDM's text encoders, which run once, nothing is counted.
    """
    side = resolution // 8
    inversions = preset.num_inversion_steps + len(preset.key_timesteps)

    def image_forward(unet: UNet2DConditionModel) -> Any:
        return unet(torch.zeros(1, 4, side, side), 1, torch.zeros(1, 77, 768))

    parts = [
        measure("image VAE", lambda: AutoencoderKL(**presets.SD_VAE), lambda vae: _encode(vae, resolution), 1),
        measure("image UNet", lambda: UNet2DConditionModel(**presets.SD15_UNET), image_forward, inversions),
    ]
    tokens = preset.max_caption_tokens
    if preset.kind == "t5":
        parts.append(
            measure(
                "text encoder",
                lambda: T5EncoderModel(T5Config(**presets.FLAN_T5_LARGE)),
                lambda t5: t5(torch.zeros(1, tokens, dtype=torch.long)),
                2,
            )
        )
    parts.append(_music_unet(preset, tokens, steps))
    parts.append(
        measure(
            "music VAE",
            lambda: AutoencoderKL(**presets.AUDIO_VAE),
            lambda vae: vae.decode(torch.zeros(1, *LATENT)),
            1,
        )
    )
    parts.append(
        measure(
            "vocoder",
            lambda: HifiGanVocoder(SpeechT5HifiGanConfig(**presets.HIFIGAN)),
            lambda vocoder: vocoder(torch.zeros(1, 1024, 64)),
            1,
        )
    )
    return parts


def _encode(vae: AutoencoderKL, resolution: int) -> Any:
    return vae.encoder(torch.zeros(1, 3, resolution, resolution))


def _music_unet(preset: Preset, tokens: int, steps: int) -> Part:
    latents = torch.zeros(1, *LATENT, device="meta")
    states = {name: torch.zeros(1, *size, device="meta") for name, size in (("t5", (tokens, 1024)), ("lm", (8, 768)))}
    builders: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
        "t5": (lambda: UNet2DConditionModel(**presets.TANGO_UNET), lambda unet: unet(latents, 1, states["t5"])),
        "audioldm2": (
            lambda: AudioLDM2UNet2DConditionModel(**presets.AUDIOLDM2_UNET),
            lambda unet: unet(latents, 1, states["lm"], encoder_hidden_states_1=states["t5"]),
        ),
        "musicldm": (
            lambda: UNet2DConditionModel(**presets.MUSICLDM_UNET),
            lambda unet: unet(latents, 1, None, class_labels=torch.zeros(1, 512)),
        ),
    }
    build, call = builders[preset.kind]
    return measure("music UNet", build, call, BRANCHES * steps)


def seconds(parts: list[Part], peak: float) -> float:
    """Estimated time of one clip.

    Args:
        parts: What :func:`estimate` gave.
        peak: The device's peak in operations per second.

    Returns:
        Seconds.
    """
    total = 0.0
    for part in parts:
        batches = part.calls / BRANCHES if part.name == "music UNet" else part.calls  # its branches are one batch
        total += max(part.total_flops / (peak * UTILISATION), FLOOR_S * batches)
    return total


def memory_gb(parts: list[Part], dtype: str = "float16", offload: bool = False) -> float:
    """Estimated memory on the device.

    Args:
        parts: What :func:`estimate` gave.
        dtype: Of the weights.
        offload: Whether only one network at a time is on the device.

    Returns:
        Gigabytes (10^9 bytes): weights plus working memory.
    """
    weights = [part.parameters * BYTES[dtype] / 1e9 for part in parts]
    return (max(weights) if offload else sum(weights)) + ACTIVATIONS_GB * BYTES[dtype] / 2


def table(preset: Preset, resolution: int = 512, steps: int = STEPS) -> str:
    """The table of parameters, memory and time, as Markdown.

    Args:
        preset: Which.
        resolution: Side of the picture in pixels.
        steps: Denoising steps.

    Returns:
        The table.
    """
    parts = estimate(preset, resolution, steps)
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
    lines += [
        f"| all | {total / 1e6:,.1f} M | {total * 2 / 1e9:.2f} GB | | | "
        f"{sum(part.total_flops for part in parts) / 1e12:,.1f} TFLOP |",
        "",
        f"Memory on the device (estimate): {memory_gb(parts):.1f} GB in float16, "
        f"{memory_gb(parts, offload=True):.1f} GB with CPU offload, {memory_gb(parts, 'float32'):.1f} GB in float32.",
        f"Time of a clip (estimate, at {UTILISATION:.0%} of the peak): "
        + ", ".join(f"{name} {seconds(parts, peak):,.0f} s" for name, peak in DEVICES.items())
        + ".",
    ]
    return "\n".join(lines)
