"""An accompaniment for tunes that come without one: chords found under the melody, then patterns."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.harmony import Slot, parse_chord
from melfusion_core.data.patterns import accompany, bass_line, comp_density, voice
from melfusion_core.score.instruments import Instrument
from melfusion_core.score.score import Note, Track

_CHOICES = {"major": ("I", "ii", "IV", "V7", "vi"), "minor": ("i", "iv", "V7", "VI", "VII")}
_PRIOR = {"I": 0.15, "i": 0.15, "V7": 0.08, "IV": 0.04, "iv": 0.04}
_MOVES = {
    ("V7", "I"): 0.2, ("V7", "i"): 0.2, ("ii", "V7"): 0.2, ("IV", "V7"): 0.12, ("iv", "V7"): 0.12, ("vi", "ii"): 0.08,
    ("V7", "IV"): -0.2, ("V7", "ii"): -0.25, ("V7", "iv"): -0.2, ("VI", "iv"): 0.06, ("VII", "VI"): 0.04,
    ("VII", "V7"): -0.05, ("V7", "VII"): -0.25,
}  # fmt: skip
"""How much a chord, and a step from chord to chord, is worth against the share of the melody that it explains."""

_COMP = {
    4: ("block", "slow arpeggio", "quarters", "arpeggio", "strum", "oompah", "travis"),
    3: ("waltz block", "slow waltz", "waltz", "waltz arpeggio", "waltz strum"),
}


def chords_under(tune: list[Note], tonic: int, mode: str, beats: int, bars: int) -> list[Slot]:
    """One chord a bar that carries a melody, by dynamic programming.

    Args:
        tune: the melody, times in beats.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        beats: beats per bar.
        bars: bars to fill.
    """
    chords = [parse_chord(numeral, tonic, mode) for numeral in _CHOICES[mode]]
    fit = np.zeros((bars, len(chords)))
    for bar in range(bars):
        begin, end = bar * beats, (bar + 1) * beats
        weights = np.zeros(12)
        for note in tune:
            shared = min(note.start + note.duration, end) - max(note.start, begin)
            if shared > 0:
                weights[note.pitch % 12] += shared * (1.5 if abs(note.start - begin) < 0.05 else 1.0)
        for index, chord in enumerate(chords):
            inside = sum(weights[tone] for tone in chord.tones)
            share = inside / weights.sum() if weights.sum() > 0 else 0.5
            fit[bar, index] = 1.6 * share + _PRIOR.get(chord.numeral, 0.0)
    moves = np.array([[_MOVES.get((a.numeral, b.numeral), 0.0) for b in chords] for a in chords])
    best, back = fit[0].copy(), np.zeros((bars, len(chords)), dtype=int)
    for bar in range(1, bars):
        total = best[:, None] + moves
        back[bar] = total.argmax(axis=0)
        best = total.max(axis=0) + fit[bar]
    path = [int(best.argmax())]
    for bar in range(bars - 1, 0, -1):
        path.append(int(back[bar, path[-1]]))
    path.reverse()
    return [Slot(float(bar * beats), float(beats), chords[index], bar // 4, "") for bar, index in enumerate(path)]


def accompaniment(
    rng: np.random.Generator,
    tune: list[Note],
    tonic: int,
    mode: str,
    beats: int,
    bars: int,
    onsets_per_beat: float,
    velocity: float,
    chords: Instrument,
    bass: Instrument | None,
) -> tuple[list[Track], tuple[str, ...]]:
    """Chords and bass for a tune.

    Args:
        rng: source of randomness.
        tune: the melody, times in beats.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        beats: beats per bar, 3 or 4.
        bars: bars to fill.
        onsets_per_beat: wanted density of the chords.
        velocity: mean MIDI velocity of the tune.
        chords: who plays the chords.
        bass: who plays the bass, or None.

    Returns:
        The tracks, and the symbols of the chords.
    """
    slots = chords_under(tune, tonic, mode, beats, bars)
    middle = float(np.mean([note.pitch for note in tune]))
    harmony = voice(slots, float(np.clip(middle - 13 if middle >= 62 else middle + 9, 50, 70)))
    names = ("sustain", *_COMP[beats]) if chords.sustained else _COMP[beats]
    gaps = np.array([abs(np.log((comp_density(n) + 0.15) / (onsets_per_beat + 0.15))) for n in names])
    weights = np.exp(-1.5 * gaps)
    pattern = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    notes = accompany(pattern, harmony, beats, bars, velocity - 20, 0.95, chords)
    tracks = [Track(chords.name, chords.program, notes, role="chords")]
    if bass is not None:
        line = ("waltz", "root") if beats == 3 else ("two", "root", "root-fifth")
        choice = line[int(rng.integers(len(line)))]
        low = bass_line(rng, choice, slots, beats, tonic, velocity - 14, bass)
        tracks.append(Track(bass.name, bass.program, low, role="bass"))
    return tracks, tuple(slot.chord.symbol for slot in slots)
