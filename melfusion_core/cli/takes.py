"""From a recipe to samples, and from samples to files: the part of a front end that decides reproducibility."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from melfusion_core.audio import AudioError, peak_dbfs, save_audio
from melfusion_core.cli.options import CommandError
from melfusion_core.engines.base import Rendered
from melfusion_core.engines.score.direction import Direction
from melfusion_core.pipelines.loading import find_model
from melfusion_core.pipelines.rendering import Finished, Step, open_pipeline, render_takes
from melfusion_core.recipe import Recipe, embed_in_file, write_sidecar
from melfusion_core.score.midi import midi_bytes
from melfusion_core.spectrogram import save_figure

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
    try:
        return open_pipeline(find_model(folder), device)
    except (OSError, ValueError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error


def render(
    pipe: MelFusionPipeline,
    recipe: Recipe,
    image: Image.Image | None,
    on_step: Callable[[Step], Any] | None = None,
) -> dict[str, Rendered]:
    """Render what a recipe describes, before any gain.

    Args:
        pipe: Pipeline of the recipe's checkpoint.
        recipe: Settings.
        image: The recipe's picture; `None` where it has none.
        on_step: Called after every step.

    Returns:
        Takes by the name of their `render`: one for "single", both for a comparison.

    Raises:
        CommandError: The pipeline does not accept the settings.
    """
    try:
        direction = Direction.from_dict(recipe.direction) if recipe.direction else None
        for event in render_takes(pipe, recipe.prompt, image, recipe, recipe.compares, direction=direction):
            if isinstance(event, Finished):
                named = event.takes.items()
                return {f"compare:{name}" if recipe.compares else recipe.render: take for name, take in named}
            if on_step is not None:
                on_step(event)
    except ValueError as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error
    raise CommandError("The model finished without any sound.", code=1)


def safe_gain_db(waveforms: list[torch.Tensor]) -> float:
    """Find the gain that keeps peaks below full scale: 0 dB unless one is needed, and the same for all.

    Args:
        waveforms: Each of shape `(channels, samples)`.

    Returns:
        Gain in dB, at most 0.
    """
    peak = max(peak_dbfs(waveform) for waveform in waveforms)
    return min(0.0, PEAK_CEILING_DBFS - peak)


def apply_gain(waveform: torch.Tensor, gain_db: float) -> torch.Tensor:
    """Scale a waveform; 0 dB leaves every bit as it is.

    Args:
        waveform: Of shape `(channels, samples)`.
        gain_db: Gain in dB.

    Returns:
        Waveform of the same shape.
    """
    return waveform * 10.0 ** (gain_db / 20.0) if gain_db else waveform


@contextlib.contextmanager
def placing(out: Path) -> Iterator[Path]:
    """Give a folder to write files into: they come to lie beside `out` when all are there, and after a failure none.

    Args:
        out: The file that gives the others their names.

    Yields:
        The folder.

    Raises:
        CommandError: A file could not be written, for instance because the disk is full.
    """
    new: list[Path] = []
    try:
        with tempfile.TemporaryDirectory(prefix=".melfusion-", dir=out.parent) as folder:
            yield Path(folder)
            for file in Path(folder).iterdir():
                target = out.parent / file.name
                new += [target] * (not target.exists())
                os.replace(file, target)
    except (OSError, AudioError) as error:
        for target in new:
            target.unlink(missing_ok=True)
        raise write_error(out, error) from error


def write_take(path: Path, waveform: torch.Tensor, recipe: Recipe, cover: Image.Image | None = None) -> list[Path]:
    """Write a take: the audio with its recipe in the tags, and the recipe beside it.

    Args:
        path: Audio file; its suffix is one of `SUBTYPES`. 16-bit samples, without dither.
        waveform: Final samples of shape `(channels, samples)`, at the recipe's sample rate.
        recipe: To embed.
        cover: Picture for the cover; `None` for none.

    Returns:
        Paths of the audio file and of the JSON file.

    Raises:
        OSError: A file could not be written.
        AudioError: The audio could not be written.
    """
    save_audio(path, waveform, recipe.sample_rate, subtype=SUBTYPES[path.suffix.lower()])
    embed_in_file(path, recipe, cover)
    return [path, write_sidecar(path, recipe)]


def write_midi(path: Path, take: Rendered) -> Path:
    """Write a take's notes.

    Args:
        path: MIDI file.
        take: Made of notes.

    Returns:
        The path.

    Raises:
        OSError: The file could not be written.
    """
    assert take.score is not None
    path.write_bytes(midi_bytes(take.score))
    return path


def write_stems(path: Path, take: Rendered, gain_db: float) -> list[Path]:
    """Write the sound of every part beside a take; together they are the take.

    Args:
        path: The take's own file; the parts take its name, its format and their roles.
        take: Made of notes.
        gain_db: Gain of the take.

    Returns:
        The paths.

    Raises:
        AudioError: A file could not be written.
    """
    paths = []
    for role, stem in (take.stems or {}).items():
        paths.append(stem_path(path, role))
        save_audio(paths[-1], apply_gain(stem, gain_db), take.sample_rate, subtype=SUBTYPES[path.suffix.lower()])
    return paths


def stem_path(path: Path, role: str) -> Path:
    """Name the file of one part.

    Args:
        path: The take's own file.
        role: Of the part.

    Returns:
        The path.
    """
    return path.with_stem(f"{path.stem}-{role}")


def write_figure(path: Path, with_image: Rendered, text_only: Rendered) -> Path:
    """Draw two takes and what sets them apart.

    Args:
        path: PNG file to write.
        with_image: The one with the picture.
        text_only: The one without.

    Returns:
        The path.

    Raises:
        OSError: The file could not be written.
    """
    assert with_image.view is not None
    return save_figure(with_image.view.figure("With the picture", text_only.view, "Caption only"), path)


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
