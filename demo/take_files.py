"""A finished take as a file: what its tags carry, and the take read back out of it, sound and all."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image

from demo import words
from demo.mel_view import sound_view
from demo.takes import DOSE, SWAP, TAKES, StudioError, Take
from melfusion_core.audio import resample
from melfusion_core.engines.score.view import ScoreView
from melfusion_core.image import short_name
from melfusion_core.pipelines.rendering import TEXT_ONLY
from melfusion_core.recipe import Recipe, RecipeError, embed_in_file, read_from_file
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import ROLES, Score
from melfusion_core.tags import TagError, read_cover, read_text, write_tags

SOUND_FILES = (".wav", ".flac", ".mp3", ".mp4")
RESTORABLE = (*SOUND_FILES, ".json")
NOTES_TAG = "MELFUSION_NOTES"
MOST_NOTES = 20_000
MOST_BEATS = 1024
MOST_SECONDS = 200.0
MOST_CHANNELS = 2
PATIENCE_S = 30


def tag_take(path: str | Path, take: Take) -> None:
    """Write what belongs to a take into the tags of its sound or video file: recipe, picture and notes.

    Args:
        path: The file.
        take: Whose file it is.
    """
    embed_in_file(path, take.recipe, take.cover)
    if isinstance(take.view, ScoreView):
        notes = json.dumps({"beats": take.view.beats, "score": take.view.score.to_dict()}, separators=(",", ":"))
        write_tags(path, NOTES_TAG, notes, take.recipe.prompt.strip()[:200], take.cover)


def read_take(path: str | Path) -> tuple[Recipe, Image.Image | None]:
    """Read the recipe and the picture out of a file that the studio wrote.

    Args:
        path: A .wav, .flac, .mp3, .mp4 or .json file.

    Returns:
        The recipe, and the picture in the small copy that the file carries; ``None`` where it heard none.

    Raises:
        StudioError: When there is no recipe in it.
    """
    path = Path(path)
    try:
        recipe = read_from_file(path)
        has_cover = recipe.image_sha256 is not None and path.suffix.lower() != ".json"
        return recipe, read_cover(path) if has_cover else None
    except (RecipeError, TagError, OSError) as error:
        reason = f"{error.strerror}." if isinstance(error, OSError) else error  # and no path of the server
        raise StudioError(words.NOT_RESTORABLE.format(name=short_name(path), reason=reason)) from error


def open_take(path: str | Path, mode: str, index: int = 0, picture: Image.Image | None = None) -> Take:
    """Read a finished take back, as it sounds.

    Args:
        path: A sound or video file that the studio wrote.
        mode: One of :data:`demo.takes.MODES`: what it was made beside.
        index: Its place among those.
        picture: The very picture that it heard, where that is at hand; else the file's small copy stands for it.

    Returns:
        The take.

    Raises:
        StudioError: When there is no recipe in it, or its sound cannot be read.
    """
    path = Path(path)
    recipe, cover = read_take(path)
    samples = _read_sound(path, recipe.sample_rate)
    notes = _read_notes(path) if recipe.sounds_sha256 is not None else None
    cover = picture if picture is not None else cover
    alone = recipe.image_sha256 is None or recipe.render == f"compare:{TEXT_ONLY}"  # its twin heard the picture
    # Drawn at the level that the model gave it, as when it was new.
    view = notes or sound_view(samples * 10.0 ** (-recipe.gain_db / 20.0), recipe.sample_rate)
    return Take(take_title(recipe, mode, index), str(path), view, recipe, samples, None if alone else cover, cover)


def take_title(recipe: Recipe, mode: str, index: int) -> str:
    """Head a take, as the service does when it makes one.

    Args:
        recipe: Of the take.
        mode: One of :data:`demo.takes.MODES`.
        index: Its place among those that were made together.

    Returns:
        The heading.
    """
    if mode == TAKES:
        return words.TITLE_SEED.format(seed=recipe.seed)
    if mode == DOSE:
        return words.TITLE_DOSE.format(percent=round(100 * recipe.synapse_strength))
    if mode == SWAP:
        return words.TITLE_OTHER_PICTURE if index else words.TITLE_THIS_PICTURE
    if recipe.image_sha256 is None or recipe.render == f"compare:{TEXT_ONLY}":
        return words.TITLE_TEXT_ONLY
    return words.TITLE_WITH_IMAGE if recipe.prompt else words.TITLE_PICTURE_ALONE


def _read_sound(path: Path, sample_rate: int) -> np.ndarray:
    """The sound of a file, of shape ``(channels, samples)``; a stranger's file may be long or no sound at all."""
    try:
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            source = _unpacked(path, Path(folder)) if path.suffix.lower() == ".mp4" else path
            with soundfile.SoundFile(str(source)) as file:
                rate, most = file.samplerate, math.ceil(MOST_SECONDS * file.samplerate)
                if file.channels > MOST_CHANNELS:
                    raise _unheard(path)
                samples = file.read(most + 1, dtype="float32", always_2d=True).T
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise _unheard(path) from error
    if not 0 < samples.shape[1] <= most or not np.isfinite(samples).all():
        raise _unheard(path)
    if rate != sample_rate:
        samples = torch.stack([resample(line, rate, sample_rate) for line in torch.from_numpy(samples)]).numpy()
    return np.ascontiguousarray(samples)


def _unpacked(path: Path, folder: Path) -> Path:
    program, wav = shutil.which("ffmpeg"), folder / "sound.wav"
    if program is None:
        raise StudioError(words.NO_FFMPEG)
    command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-f", "mp4", "-i", str(path)]
    command += ["-vn", "-t", f"{MOST_SECONDS + 1:g}", str(wav)]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S)
    except subprocess.SubprocessError as error:
        raise _unheard(path) from error
    return wav


def _read_notes(path: Path) -> ScoreView | None:
    try:
        text = read_text(path, NOTES_TAG)
        return None if text is None else _checked_notes(json.loads(text))
    except (TagError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StudioError(words.NOT_RESTORABLE.format(name=short_name(path), reason=words.NOTES_DAMAGED)) from error


def _checked_notes(told: dict[str, Any]) -> ScoreView:
    score, beats = Score.from_dict(told["score"]), told["beats"]
    whole = type(beats) is int and 0 < beats <= MOST_BEATS and 20 <= score.tempo_bpm <= 400
    whole = whole and 1 <= score.beats_per_bar <= 16 and len(score.tracks) <= 2 * len(ROLES)
    whole = whole and sum(len(track.notes) for track in score.tracks) <= MOST_NOTES
    for track in score.tracks:
        whole = whole and track.role in ROLES and (track.is_drum or track.instrument in INSTRUMENTS)
        for note in track.notes:
            times = 0 <= note.start <= MOST_BEATS and 0 < note.duration <= MOST_BEATS
            whole = whole and times and 0 <= note.pitch <= 127 and 1 <= note.velocity <= 127
    if not whole:
        raise ValueError("notes beyond what there can be")
    return ScoreView(score, beats)


def _unheard(path: Path) -> StudioError:
    return StudioError(words.NOT_RESTORABLE.format(name=short_name(path), reason=words.SOUND_DAMAGED))
