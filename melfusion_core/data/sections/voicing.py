"""Chord voicings whose voices move little and not in parallel, found for the whole section at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from melfusion_core.data.harmony import Chord

REACH = 10
"""Semitones above and below the centre in which chords lie."""


def _chosen_tones(chord: Chord, voices: int, rootless: bool) -> tuple[int, ...]:
    """Which pitch classes sound: third and seventh stay, the fifth and, over a bass, the root give way."""
    tones = list(chord.tones)
    if len(tones) == 2:
        tones = [*tones, tones[0]]
    if len(tones) == 4:
        if voices == 3:
            tones = [tones[1], tones[2], tones[3]] if rootless and chord.quality not in ("6", "add9", "madd9") \
                else [tones[0], tones[1], tones[3]]  # fmt: skip
    elif voices == 4:
        tones = [*tones, tones[0]]
    return tuple(tones)


@lru_cache(maxsize=4096)
def _candidates(tones: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """All close and dropped voicings inside a range: (candidates, voices), low to high."""
    found = set()
    unique = tuple(dict.fromkeys(tones))
    for inversion in range(len(unique)):
        rotated = unique[inversion:] + unique[:inversion]
        for octave in range(1, 8):
            pitches = [12 * octave + rotated[0]]
            for tone in rotated[1:]:
                pitches.append(pitches[-1] + ((tone - pitches[-1]) % 12 or 12))
            while len(pitches) < len(tones):
                pitches.append(pitches[len(pitches) - len(unique)] + 12)
            shapes = [pitches]
            if len(pitches) >= 3:
                shapes.append(sorted([*pitches[:-2], pitches[-2] - 12, pitches[-1]]))
            for shape in shapes:
                if low <= shape[0] and shape[-1] <= high:
                    found.add(tuple(shape))
    if not found:
        base = sorted(low + (tone - low) % 12 for tone in unique)
        base += [base[0] + 12] * (len(tones) - len(base))
        found.add(tuple(sorted(base)))
    return np.array(sorted(found))


def _parallels(moves: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How many pairs of voices go in parallel fifths or octaves: (before, after)."""
    count = np.zeros(moves.shape[:2])
    voices = moves.shape[2]
    for a in range(voices):
        for b in range(a + 1, voices):
            gap_before = (before[:, None, b] - before[:, None, a]) % 12
            gap_after = (after[None, :, b] - after[None, :, a]) % 12
            same = (moves[:, :, a] == moves[:, :, b]) & (moves[:, :, a] != 0)
            count += same & (gap_before == gap_after) & ((gap_after == 7) | (gap_after == 0))
    return count


@lru_cache(maxsize=65536)
def _step(first: tuple, second: tuple, parallels: bool) -> np.ndarray:
    """Cost of going from each voicing of one chord to each of the next."""
    before, after = _candidates(*first), _candidates(*second)
    moves = after[None, :, :] - before[:, None, :]
    distance = np.abs(moves)
    cost = distance.sum(2) + 1.5 * np.maximum(distance - 4, 0).sum(2) + 0.5 * distance[:, :, -1]
    return cost + 5.0 * _parallels(moves, before, after) if parallels else cost


def voice_chords(chords: list[Chord], centre: float, voices: int, rootless: bool = False, lowest: int = 36,
                 parallels: bool = True) -> list[list[int]]:  # fmt: skip
    """Voice a run of chords.

    Args:
        chords: what to voice.
        centre: MIDI pitch around which the chords lie.
        voices: notes of each chord, 3 or 4.
        rootless: whether a bass plays the roots, so that three voices of a seventh chord leave it out.
        lowest: lowest MIDI pitch of the player.
        parallels: whether parallel fifths and octaves are avoided (power chords live on them).

    Returns:
        MIDI pitches of each chord, low to high, always `voices` of them.
    """
    low = max(round(centre - REACH), lowest)
    high = max(round(centre + REACH), low + 17)
    keys = [(_chosen_tones(chord, voices, rootless), low, high) for chord in chords]
    best, back = None, []
    for index, key in enumerate(keys):
        rows = _candidates(*key)
        own = 0.35 * np.abs(rows.mean(1) - centre)
        if best is None:
            best = own
            continue
        total = best[:, None] + _step(keys[index - 1], key, parallels)
        back.append(total.argmin(0))
        best = total.min(0) + own
    assert best is not None  # there is at least one chord
    place = int(best.argmin())
    path = [place]
    for arrows in reversed(back):
        place = int(arrows[place])
        path.append(place)
    path.reverse()
    return [[int(p) for p in _candidates(*key)[place]] for key, place in zip(keys, path, strict=True)]
