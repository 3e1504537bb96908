"""What a piece is told to be, fact by fact, and how that becomes known cells of its latent image.

Shape legend: ``channels``, ``beats``, ``rows`` of the latent image.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch

from melfusion_core.engines.score.codes import code_table
from melfusion_core.engines.score.controls import FIELDS, KINDS, Controls, encode_controls
from melfusion_core.engines.score.known import part_mask
from melfusion_core.engines.score.layout import CHANNELS, PARTS, ROLES, ROWS
from melfusion_core.engines.score.names import INSTRUMENT_NUMBERS, STYLE_NUMBERS
from melfusion_core.engines.score.source import Source, SourceError
from melfusion_core.score.chords import BeatChord
from melfusion_core.score.keys import PITCH_CLASSES, key_of_chords

MIN_TEMPO_BPM, MAX_TEMPO_BPM = 40.0, 220.0
MAX_BARS = 64
_SPELLINGS = {"C#": 1, "Db": 1, "D#": 3, "Eb": 3, "F#": 6, "Gb": 6, "G#": 8, "Ab": 8, "A#": 10, "Bb": 10, "Cb": 11,
              "B#": 0, "E#": 5, "Fb": 4}  # fmt: skip

Curve = tuple[tuple[float, float], ...]
"""Points (beat, value); the curve runs straight between them and is not given before the first and after the last."""


class DirectionError(ValueError):
    """A direction cannot be followed; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Facts about a piece; None leaves a fact to the model.

    Args:
        bars: Length in bars.
        tempo_bpm: Quarter notes a minute.
        tempo_within: Slowest and fastest tempo that will do where none is told; the model chooses.
        beats_per_bar: 3 or 4.
        swing: Where the second half of a beat starts, 0.5 (straight) to 0.67 (triplets).
        tonic: Pitch class of the key, 0 (C) to 11.
        mode: ``major`` or ``minor``.
        style: A style's name.
        parts: What each part is: an instrument's name, ``on`` for the drums, or ``off``; others are left free.
        valence: Mood from unpleasant (0) to pleasant (1), over the beats.
        arousal: Mood from calm (0) to excited (1), over the beats.
        level: Loudness as MIDI velocity, over the beats.
        density: Onsets a beat, over the beats.
        chords: The chord of every beat, from the first on; None leaves a beat free.
        source: A piece of which something stays.
    """

    bars: int | None = None
    tempo_bpm: float | None = None
    tempo_within: tuple[float, float] | None = None
    beats_per_bar: int | None = None
    swing: float | None = None
    tonic: int | None = None
    mode: str | None = None
    style: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    valence: Curve = ()
    arousal: Curve = ()
    level: Curve = ()
    density: Curve = ()
    chords: tuple[BeatChord | None, ...] = ()
    source: Source | None = None

    def __post_init__(self) -> None:
        limits = {
            "bars": (1, MAX_BARS),
            "tempo_bpm": (MIN_TEMPO_BPM, MAX_TEMPO_BPM),
            "swing": (0.5, 0.75),
            "tonic": (0, 11),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise DirectionError(f"{name} must be from {low:g} to {high:g}; it is {value}")
        if self.tempo_within and not MIN_TEMPO_BPM <= self.tempo_within[0] <= self.tempo_within[1] <= MAX_TEMPO_BPM:
            raise DirectionError(f"tempo_within must lie in {MIN_TEMPO_BPM:g} to {MAX_TEMPO_BPM:g}, slowest first")
        if self.beats_per_bar not in (None, 3, 4):
            raise DirectionError(f"bars have 3 or 4 beats, not {self.beats_per_bar}")
        if self.mode not in (None, "major", "minor"):
            raise DirectionError(f"the mode is major or minor, not {self.mode!r}")
        if self.style is not None and self.style not in STYLE_NUMBERS:
            raise DirectionError(f"there is no style {self.style!r}; styles are {', '.join(STYLE_NUMBERS)}")
        if self.source and self.beats_per_bar not in (None, self.source.score.beats_per_bar):
            has, told = self.source.score.beats_per_bar, self.beats_per_bar
            raise DirectionError(f"the piece has {has} beats a bar, and its metre cannot become {told}")
        for part, what in self.parts.items():
            self._check_part(part, what)
        for name, (low, high) in {
            "valence": (0, 1), "arousal": (0, 1), "level": (1, 127), "density": (0, 12),
        }.items():  # fmt: skip
            _check_curve(name, getattr(self, name), low, high)

    @staticmethod
    def _check_part(part: str, what: str) -> None:
        if part not in PARTS:
            raise DirectionError(f"there is no part {part!r}; parts are {', '.join(PARTS)}")
        allowed = ("on", "off") if part == "drums" else (*INSTRUMENT_NUMBERS, "off")
        if what not in allowed:
            raise DirectionError(f"{part} cannot be {what!r}; it can be {', '.join(allowed)}")

    def __or__(self, other: Direction) -> Direction:
        """Both directions; where both tell a fact, the other one counts.

        Args:
            other: What to follow first.
        """
        told = {f.name: getattr(other, f.name) for f in fields(other) if getattr(other, f.name) not in (None, (), {})}
        if "parts" in told:
            told["parts"] = {**self.parts, **other.parts}
        return replace(self, **told)

    def as_dict(self) -> dict[str, Any]:
        """What is told, ready for JSON.

        Returns:
            The facts that are not None or empty.
        """
        told = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) not in (None, (), {})}
        if "chords" in told:
            told["chords"] = [chord and [chord.root, chord.kind, chord.bass] for chord in self.chords]
        if self.source:
            told["source"] = self.source.as_dict()
        return told

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Direction:
        """Undo :meth:`as_dict`.

        Args:
            told: The facts.

        Returns:
            The direction.

        Raises:
            DirectionError: When a fact is unknown, out of range or of another kind.
        """
        unknown = set(told) - {f.name for f in fields(cls)}
        if unknown:
            raise DirectionError(f"unknown facts: {', '.join(sorted(unknown))}")
        values = dict(told)
        try:
            for name in ("valence", "arousal", "level", "density"):
                if name in values:
                    values[name] = tuple((float(beat), float(value)) for beat, value in values[name])
            if "tempo_within" in values:
                values["tempo_within"] = tuple(float(value) for value in values["tempo_within"])
            if "chords" in values:
                values["chords"] = tuple(None if chord is None else _chord(*chord) for chord in values["chords"])
            for name in ("bars", "tonic", "beats_per_bar"):
                if values.get(name) is not None:
                    values[name] = operator.index(values[name])
            if "source" in values:
                values["source"] = Source.from_dict(values["source"])
            return cls(**values)
        except DirectionError:
            raise
        except SourceError as error:
            raise DirectionError(str(error)) from error
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise DirectionError("a fact has a value of another kind than it takes") from error


def _chord(root: Any, kind: Any, bass: Any) -> BeatChord:
    return BeatChord(operator.index(root), kind, operator.index(bass))


def _check_curve(name: str, curve: Curve, low: float, high: float) -> None:
    beats = [beat for beat, _ in curve]
    if sorted(set(beats)) != beats:
        raise DirectionError(f"the points of {name} must be in order of time")
    for beat, value in curve:
        if not (beat >= 0 and low <= value <= high):
            raise DirectionError(f"{name} must be from {low:g} to {high:g}; at beat {beat:g} it is {value:g}")


def keyed(direction: Direction) -> Direction:
    """A direction whose chords are in a key: where none is told, the one that their notes are nearest to.

    Args:
        direction: The facts.

    Returns:
        The same, with tonic and mode where there are chords.
    """
    told = [chord for chord in direction.chords if chord is not None]
    if direction.tonic is not None or not told:
        return direction
    histogram = np.zeros(12)
    for chord in told:
        histogram[list(chord.tones)] += 1.0
        histogram[chord.root] += 0.5
    histogram[told[0].root] += 0.5 * len(told)  # progressions tend to begin at home
    tonic, mode = key_of_chords(histogram)
    return replace(direction, tonic=tonic, mode=direction.mode or mode)


def known_cells(direction: Direction, beats: int, ends: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """What a direction settles of a piece.

    Args:
        direction: The facts.
        beats: Length in beats.
        ends: Whether the piece ends with the last beat.

    Returns:
        Clean values and which of them count, both of shape ``(channels, beats, rows)``, float32 and bool. That the
        piece begins and where it ends is always known.
    """
    mask = torch.zeros(CHANNELS, beats, ROWS, dtype=torch.bool)
    controls = _blank(beats, ends)

    def tell(name: str, where: np.ndarray | slice = slice(None)) -> None:
        row, channels = FIELDS[name]
        mask[channels, torch.from_numpy(where) if isinstance(where, np.ndarray) else where, row] = True

    tell("song.begin")
    tell("song.end")
    for name, attribute, value in (
        ("song.tempo", "tempo_bpm", direction.tempo_bpm),
        ("song.metre", "beats_per_bar", direction.beats_per_bar),
        ("song.swing", "swing", direction.swing),
        ("song.tonic", "tonic", direction.tonic),
        ("song.mode", "minor", None if direction.mode is None else direction.mode == "minor"),
        ("song.style", "style", None if direction.style is None else STYLE_NUMBERS[direction.style]),
    ):
        if value is not None:
            getattr(controls, attribute)[:] = value
            tell(name)
    for name in ("valence", "arousal", "level", "density"):
        values, given = sampled(getattr(direction, name), beats)
        target = getattr(controls, name if name in ("valence", "arousal") else f"song_{name}")
        target[given] = values[given]
        tell(f"song.{name}", given)
    _tell_chords(direction.chords, controls, tell)
    values = torch.zeros(CHANNELS, beats, ROWS)
    values[:, :, : encode_controls(controls).shape[2]] = torch.from_numpy(encode_controls(controls))
    for part, what in direction.parts.items():
        _tell_part(values, mask, part, what)
    return torch.where(mask, values, 0.0), mask


def _tell_chords(chords: Sequence[BeatChord | None], controls: Controls, tell) -> None:
    given = np.zeros(controls.beats, dtype=bool)
    for beat, chord in enumerate(chords[: controls.beats]):
        if chord is not None:
            tonic = int(controls.tonic[beat])
            controls.root[beat] = (chord.root - tonic) % 12
            controls.kind[beat] = KINDS.index(chord.kind)
            controls.bass[beat] = (chord.bass - tonic) % 12
            given[beat] = True
    for name in ("root", "tones", "bass"):
        tell(f"harmony.{name}", given)


def _tell_part(values: torch.Tensor, mask: torch.Tensor, part: str, what: str) -> None:
    """Mark a part as there or not, and its instrument; of a part that is off, all notes are known to be none."""
    there = what != "off"
    row, channels = FIELDS[f"{part}.presence"]
    values[channels, :, row] = 1.0 if there else -1.0
    mask[channels, :, row] = True
    if there and part in ROLES:
        row, channels = FIELDS[f"{part}.instrument"]
        values[channels, :, row] = torch.from_numpy(code_table()[INSTRUMENT_NUMBERS[what]])[:, None]
        mask[channels, :, row] = True
    if not there:
        silent = part_mask(part, mask.shape[1])
        values[silent & ~mask] = 0.0
        mask |= silent


def sampled(curve: Curve, beats: int) -> tuple[np.ndarray, np.ndarray]:
    """A curve's value in every beat.

    Args:
        curve: Its points.
        beats: Number of beats.

    Returns:
        Values of shape ``(beats,)``, and in which beats the curve is given, bool.
    """
    if not curve:
        return np.zeros(beats), np.zeros(beats, dtype=bool)
    places, values = np.array(curve, dtype=float).T
    middle = np.arange(beats) + 0.5
    given = (middle >= places[0]) & (middle <= places[-1]) if len(curve) > 1 else np.ones(beats, dtype=bool)
    return np.interp(middle, places, values), given


def _blank(beats: int, ends: bool) -> Controls:
    zeros, parts = np.zeros(beats), np.zeros((len(PARTS), beats))
    return Controls(
        tempo_bpm=zeros + 120.0,
        beats_per_bar=np.full(beats, 4),
        swing=zeros + 0.5,
        tonic=np.zeros(beats, dtype=int),
        minor=np.zeros(beats, dtype=bool),
        valence=zeros + 0.5,
        arousal=zeros + 0.5,
        style=np.zeros(beats, dtype=int),
        to_end=np.arange(beats - 1, -1, -1, dtype=float) if ends else np.full(beats, np.inf),
        since_begin=np.arange(beats, dtype=float),
        presence=parts > 0,
        level=parts + 78.0,
        density=parts.copy(),
        articulation=parts.copy(),
        song_level=zeros + 78.0,
        song_density=zeros.copy(),
        instrument=np.full((len(ROLES), beats), -1),
        root=np.full(beats, -1),
        kind=np.full(beats, -1),
        bass=np.full(beats, -1),
        pitches=np.zeros((beats, 12), dtype=bool),
    )


def pitch_class(name: str) -> int:
    """Pitch class of a name such as "F#", "F sharp", "Bb" or "e flat".

    Args:
        name: A letter with or without a sign.

    Returns:
        0 (C) to 11 (B).

    Raises:
        DirectionError: When it is no name of a pitch.
    """
    found = re.fullmatch(r"\s*([A-Ga-g])\s*(sharp|flat|#|b|♯|♭|)\s*", name, re.I)
    if not found:
        raise DirectionError(f"{name!r} is no key; keys are called like C, F# or B flat")
    sign = {"sharp": "#", "♯": "#", "#": "#", "flat": "b", "♭": "b", "b": "b", "": ""}[found[2].lower()]
    spelled = found[1].upper() + sign
    return _SPELLINGS[spelled] if sign else PITCH_CLASSES.index(spelled)


def parse_key(text: str) -> tuple[int, str | None]:
    """A key in words.

    Args:
        text: Such as "A minor", "F# major", "Bbm" or "C".

    Returns:
        Tonic and mode; the mode is None where it is not said.

    Raises:
        DirectionError: When it is no key.
    """
    found = re.fullmatch(r"\s*([A-G])\s*(sharp|flat|#|b|♯|♭|)\s*(major|minor|maj|min|m|)\s*", text, re.I)
    if not found:
        raise DirectionError(f"{text!r} is no key; keys are called like A minor, F# major or B flat")
    mode = found[3].lower() if found[3] != "M" else "major"
    return pitch_class(found[1] + found[2]), {"": None, "maj": "major", "major": "major"}.get(mode, "minor")
