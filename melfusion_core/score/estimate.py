"""Which chord sounds in each beat of some notes: templates on pitch classes, and the likeliest path through them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from melfusion_core.score.chords import CHORD_KINDS, BeatChord
from melfusion_core.score.score import Note

_KINDS = ("", "m", "7", "maj7", "m7", "dim", "m7b5", "dim7", "sus4", "5")
_PRIOR = {"": 0.0, "m": 0.0, "7": -0.05, "maj7": -0.09, "m7": -0.08, "dim": -0.07, "m7b5": -0.1, "dim7": -0.11,
          "sus4": -0.13, "5": -0.16}  # fmt: skip
"""How much worse than a triad a kind starts: a seventh must be heard to be written."""

_CHANGE, _CHANGE_INSIDE = 0.16, 0.3
"""What a new chord costs on a downbeat (and, in four, on the third beat), and elsewhere."""

_UNKNOWN = 0.6
"""Score below which no chord is named."""

_STATES = [(root, kind) for root in range(12) for kind in _KINDS]


@lru_cache(maxsize=1)
def _templates() -> np.ndarray:
    """(states, 12) weight of each pitch class: root and third count most."""
    rows = np.zeros((len(_STATES), 12))
    for row, (root, kind) in zip(rows, _STATES, strict=True):
        for place, step in enumerate(CHORD_KINDS[kind]):
            row[(root + step) % 12] = (1.0, 0.95, 0.8, 0.75)[place]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def beat_weights(notes: list[Note], beats: int) -> tuple[np.ndarray, np.ndarray]:
    """How much each pitch class sounds in each beat, and the lowest pitch.

    Args:
        notes: pitched notes, times in beats.
        beats: number of beats.

    Returns:
        (beats, 12) weights, where struck notes count a little more, and (beats,) lowest MIDI pitch, 128 in silence.
    """
    weights, lowest = np.zeros((beats, 12)), np.full(beats, 128)
    for note in notes:
        end = note.start + note.duration
        for beat in range(max(int(note.start + 1e-6), 0), min(int(np.ceil(end - 1e-6)), beats)):
            shared = min(end, beat + 1) - max(note.start, beat)
            if shared <= 0:
                continue
            struck = 0.25 if abs(note.start - beat) < 0.05 else 0.0
            weights[beat, note.pitch % 12] += min(shared, 1.0) + struck
            if shared > 0.2 and note.start < beat + 0.55:
                lowest[beat] = min(lowest[beat], note.pitch)
    return weights, lowest


def estimate_chords(notes: list[Note], beats: int, beats_per_bar: int) -> tuple[BeatChord | None, ...]:
    """Name the chord of every beat, None where the notes do not agree on one.

    Args:
        notes: pitched notes, times in beats.
        beats: number of beats.
        beats_per_bar: 3 or 4; chords change on downbeats rather than inside bars.
    """
    weights, lowest = beat_weights(notes, beats)
    wide = weights.copy()  # a lone beat says little: its neighbours inside the half bar help
    half = 2 if beats_per_bar == 4 else 3
    for beat in range(beats):
        begin = beat - beat % beats_per_bar % half
        wide[beat] += 0.35 * (weights[begin : begin + half].sum(0) - weights[beat])
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    scores = (wide / np.maximum(norms, 1e-9)) @ _templates().T
    scores += np.array([_PRIOR[kind] for _, kind in _STATES])
    roots = np.array([root for root, _ in _STATES])
    for beat in range(beats):
        if lowest[beat] < 128:
            scores[beat] += 0.08 * (roots == lowest[beat] % 12)
    scores[norms[:, 0] < 1e-6] = 0.5
    path = _path(scores, beats_per_bar)
    basses = _basses(path, lowest)
    out: list[BeatChord | None] = []
    for beat, state in enumerate(path):
        root, kind = _STATES[state]
        tones = {(root + step) % 12 for step in CHORD_KINDS[kind]}
        silent = norms[beat, 0] < 1e-6
        inside = sum(wide[beat, tone] for tone in tones) / max(wide[beat].sum(), 1e-9)
        sounding = sum(wide[beat, tone] > 0.05 * wide[beat].sum() for tone in tones)
        if not silent and (scores[beat, state] < _UNKNOWN or inside < 0.6 or sounding < 2):
            out.append(None)
            continue
        if silent and (not out or out[-1] is None):
            out.append(None)
            continue
        out.append(BeatChord(root, kind, basses[beat] if basses[beat] in tones else root))
    return tuple(out)


def _basses(path: list[int], lowest: np.ndarray) -> list[int]:
    """The bass of each beat: the lowest note as the chord begins, or the commonest one under it if that is another."""
    out: list[int] = []
    begin = 0
    for beat in range(1, len(path) + 1):
        if beat < len(path) and path[beat] == path[begin]:
            continue
        lows = [int(pitch % 12) for pitch in lowest[begin:beat] if pitch < 128]
        counts = np.bincount([*lows[:1], *lows], minlength=12)
        bass = lows[0] if lows and counts[lows[0]] == counts.max() else int(counts.argmax()) if lows else -1
        out += [bass] * (beat - begin)
        begin = beat
    return out


def _path(scores: np.ndarray, beats_per_bar: int) -> list[int]:
    """The best chain of states when changes cost something."""
    best = scores[0].copy()
    back = []
    for beat in range(1, len(scores)):
        inside = beat % beats_per_bar
        strong = inside == 0 or (beats_per_bar == 4 and inside == 2)
        leap = best.max() - (_CHANGE if strong else _CHANGE_INSIDE)
        stay = best >= leap
        back.append(np.where(stay, np.arange(len(best)), int(best.argmax())))
        best = np.where(stay, best, leap) + scores[beat]
    state = int(best.argmax())
    path = [state]
    for arrows in reversed(back):
        state = int(arrows[state])
        path.append(state)
    return path[::-1]
