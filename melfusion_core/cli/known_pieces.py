"""Fresh pieces with known notes, rendered for the evaluation of a codec; their seeds lie outside any corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from melfusion_core.evaluation.notes import KnownNote, KnownPiece

SECONDS = 10.24
SOLO_INSTRUMENTS = (
    "contrabass", "tuba", "electric bass", "cello", "bassoon", "trombone", "french horn", "clarinet", "saxophone",
    "oboe", "violin", "trumpet", "flute", "acoustic guitar", "organ", "square lead",
)  # fmt: skip
"""From low to high; plucked, bowed, blown and electronic."""

_SCALE = (0, 2, 4, 7, 9)
_NOTE_S = 0.64
_STREAM = 990_001  # away from the streams of the corpus


def solo_pieces(count: int, seed: int, soundfont: Path | None = None, sample_rate: int = 32000) -> list[KnownPiece]:
    """Render monophonic melodies that walk through an instrument's lower or upper range.

    Args:
        count: Number of pieces; the instruments of `SOLO_INSTRUMENTS` take turns.
        seed: Seed of the melodies.
        soundfont: General MIDI SoundFont; None for that of the corpus.
        sample_rate: In Hz.

    Returns:
        Pieces of 10.24 s.

    Raises:
        RendererError: FluidSynth or the SoundFont is missing.
    """
    from melfusion_core.score.instruments import INSTRUMENTS
    from melfusion_core.score.score import Note, Score, Track

    scores = []
    for index in range(count):
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
        scores.append(
            Score([track], 60.0, 4, base % 12, "major", "solo", name, "evaluation", int(rng.integers(2**31)))
        )
    return _render(scores, [0.7] * count, soundfont, sample_rate, monophonic=True)


def composed_pieces(
    count: int, seed: int, soundfont: Path | None = None, sample_rate: int = 32000
) -> list[KnownPiece]:
    """Compose and render pieces of all moods with the corpus' composer.

    Args:
        count: Number of pieces.
        seed: Seed of the pieces.
        soundfont: General MIDI SoundFont; None for that of the corpus.
        sample_rate: In Hz.

    Returns:
        Pieces of 10.24 s.

    Raises:
        RendererError: FluidSynth or the SoundFont is missing.
    """
    from melfusion_core.data.composer import compose

    scores, moods = [], []
    for index in range(count):
        rng = np.random.default_rng([seed, _STREAM, 2, index])
        valence, arousal = rng.random(2)
        scores.append(compose(rng, float(valence), float(arousal), f"evaluation/{seed}-{index}", SECONDS))
        moods.append(float(arousal))
    return _render(scores, moods, soundfont, sample_rate, monophonic=False)


def _render(scores, moods, soundfont, sample_rate, monophonic):
    from melfusion_core.data.renderer import DEFAULT_SOUNDFONT, level, render

    if not scores:
        return []
    clips = render(scores, SECONDS, sample_rate, soundfont or DEFAULT_SOUNDFONT)
    return [
        KnownPiece(score.piece, level(clip, mood, sample_rate), _notes(score), monophonic)
        for score, clip, mood in zip(scores, clips, moods, strict=True)
    ]


def _notes(score) -> tuple[KnownNote, ...]:
    second = 60.0 / score.tempo_bpm
    return tuple(
        KnownNote(note.start * second, (note.start + note.duration) * second, note.pitch)
        for track in score.tracks
        for note in track.notes
        if note.start * second < SECONDS
    )
