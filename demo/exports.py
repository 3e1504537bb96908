"""Files to take home: sound in four formats with the recipe and the picture inside."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from PIL import Image, ImageOps

from demo import words
from demo.service import take_stem
from demo.take_files import tag_take
from demo.takes import StudioError, Take
from melfusion_core.audio import save_audio
from melfusion_core.recipe import write_sidecar
from melfusion_core.spectrogram import save_figure

FORMATS = ("WAV", "FLAC", "MP3", "MP4", "JSON", "PNG")
VIDEO_SIDE = 1080
VIDEO_COLOUR = (19, 16, 25)
FFMPEG_SECONDS = 120


def export_take(take: Take, mode: str, kind: str, folder: str | Path) -> Path:
    """Write a take as a file of a chosen kind.

    Args:
        take: To write.
        mode: Mode of the result that it belongs to, for the name.
        kind: One of ``FORMATS``.
        folder: Where to write.

    Returns:
        The file, named after the caption and the seed.

    Raises:
        StudioError: When the kind is unknown, or the program for it is not installed or fails.
    """
    if kind not in FORMATS:
        raise StudioError(words.UNKNOWN_FORMAT.format(kind=kind))
    path = Path(folder) / f"{take_stem(take.recipe, mode)}.{kind.lower()}"
    if kind == "JSON":
        return write_sidecar(path, take.recipe)
    if kind == "PNG":
        return save_figure(take.view.figure(take.recipe.prompt or take.title), path)
    if kind == "MP4":
        return _write_video(take, path)
    save_audio(path, take.samples, take.recipe.sample_rate, None if kind == "MP3" else "PCM_16")
    tag_take(path, take)
    return path


def _write_video(take: Take, path: Path) -> Path:
    program = shutil.which("ffmpeg")
    if program is None:
        raise StudioError(words.NO_FFMPEG)
    still, sound = path.with_suffix(".still.png"), path.with_suffix(".wav")
    picture = take.image
    if picture is None:
        figure = save_figure(take.view.figure(take.recipe.prompt), path.with_suffix(".mel.png"))
        with Image.open(figure) as drawn:
            picture = drawn.convert("RGB")
    ImageOps.pad(picture, (VIDEO_SIDE, VIDEO_SIDE), Image.Resampling.LANCZOS, VIDEO_COLOUR).save(still)
    save_audio(sound, take.samples, take.recipe.sample_rate)
    seconds = f"{take.samples.shape[-1] / take.recipe.sample_rate:.3f}"
    command = [program, "-nostdin", "-v", "error", "-y", "-loop", "1", "-framerate", "2", "-i", str(still)]
    command += ["-i", str(sound), "-c:v", "libx264", "-preset", "veryfast", "-tune", "stillimage"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "192k", "-t", seconds, "-movflags", "+faststart"]
    try:
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=FFMPEG_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise StudioError(words.FFMPEG_FAILED.format(reason="it took too long")) from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise StudioError(words.FFMPEG_FAILED.format(reason=reason.replace(f"{path.parent}/", "")[:200]))
    tag_take(path, take)
    return path
