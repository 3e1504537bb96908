"""Valence and arousal of a score from its cues.

Linear and additive cues after Eerola, Friberg & Bresin (2013); weights fitted on 204 human-labelled phrases of VGMIDI
(z-scores): V = .6 mode + .35 onset rate + .2 melody pitch (r = .40), A = .7 onset rate - .3 legato + .3 velocity
(r = .59). Loud, distorted and piercing sounds add to arousal (Whiteford et al. 2018), here with weight .3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import krumhansl_key
from melfusion_core.score.score import Score

SAME_ONSET_IN_S = 0.045
"""Notes closer together than this are heard as one onset."""


@dataclass(frozen=True)
class MusicCues:
    """What moves the mood of a score.

    Args:
        onset_rate_hz: distinct onsets per second, drums included.
        mode: best major minus best minor Krumhansl correlation.
        melody_pitch: mean MIDI pitch of the lead.
        legato: mean sounding length of lead notes over the gap to the next onset, 0 to 1.
        velocity: mean MIDI velocity.
        brightness: mean arousal of the instruments' sounds, -1 to 1.
    """

    onset_rate_hz: float
    mode: float
    melody_pitch: float
    legato: float
    velocity: float
    brightness: float


def music_cues(score: Score, seconds: float = 10.24) -> MusicCues:
    """Measure the cues of a score.

    Args:
        score: the piece.
        seconds: its length.
    """
    starts = sorted(note.start * 60 / score.tempo_bpm for track in score.tracks for note in track.notes)
    onsets, last = 0, -1.0
    for start in starts:
        if start - last > SAME_ONSET_IN_S:
            onsets, last = onsets + 1, start
    pitched = [track for track in score.tracks if not track.is_drum]
    histogram = np.zeros(12)
    for track in pitched:
        for note in track.notes:
            histogram[note.pitch % 12] += min(note.duration, 2.0)
    lead = sorted(score.lead.notes, key=lambda note: note.start)
    gaps = [max(b.start - a.start, 0.05) for a, b in zip(lead, lead[1:], strict=False)]
    legato = np.mean([min(note.duration / gap, 1.0) for note, gap in zip(lead, gaps, strict=False)]) if gaps else 1.0
    sounds = [INSTRUMENTS[track.instrument].arousal for track in pitched] + [0.5 for t in score.tracks if t.is_drum]
    return MusicCues(
        onset_rate_hz=onsets / seconds,
        mode=krumhansl_key(histogram)[2],
        melody_pitch=float(np.mean([note.pitch for note in lead])),
        legato=float(legato),
        velocity=float(np.mean([note.velocity for track in score.tracks for note in track.notes])),
        brightness=float(np.mean(sounds)),
    )


def music_affect(cues: list[MusicCues]) -> tuple[np.ndarray, np.ndarray]:
    """Valence and arousal of a set of scores, from z-scored cues.

    Args:
        cues: cues of every score; z-scores are taken over this list.

    Returns:
        Two arrays of shape (scores,), in arbitrary units: compare within the list only.
    """

    def z(values: list[float]) -> np.ndarray:
        array = np.asarray(values, dtype=np.float64)
        return (array - array.mean()) / max(float(array.std()), 1e-9)

    onset = z([float(np.log(max(c.onset_rate_hz, 0.1))) for c in cues])
    valence = 0.6 * z([c.mode for c in cues]) + 0.35 * onset + 0.2 * z([c.melody_pitch for c in cues])
    arousal = 0.7 * onset - 0.3 * z([c.legato for c in cues]) + 0.3 * z([c.velocity for c in cues])
    return valence, arousal + 0.3 * z([c.brightness for c in cues])
