"""What is said of every beat beside its notes: the song, its parts, their instruments, the harmony.

Shape legend: ``beats``; ``parts`` are the five pitched roles and the drums.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields

import numpy as np

from melfusion_core.engines.score.codes import CODE_BITS, circle, code_table, nearest_code, on_circle
from melfusion_core.engines.score.layout import (
    CHANNELS,
    HARMONY_ROW,
    INSTRUMENTS_ROW,
    PARTS,
    PARTS_ROW,
    ROLES,
    SONG_ROW,
)
from melfusion_core.score.chords import CHORD_KINDS

CONTROL_ROWS = 4
_TEMPI = np.arange(60, 521) / 2.0
_TEMPO_HARMONICS = (1, 4, 16)
_TEMPO_OCTAVES = 3.2
_TONIC_HARMONICS = (1, 2, 3, 4, 5)
_HOT = 2.5
"""One of many is told as this against zeros."""

KINDS = tuple(CHORD_KINDS)
"""Kinds of chords by number."""


def _slices(**sizes: int) -> dict[str, slice]:
    out, first = {}, 0
    for name, size in sizes.items():
        out[name] = slice(first, first + size)
        first += size
    if first > CHANNELS:
        raise ValueError(f"{first} channels do not fit in {CHANNELS}")
    return out


_PART_FIELDS = ("presence", "level", "density", "articulation")
FIELDS: dict[str, tuple[int, slice]] = {
    **{
        f"song.{name}": (SONG_ROW, part)
        for name, part in _slices(
            tempo=1 + 2 * len(_TEMPO_HARMONICS), metre=2, swing=1, tonic=2 * len(_TONIC_HARMONICS), mode=3,
            valence=2, arousal=2, style=CODE_BITS, end=2, begin=1,
        ).items()
    },
    **{
        f"{name}.{field}": (PARTS_ROW, slice(4 * row + place, 4 * row + place + 1))
        for row, name in enumerate(PARTS)
        for place, field in enumerate(_PART_FIELDS)
    },
    "song.level": (PARTS_ROW, slice(24, 25)),
    "song.density": (PARTS_ROW, slice(25, 26)),
    **{
        f"{role}.instrument": (INSTRUMENTS_ROW, slice(CODE_BITS * row, CODE_BITS * (row + 1)))
        for row, role in enumerate(ROLES)
    },
    **{
        f"harmony.{name}": (HARMONY_ROW, part)
        for name, part in _slices(root=12, tones=12, bass=12, pitches=12).items()
    },
}  # fmt: skip
"""Row and channels of every control, by name."""


@dataclass
class Controls:
    """Controls of a passage, beat by beat.

    Args:
        tempo_bpm: Quarter notes a minute, of shape ``(beats,)``.
        beats_per_bar: 3 or 4, of shape ``(beats,)``.
        swing: Where the second half of a beat starts, 0.5 (straight) to 0.75, of shape ``(beats,)``.
        tonic: Pitch class of the key, 0 to 11, of shape ``(beats,)``.
        minor: Whether the mode is minor, of shape ``(beats,)``, bool.
        valence: 0 to 1, of shape ``(beats,)``.
        arousal: 0 to 1, of shape ``(beats,)``.
        style: Number of the style, of shape ``(beats,)``.
        to_end: Beats that are left of the piece after this one; infinite when it goes on, of shape ``(beats,)``.
        since_begin: Beats of the piece before this one; infinite when it began before the passage, of shape
            ``(beats,)``.
        presence: Whether a part plays in the piece, of shape ``(parts, beats)``, bool.
        level: Mean MIDI velocity, of shape ``(parts, beats)``.
        density: Onsets in the beat, of shape ``(parts, beats)``.
        articulation: Share of the time to the next onset that notes sound, 0 to 1, of shape ``(parts, beats)``.
        song_level: Mean MIDI velocity of all parts, of shape ``(beats,)``.
        song_density: Distinct onset times in the beat, of shape ``(beats,)``.
        instrument: Number of each role's instrument, -1 for none, of shape ``(roles, beats)``.
        root: Pitch class of the chord above the tonic, -1 where unknown, of shape ``(beats,)``.
        kind: Number of the chord's kind, -1 where unknown, of shape ``(beats,)``.
        bass: Pitch class of the chord's lowest note above the tonic, -1 where unknown, of shape ``(beats,)``.
        pitches: Pitch classes above the tonic that sound, of shape ``(beats, 12)``, bool.
    """

    tempo_bpm: np.ndarray
    beats_per_bar: np.ndarray
    swing: np.ndarray
    tonic: np.ndarray
    minor: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray
    style: np.ndarray
    to_end: np.ndarray
    since_begin: np.ndarray
    presence: np.ndarray
    level: np.ndarray
    density: np.ndarray
    articulation: np.ndarray
    song_level: np.ndarray
    song_density: np.ndarray
    instrument: np.ndarray
    root: np.ndarray
    kind: np.ndarray
    bass: np.ndarray
    pitches: np.ndarray

    @property
    def beats(self) -> int:
        """Length in beats."""
        return len(self.tempo_bpm)

    def __getitem__(self, beats: slice) -> Controls:
        """The controls of some beats.

        Args:
            beats: Which ones.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Controls(**{k: v[beats] if k == "pitches" or v.ndim == 1 else v[:, beats] for k, v in values.items()})


def encode_controls(controls: Controls) -> np.ndarray:
    """Write controls as latents.

    Args:
        controls: The controls.

    Returns:
        Of shape ``(channels, beats, 4)``, float32; channels without a meaning are zero.
    """
    out = np.zeros((CHANNELS, controls.beats, CONTROL_ROWS), dtype=np.float32)

    def put(name: str, values: np.ndarray) -> None:
        row, channels = FIELDS[name]
        out[channels, :, row] = np.asarray(values, dtype=np.float32).reshape(controls.beats, -1).T

    octaves = np.log2(controls.tempo_bpm / 120.0)
    put("song.tempo", np.column_stack([1.6 * octaves, circle(octaves / _TEMPO_OCTAVES, _TEMPO_HARMONICS)]))
    put("song.metre", np.where(controls.beats_per_bar == 3, 1.0, -1.0)[:, None].repeat(2, 1))
    put("song.swing", (controls.swing - 0.55) / 0.08)
    put("song.tonic", circle(controls.tonic / 12.0, _TONIC_HARMONICS))
    put("song.mode", np.where(controls.minor, 1.0, -1.0)[:, None].repeat(3, 1))
    put("song.valence", ((controls.valence - 0.5) * np.sqrt(12.0))[:, None].repeat(2, 1))
    put("song.arousal", ((controls.arousal - 0.5) * np.sqrt(12.0))[:, None].repeat(2, 1))
    put("song.style", code_table()[controls.style])
    ending = np.isfinite(controls.to_end)
    put("song.end", np.column_stack([np.where(ending, 1.0, -1.0), 2.0 * np.exp(-controls.to_end / 8.0)]))
    put("song.begin", 2.0 * np.exp(-controls.since_begin / 8.0))
    for row, part in enumerate(PARTS):
        there = controls.presence[row]
        put(f"{part}.presence", np.where(there, 1.0, -1.0))
        put(f"{part}.level", np.where(there, _level(controls.level[row]), 0.0))
        put(f"{part}.density", np.where(there, _density(controls.density[row]), 0.0))
        put(f"{part}.articulation", np.where(there, (controls.articulation[row] - 0.7) / 0.25, 0.0))
    put("song.level", _level(controls.song_level))
    put("song.density", _density(controls.song_density))
    for row, role in enumerate(ROLES):
        known = controls.instrument[row] >= 0
        put(f"{role}.instrument", np.where(known[:, None], code_table()[controls.instrument[row]], 0.0))
    for name, values in (("root", controls.root), ("bass", controls.bass)):
        put(f"harmony.{name}", _HOT * (values[:, None] == np.arange(12)))
    known = (controls.root >= 0)[:, None]
    put("harmony.tones", np.where(known, 2.0 * _tones()[controls.kind, controls.root] - 1.0, 0.0))
    put("harmony.pitches", np.where(controls.pitches, 1.0, -1.0))
    return out


def decode_controls(latents: np.ndarray, styles: int, instruments: int) -> Controls:
    """Read controls off latents. What holds for a whole song is read from the mean over its beats.

    Args:
        latents: Of shape ``(channels, beats, rows)``.
        styles: Number of styles that have a code.
        instruments: Number of instruments that have a code.

    Returns:
        The controls.
    """
    beats = latents.shape[1]

    def get(name: str) -> np.ndarray:
        row, channels = FIELDS[name]
        return latents[channels, :, row].T.astype(np.float64)

    def mean(name: str) -> np.ndarray:
        return get(name).mean(axis=0)

    def over(value: float | int | bool) -> np.ndarray:
        return np.full(beats, value)

    octaves = np.log2(_TEMPI / 120.0)
    tempi = np.column_stack([1.6 * octaves, circle(octaves / _TEMPO_OCTAVES, _TEMPO_HARMONICS)])
    tempo = _TEMPI[int(np.argmin(np.square(tempi - mean("song.tempo")).sum(axis=1)))]
    tonic = on_circle(mean("song.tonic"), np.arange(12) / 12.0, _TONIC_HARMONICS)
    end = get("song.end")
    to_end = _beats_of(end[:, 1])
    presence = np.stack([over(bool(get(f"{part}.presence").mean() > 0)) for part in PARTS])
    instrument = np.full((len(ROLES), beats), -1)
    for row, role in enumerate(ROLES):
        if presence[row].any():
            code = get(f"{role}.instrument").mean(axis=0)
            instrument[row] = int(nearest_code(code, instruments))
    root = _hot(get("harmony.root"))
    fit = np.einsum("bp,kbp->bk", get("harmony.tones"), 2.0 * _tones()[:, root] - 1.0)
    return Controls(
        tempo_bpm=over(tempo),
        beats_per_bar=over(3 if mean("song.metre").mean() > 0 else 4),
        swing=over(float(np.clip(0.55 + 0.08 * mean("song.swing")[0], 0.5, 0.75))),
        tonic=over(int(tonic)),
        minor=over(bool(mean("song.mode").mean() > 0)),
        valence=np.clip(get("song.valence").mean(axis=1) / np.sqrt(12.0) + 0.5, 0.0, 1.0),
        arousal=np.clip(get("song.arousal").mean(axis=1) / np.sqrt(12.0) + 0.5, 0.0, 1.0),
        style=over(int(nearest_code(mean("song.style"), styles))),
        to_end=np.where(end[:, 0] > 0, to_end, np.inf),
        since_begin=np.where(_beats_of(get("song.begin")[:, 0]) < 48, _beats_of(get("song.begin")[:, 0]), np.inf),
        presence=presence,
        level=presence * np.stack([_velocity(get(f"{part}.level")[:, 0]) for part in PARTS]),
        density=presence * np.stack([_onsets(get(f"{part}.density")[:, 0]) for part in PARTS]),
        articulation=presence * np.stack([_share(get(f"{part}.articulation")[:, 0]) for part in PARTS]),
        song_level=_velocity(get("song.level")[:, 0]),
        song_density=_onsets(get("song.density")[:, 0]),
        instrument=instrument,
        root=root,
        kind=np.where(root >= 0, fit.argmax(axis=1), -1),
        bass=_hot(get("harmony.bass")),
        pitches=get("harmony.pitches") > 0,
    )


@functools.cache
def _tones() -> np.ndarray:
    """Pitch classes of every kind of chord on every root, of shape ``(kinds, 12, 12)``, 0 or 1."""
    table = np.zeros((len(KINDS), 12, 12))
    for kind, steps in enumerate(CHORD_KINDS.values()):
        for root in range(12):
            table[kind, root, [(root + step) % 12 for step in steps]] = 1.0
    return table


def _level(velocity: np.ndarray) -> np.ndarray:
    return (velocity - 78.0) / 18.0


def _velocity(level: np.ndarray) -> np.ndarray:
    return np.clip(np.round(78.0 + 18.0 * level), 1, 127).astype(int)


def _density(onsets: np.ndarray) -> np.ndarray:
    return (np.sqrt(onsets) - 1.2) / 0.9


def _onsets(density: np.ndarray) -> np.ndarray:
    return np.round(np.square(np.clip(1.2 + 0.9 * density, 0.0, None))).astype(int)


def _beats_of(decay: np.ndarray) -> np.ndarray:
    return np.round(-8.0 * np.log(np.clip(decay / 2.0, 1e-6, 1.0)))


def _share(articulation: np.ndarray) -> np.ndarray:
    return np.clip(0.7 + 0.25 * articulation, 0.0, 1.0)


def _hot(values: np.ndarray) -> np.ndarray:
    return np.where(values.max(axis=1) > _HOT / 2, values.argmax(axis=1), -1)
