"""From a recipe to samples, and from samples to files: the part of a front end that decides reproducibility."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from melfusion_core.audio import AudioError, peak_dbfs, save_audio
from melfusion_core.cli.options import CommandError
from melfusion_core.mel import MelConfig, MelSpectrogram, mel_to_db
from melfusion_core.recipe import Recipe, embed_in_file, write_sidecar
from melfusion_core.spectrogram import plot_pair, save_figure

if TYPE_CHECKING:
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

PEAK_CEILING_DBFS = -0.3
SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".mp3": None}


def load_pipeline(folder: str | Path, device: str = "auto") -> MelFusionPipeline:
    """Load a checkpoint for rendering.

    Args:
        folder: Checkpoint in diffusers format.
        device: "auto" for CUDA where there is one and else the CPU, or a name that torch knows.

    Returns:
        The pipeline, in float32, without progress bars of its own.

    Raises:
        CommandError: There is no model there, or no such device.
    """
    folder = Path(folder)
    if not (folder / "model_index.json").is_file():
        raise CommandError(f"There is no model in {folder}: it has no model_index.json.")
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with _quiet_loading():
        pipe = MelFusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    try:
        return pipe.to(device)
    except (RuntimeError, AssertionError) as error:
        raise CommandError(f"The device {device!r} cannot be used: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def _quiet_loading() -> Iterator[None]:
    """Loading takes a moment: the bars of diffusers and transformers would only flash."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    shown = [module for module in (diffusers_logging, transformers_logging) if module.is_progress_bar_enabled()]
    for module in shown:
        module.disable_progress_bar()
    try:
        yield
    finally:
        for module in shown:
            module.enable_progress_bar()


def render(
    pipe: MelFusionPipeline,
    recipe: Recipe,
    image: Image.Image | None,
    on_step: Callable[..., Any] | None = None,
) -> dict[str, torch.Tensor]:
    """Render what a recipe describes, before any gain.

    Args:
        pipe: Pipeline of the recipe's checkpoint.
        recipe: Settings.
        image: The recipe's picture; `None` where it has none.
        on_step: The pipeline's `callback_on_step_end`.

    Returns:
        Waveforms of shape `(samples,)` by the name of their `render`: one for "single", both for a comparison.

    Raises:
        CommandError: The pipeline does not accept the settings.
    """
    from melfusion_core.pipelines.inputs import GenerationRequest

    what = {"prompt": recipe.prompt or None, "image": image, "settings": recipe.changed(), "output_type": "pt"}
    try:
        pipe.check_inputs(GenerationRequest(**what))
    except ValueError as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error
    if not recipe.compares:
        return {"single": pipe(**what, callback_on_step_end=on_step).audios[0].float().cpu()}
    both = pipe.compare(**what, callback_on_step_end=on_step)
    return {
        "compare:with_image": both.with_image[0].float().cpu(),
        "compare:text_only": both.text_only[0].float().cpu(),
    }


def safe_gain_db(waveforms: list[torch.Tensor]) -> float:
    """Find the gain that keeps peaks below full scale: 0 dB unless one is needed, and the same for all.

    Args:
        waveforms: Mono waveforms, each of shape `(samples,)`.

    Returns:
        Gain in dB, at most 0.
    """
    peak = max(peak_dbfs(waveform) for waveform in waveforms)
    return min(0.0, PEAK_CEILING_DBFS - peak)


def apply_gain(waveform: torch.Tensor, gain_db: float) -> torch.Tensor:
    """Scale a waveform; 0 dB leaves every bit as it is.

    Args:
        waveform: Of shape `(samples,)`.
        gain_db: Gain in dB.

    Returns:
        Waveform of the same shape.
    """
    return waveform * 10.0 ** (gain_db / 20.0) if gain_db else waveform


def write_take(path: Path, waveform: torch.Tensor, recipe: Recipe, cover: Image.Image | None = None) -> list[Path]:
    """Write a take: the audio with its recipe in the tags, and the recipe beside it. Each file whole, or not at all.

    Args:
        path: Audio file; its suffix is one of `SUBTYPES`. 16-bit samples, without dither.
        waveform: Final samples of shape `(samples,)`, at the recipe's sample rate.
        recipe: To embed.
        cover: Picture for the cover; `None` for none.

    Returns:
        Paths of the audio file and of the JSON file.

    Raises:
        CommandError: The files could not be written, for instance because the disk is full.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        save_audio(part, waveform, recipe.sample_rate, subtype=SUBTYPES[path.suffix.lower()])
        embed_in_file(part, recipe, cover)
        sidecar = write_sidecar(path, recipe)
        os.replace(part, path)
    except (OSError, AudioError) as error:
        raise write_error(path, error) from error
    finally:
        part.unlink(missing_ok=True)
    return [path, sidecar]


def write_spectrogram(path: Path, waveforms: list[torch.Tensor], sample_rate: int, config: MelConfig) -> Path:
    """Draw two takes and their difference on one dB scale.

    Args:
        path: PNG file to write, whole or not at all.
        waveforms: The one with the picture and the one without, each of shape `(samples,)`.
        sample_rate: Of the waveforms, in Hz.
        config: Of the model's mel spectrograms, at the same sample rate.

    Returns:
        The path.

    Raises:
        CommandError: The file could not be written.
    """
    if sample_rate != config.sample_rate:
        raise ValueError(f"The waveforms have {sample_rate} Hz and the mel settings {config.sample_rate} Hz.")
    transform = MelSpectrogram(config)
    whole = waveforms[0].shape[-1] // config.hop_length * config.hop_length
    mels = [mel_to_db(transform(waveform[None, :whole]), config)[0, 0] for waveform in waveforms]
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        save_figure(plot_pair(mels[0], mels[1], config), part)
        os.replace(part, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def write_error(path: Path, error: Exception) -> CommandError:
    """Say in one line why a file could not be written.

    Args:
        path: Of the file.
        error: What went wrong.

    Returns:
        Error to raise.
    """
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "the disk is full"
    elif isinstance(error, AudioError) and path.parent.is_dir():
        reason = f"{reason} ({shutil.disk_usage(path.parent).free / 1e6:,.0f} MB are free on that disk)"
    return CommandError(f"{path} could not be written: {reason}.", code=1)


def unused_path(path: Path) -> Path:
    """Find a name that no file has yet.

    Args:
        path: Wanted path of an audio file.

    Returns:
        The path, or the first with "-2", "-3" ... after its stem where an audio or JSON file has that name.
    """
    candidate, count = path, 1
    while candidate.exists() or candidate.with_suffix(".json").exists():
        count += 1
        candidate = path.with_stem(f"{path.stem}-{count}")
    return candidate
