"""The judge's part of a corpus, read once into small arrays: bytes of spectrograms and pictures, caption vectors."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.data.corpus import Triplet
from melfusion_core.models.judge import PICTURE_SIZE, MelFusionJudge
from melfusion_core.models.text import load_minilm
from melfusion_core.training.captions import encode_captions
from melfusion_core.training.data import load_pictures, read_crop

BYTE_LOW, BYTE_HIGH = -2.2, 4.2
"""Normalised log-mel values that the bytes 0 and 255 stand for."""
_SPLIT = "melfusion judge"


def part_of(piece: str) -> float:
    """Place of a piece between 0 and 1 by its hash: the judge is trained on pieces below its share.

    Args:
        piece: Identifier of the work.

    Returns:
        Number in [0, 1).
    """
    return int.from_bytes(hashlib.sha256(f"{_SPLIT}/{piece}".encode()).digest()[:8], "big") / 2**64


def judges_part(clips: Sequence[Triplet], share: float) -> list[Triplet]:
    """The judge's own clips: all clips of the pieces whose hash lies below the share.

    Args:
        clips: Clips of the train split.
        share: Part of the pieces, in (0, 1].

    Returns:
        The clips, in the given order.

    Raises:
        ValueError: When none is left.
    """
    chosen = [clip for clip in clips if part_of(clip.piece or clip.id) < share]
    if not chosen:
        raise ValueError(f"a share of {share} leaves the judge no clip")
    return chosen


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """Normalised log-mel values to bytes, in steps of 0.05 nats.

    Args:
        values: Any shape.

    Returns:
        Same shape, uint8.
    """
    scaled = (values.clamp(BYTE_LOW, BYTE_HIGH) - BYTE_LOW) * (255.0 / (BYTE_HIGH - BYTE_LOW))
    return scaled.round().to(torch.uint8)


def from_bytes(values: torch.Tensor) -> torch.Tensor:
    """Undo `to_bytes`.

    Args:
        values: Any shape, uint8.

    Returns:
        Same shape, float32.
    """
    return values.float() * ((BYTE_HIGH - BYTE_LOW) / 255.0) + BYTE_LOW


@dataclass(frozen=True)
class Classes:
    """Names of what the judge tells apart, and the scales of its values.

    Args:
        leads: Lead instruments.
        instruments: All instruments.
        styles: Styles.
        tempi: Tempo words.
        modes: Modes.
        scalar_mean: Mean of the values of `SCALARS`.
        scalar_std: Their standard deviation.
    """

    leads: tuple[str, ...]
    instruments: tuple[str, ...]
    styles: tuple[str, ...]
    tempi: tuple[str, ...]
    modes: tuple[str, ...]
    scalar_mean: tuple[float, ...]
    scalar_std: tuple[float, ...]


def _scalars_of(clip: Triplet) -> list[float]:
    """The clip's values in the order of `SCALARS`; NaN where the corpus does not know one."""

    def log(value: float | None) -> float:
        return math.nan if value is None else math.log(max(value, 0.1))

    return [log(clip.tempo_bpm), log(clip.onset_rate_hz), *(clip.mood("music") or (math.nan, math.nan))]


def find_classes(clips: Sequence[Triplet], least_clips: int) -> Classes:
    """Collect the classes of the training clips.

    Args:
        clips: Training clips.
        least_clips: Leads, styles and instruments with fewer clips are no class.

    Returns:
        The classes, each in alphabetical order.

    Raises:
        ValueError: When fewer than two leads have enough clips.
    """

    def names(key: str, least: int) -> tuple[str, ...]:
        counts = Counter(getattr(clip, key) for clip in clips)
        return tuple(sorted(name for name, count in counts.items() if name and count >= least))

    leads = names("lead", least_clips)
    if len(leads) < 2:
        raise ValueError(f"fewer than two lead instruments have {least_clips} clips in the judge's part")
    heard = Counter(name for clip in clips for name in set(clip.instruments))
    instruments = tuple(sorted(name for name, count in heard.items() if count >= least_clips))
    values = np.array([_scalars_of(clip) for clip in clips])
    known = np.isfinite(values).any(0)
    mean = np.where(known, np.nanmean(np.where(known, values, 0.0), 0), 0.0)
    std = np.where(known, np.nanstd(np.where(known, values, 0.0), 0), 1.0)
    return Classes(
        leads,
        instruments,
        names("style", least_clips),
        names("tempo_word", 1),
        names("mode", 1),
        tuple(round(float(v), 6) for v in mean),
        tuple(round(float(max(v, 1e-3)), 6) for v in std),
    )


@dataclass
class JudgeArrays:
    """Clips as arrays, one row each.

    Args:
        mel: Bytes of the log-mel, of shape `(clips, frames, n_mels)`.
        pitch: Bytes of the pitch spectrum, of shape `(clips, steps, semitones)`.
        pictures: Bytes of shape `(pictures, 3, 64, 64)`.
        captions: Pooled caption states of shape `(captions, 384)`.
        picture_rows: Picture of each clip, of shape `(clips,)`.
        caption_rows: Captions of each clip: rows of `captions`.
    """

    mel: torch.Tensor
    pitch: torch.Tensor
    pictures: torch.Tensor
    captions: torch.Tensor
    picture_rows: torch.Tensor
    caption_rows: list[list[int]]


@torch.no_grad()
def read_arrays(
    judge: MelFusionJudge, clips: Sequence[Triplet], cache: Path, captions_per_clip: int = 3
) -> JudgeArrays:
    """Read clips, or take what an earlier call left in the cache.

    Args:
        judge: The network, for its spectrograms.
        clips: What to read; all of one length.
        cache: Folder for the spectrograms' bytes; made when missing.
        captions_per_clip: Captions used of each clip, the first ones.

    Returns:
        The arrays; spectrograms stay on disk.

    Raises:
        ValueError: When clips differ in length.
    """
    cache.mkdir(parents=True, exist_ok=True)
    settings = {"mel": judge.mel_config.to_dict(), "pitch": [judge.config.pitch_n_fft, judge.config.pitch_hop]}
    key = hashlib.sha256(json.dumps([[str(clip.audio) for clip in clips], settings]).encode()).hexdigest()
    names = {part: cache / f"{part}.npy" for part in ("mel", "pitch", "captions")}
    note = cache / "key.txt"
    texts = list(dict.fromkeys(text for clip in clips for text in clip.captions[:captions_per_clip]))
    if not (note.is_file() and note.read_text() == key):
        note.unlink(missing_ok=True)
        _write_spectrograms(judge, clips, names)
        np.save(names["captions"], encode_captions(*load_minilm(), texts).pooled)
        note.write_text(key)
    rows = {text: row for row, text in enumerate(texts)}
    pictures, places = load_pictures(list(clips), PICTURE_SIZE)
    return JudgeArrays(
        mel=torch.from_numpy(np.load(names["mel"])),
        pitch=torch.from_numpy(np.load(names["pitch"])),
        pictures=pictures,
        captions=torch.from_numpy(np.load(names["captions"])),
        picture_rows=torch.tensor([places[clip.image] for clip in clips]),
        caption_rows=[[rows[text] for text in clip.captions[:captions_per_clip]] for clip in clips],
    )


def _write_spectrograms(judge: MelFusionJudge, clips: Sequence[Triplet], names: dict[str, Path]) -> None:
    mels = pitches = None
    samples = 0
    for row, clip in enumerate(tqdm(clips, desc="listening")):
        waveform = read_crop(clip.audio, judge.sample_rate, 0, -1)
        mel, pitch = judge.listen(torch.from_numpy(waveform)[None])
        if mels is None or pitches is None:
            samples = len(waveform)
            mels = np.lib.format.open_memmap(names["mel"], "w+", np.uint8, (len(clips), *mel.shape[2:]))
            pitches = np.lib.format.open_memmap(names["pitch"], "w+", np.uint8, (len(clips), *pitch.shape[1:]))
        if len(waveform) != samples:
            raise ValueError(f"{clip.audio} has {len(waveform)} samples, the others {samples}")
        mels[row], pitches[row] = to_bytes(mel[0, 0]).numpy(), to_bytes(pitch[0]).numpy()


def targets(clips: Sequence[Triplet], classes: Classes) -> dict[str, torch.Tensor]:
    """What the judge should say of clips.

    Args:
        clips: The clips, whose moods are known.
        classes: The classes.

    Returns:
        Class indices (-100 where unknown) by "lead", "style", "tempo" and "mode", of shape `(clips,)`; 0/1
        "instruments" of shape `(clips, instruments)`; standardised "scalars" of shape `(clips, 4)` with NaN where
        unknown; "music" and "image" moods of shape `(clips, 2)`.
    """
    keys = {"lead": ("lead", classes.leads), "style": ("style", classes.styles)}
    keys |= {"tempo": ("tempo_word", classes.tempi), "mode": ("mode", classes.modes)}
    result = {}
    for name, (key, known) in keys.items():
        places = {label: place for place, label in enumerate(known)}
        result[name] = torch.tensor([places.get(getattr(clip, key), -100) for clip in clips])
    sounding = [[name in clip.instruments for name in classes.instruments] for clip in clips]
    result["instruments"] = torch.tensor(sounding)
    result["instruments"] = result["instruments"].float()
    values = torch.tensor([_scalars_of(clip) for clip in clips])
    result["scalars"] = (values - torch.tensor(classes.scalar_mean)) / torch.tensor(classes.scalar_std)
    for side in ("music", "image"):
        result[side] = torch.tensor([clip.mood(side) for clip in clips])
    return result
