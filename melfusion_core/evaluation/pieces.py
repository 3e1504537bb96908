"""Fresh pieces with known notes, rendered for the evaluation of a codec; their seeds lie outside any corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from melfusion_core.data.composer import compose
from melfusion_core.data.renderer import DEFAULT_SOUNDFONT, level, render
from melfusion_core.evaluation.notes import KnownNote, KnownPiece
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import Note, Score, Track

SECONDS = 10.24
SOLO_INSTRUMENTS = (
    "contrabass", "tuba", "electric bass", "cello", "bassoon", "trombone", "french horn", "clarinet", "saxophone",
    "oboe", "violin", "trumpet", "flute", "acoustic guitar", "organ", "square lead",
)  # fmt: skip
"""From low to high; plucked, bowed, blown and electronic."""

_SCALE = (0, 2, 4, 7, 9)
_NOTE_S = 0.64
_STREAM = 990_001  # away from the streams of the corpus


def known_pieces(
    solos: int, composed: int, seed: int, soundfont: Path | None = None, sample_rate: int = 32000
) -> tuple[list[KnownPiece], list[KnownPiece]]:
    """Render melodies that walk through an instrument's lower or upper range, and pieces of all moods.

    Args:
        solos: Number of melodies; the instruments of `SOLO_INSTRUMENTS` take turns.
        composed: Number of pieces by the corpus' composer.
        seed: Seed of all of them.
        soundfont: General MIDI SoundFont; None for that of the corpus.
        sample_rate: In Hz.

    Returns:
        Melodies and pieces of 10.24 s; the melodies are monophonic.

    Raises:
        RendererError: FluidSynth or the SoundFont is missing.
    """
    font = soundfont or DEFAULT_SOUNDFONT
    melodies = [_melody(seed, index) for index in range(solos)]
    pieces, moods = [], []
    for index in range(composed):
        rng = np.random.default_rng([seed, _STREAM, 2, index])
        valence, arousal = rng.random(2)
        pieces.append(compose(rng, float(valence), float(arousal), f"evaluation/{seed}-{index}", SECONDS))
        moods.append(float(arousal))
    return (
        _render(melodies, [0.7] * solos, font, sample_rate, monophonic=True),
        _render(pieces, moods, font, sample_rate, monophonic=False),
    )


def _melody(seed: int, index: int) -> Score:
    rng = np.random.default_rng([seed, _STREAM, 1, index])
    instrument = INSTRUMENTS[SOLO_INSTRUMENTS[index % len(SOLO_INSTRUMENTS)]]
    base = instrument.low if index // len(SOLO_INSTRUMENTS) % 2 == 0 else instrument.low + 12
    pitches = [p for p in range(base, min(base + 20, instrument.high) + 1) if (p - base) % 12 in _SCALE]
    place, notes = int(rng.integers(len(pitches) // 2)), []
    for number in range(int(SECONDS / _NOTE_S) - 1):
        notes.append(Note(number * _NOTE_S, 0.95 * _NOTE_S, pitches[place], int(rng.integers(75, 105))))
        place = int(np.clip(place + rng.choice((-2, -1, 1, 2)), 0, len(pitches) - 1))
    track = Track(instrument.name, instrument.program, notes, role="lead")
    name = f"{instrument.name} {index}"
    # At 60 BPM a beat is a second.
    return Score([track], 60.0, 4, base % 12, "major", "solo", name, "evaluation", int(rng.integers(2**31)))


def _render(
    scores: Sequence[Score], moods: Sequence[float], soundfont: Path, sample_rate: int, monophonic: bool
) -> list[KnownPiece]:
    if not scores:
        return []
    clips = render(scores, SECONDS, sample_rate, soundfont)
    return [
        KnownPiece(score.piece, level(clip, mood, sample_rate), _notes(score), monophonic)
        for score, clip, mood in zip(scores, clips, moods, strict=True)
    ]


def _notes(score: Score) -> tuple[KnownNote, ...]:
    second = 60.0 / score.tempo_bpm
    return tuple(
        KnownNote(note.start * second, (note.start + note.duration) * second, note.pitch)
        for track in score.tracks
        for note in track.notes
        if note.start * second < SECONDS
    )
