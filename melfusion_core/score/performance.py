"""How a score is played: beats become seconds, with the small unevenness of hands; the same for every synthesiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.score.score import Score, Track

SHORTEST_NOTE_S = 0.04
VELOCITY_DEVIATION = 3.5
"""Standard deviation of the noise on MIDI velocities."""

CENTRED_ROLES = frozenset({"lead", "bass", "drums"})
"""Parts in the middle of the stereo image; the others sit a little to one side."""


@dataclass(frozen=True)
class Humanise:
    """How uneven the playing is; what is drawn follows from the score's seed.

    Args:
        timing: share of the score's own timing noise.
        velocity: standard deviation of the noise on MIDI velocities.
        accents: share of the metre's accents to add to all but drums: 0 for a score that has its own, 1 for one whose
            notes only know how loud their beat is.
    """

    timing: float = 1.0
    velocity: float = VELOCITY_DEVIATION
    accents: float = 0.0


@dataclass(frozen=True)
class PlayedNote:
    """One note as it is played.

    Args:
        start_s: onset in seconds.
        end_s: when it is let go, in seconds.
        pitch: MIDI note number.
        velocity: MIDI velocity, 1 to 127.
    """

    start_s: float
    end_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """A track as it is played.

    Args:
        track: the track.
        pan: its place, -0.5 (left) to 0.5 (right).
        notes: its notes in the track's order.
    """

    track: Track
    pan: float
    notes: list[PlayedNote]


def metre_accent(start: float, beats_per_bar: int) -> float:
    """How much louder a note is for its place in the bar, in MIDI velocity.

    Args:
        start: onset in beats from a downbeat.
        beats_per_bar: beats in a bar.
    """
    beat = (start + 0.02) % beats_per_bar  # swing and laid-back playing bring notes late, rounding a little early
    if beat % 1 > 0.2:
        return -4.0
    return 5.0 if beat < 1 else 2.0 if beats_per_bar == 4 and 2 <= beat < 3 else 0.0


def perform(score: Score, humanise: Humanise | None = None) -> list[Part]:
    """Play a score.

    Args:
        score: what to play.
        humanise: how uneven; by default as a score with its own accents is played.

    Returns:
        One part a track, in order; the same score gives the same parts.
    """
    humanise = humanise or Humanise()
    rng = np.random.default_rng(score.seed)
    beat_s = 60 / score.tempo_bpm
    parts = []
    for track in score.tracks:
        pan = 0.0 if track.role in CENTRED_ROLES else (int(rng.integers(40, 89)) - 64) / 128
        notes = []
        for note in track.notes:
            early = rng.normal(0, score.timing_noise_in_s) * humanise.timing
            start = max(note.start * 60 / score.tempo_bpm + early, 0.0)
            accent = 0.0 if track.is_drum else humanise.accents * metre_accent(note.start, score.beats_per_bar)
            velocity = int(np.clip(note.velocity + accent + rng.normal(0, humanise.velocity), 1, 127))
            end = start + max(note.duration * beat_s, SHORTEST_NOTE_S)
            notes.append(PlayedNote(start, end, note.pitch, velocity))
        parts.append(Part(track, pan, notes))
    return parts
