"""An accompaniment for tunes that come without one, by the composer's own parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from melfusion_core.data.ensembles import Ensemble
from melfusion_core.data.harmony import Chord, Slot, parse_chord
from melfusion_core.data.sections.arrange import bass_track, choose_other, chord_track, comping_centre, drum_track
from melfusion_core.data.sections.form import Phrase, draw_energy
from melfusion_core.data.sections.plan import Plan
from melfusion_core.data.sections.windows import Window
from melfusion_core.data.styles import STYLES
from melfusion_core.score.chords import BeatChord
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import SCALES
from melfusion_core.score.score import Note, Track

_FEEL = {
    4: (("folk", 3.0), ("ballad", 1.0), ("jazz", 1.0), ("country", 1.0), ("march", 0.7)),
    3: (("waltz", 3.0), ("lullaby", 1.0)),
}
"""Styles whose patterns accompany a tune, by metre, with weights; those near the arousal are likelier."""


_WORTH = {
    "major": {"I": 0.12, "IV": 0.05, "V7": 0.06, "ii7": 0.02, "vi": 0.0, "iii": -0.05, "II7": -0.06, "VI7": -0.08,
              "III7": -0.1, "I7": -0.08, "iv": -0.14, "#i°7": -0.14, "bVII": -0.16},
    "minor": {"i": 0.12, "iv": 0.05, "V7": 0.07, "VI": 0.02, "VII": 0.0, "III": 0.0, "iiø7": -0.02, "I7": -0.12,
              "II7": -0.14, "bII": -0.14, "v": -0.08},
}  # fmt: skip
"""Chords that may stand under a tune, and what each is worth besides the share of the tune that it explains."""

_FIFTH, _STAY, _INSIDE, _BACK = 0.16, 0.05, 0.13, 0.15
"""What is worth a root that falls a fifth, and a chord that stays; what a change inside a bar and V - IV cost."""


def _moves(chords: list[Chord]) -> np.ndarray:
    """(from, to) worth of each step; dominants want to go on."""
    moves = np.zeros((len(chords), len(chords)))
    for a, first in enumerate(chords):
        for b, second in enumerate(chords):
            falls = (first.root - second.root) % 12 == 7
            moves[a, b] += _FIFTH * falls + _STAY * (a == b)
            applied = first.quality == "7" and not falls and a != b
            moves[a, b] -= _BACK * (applied and (second.root - first.root) % 12 != 2)
            moves[a, b] -= 0.12 * (first.quality == "dim7" and (second.root - first.root) % 12 != 1)
    return moves


def chords_under_tune(tune: list[Note], tonic: int, mode: str, beats: int, bars: int, closing: bool) -> list[Slot]:
    """Chords that carry a tune, two a bar in four where the tune asks for it, by dynamic programming.

    Args:
        tune: the melody, times in beats.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        beats: beats of a bar.
        bars: bars to fill.
        closing: whether the last bar is the tonic.
    """
    worth = _WORTH[mode]
    chords = [parse_chord(numeral, tonic, mode) for numeral in worth]
    inside = np.zeros((len(chords), 12))
    for row, chord in zip(inside, chords, strict=True):
        row[list(chord.tones)] = 1.0
    half = 2 if beats == 4 else 3
    spans = bars * beats // half
    weights = np.zeros((spans, 12))
    for note in tune:
        for span in range(int(note.start // half), min(int((note.start + note.duration - 1e-6) // half) + 1, spans)):
            shared = min(note.start + note.duration, (span + 1) * half) - max(note.start, span * half)
            struck = 1.5 if abs(note.start - span * half) < 0.05 else 1.0
            weights[span, note.pitch % 12] += shared * struck
    total = weights.sum(1, keepdims=True)
    fit = 1.6 * np.where(total > 0, weights @ inside.T / np.maximum(total, 1e-9), 0.5) + np.array(list(worth.values()))
    if closing:
        fit[-(beats // half) :, 0] += 2.0
    moves = _moves(chords)
    best, back = fit[0] + 0.1 * (np.arange(len(chords)) == 0), []
    for span in range(1, spans):
        change = _INSIDE if span * half % beats else 0.0
        step = best[:, None] + moves - change * (1 - np.eye(len(chords)))
        back.append(step.argmax(0))
        best = step.max(0) + fit[span]
    path = [int(best.argmax())]
    for arrows in reversed(back):
        path.append(int(arrows[path[-1]]))
    path.reverse()
    slots: list[Slot] = []
    for span, index in enumerate(path):
        if slots and span * half % beats and slots[-1].chord == chords[index]:
            slots[-1] = replace(slots[-1], length=slots[-1].length + half)
        else:
            slots.append(Slot(float(span * half), float(half), chords[index], span * half // (4 * beats), ""))
    return slots


def _plan(rng: np.random.Generator, tune: Track, target: int, mode: str, beats: int, window: Window, tempo: float,
          valence: float, arousal: float, level: float) -> Plan:  # fmt: skip
    """The plan of an accompaniment: chords found under the tune, patterns of a style near the arousal."""
    rows = [(next(style for style in STYLES if style.name == name), weight) for name, weight in _FEEL[beats]]
    weights = np.array([weight * np.exp(-0.5 * ((style.arousal - arousal) / 0.3) ** 2) for style, weight in rows])
    style = rows[int(rng.choice(len(rows), p=weights / weights.sum()))][0]
    slots = chords_under_tune(tune.notes, target, mode, beats, window.bars, window.last)
    phrases = [Phrase(bar, min(4, window.bars - bar), "a", "half") for bar in range(0, window.bars, 4)]
    _, energy = draw_energy(rng, window.bars)
    return Plan(style, valence, arousal, tempo, target, mode, SCALES[mode], window.bars, beats, phrases, slots, "even",
                0.5 * energy, level, 0.95, "", window.last)  # fmt: skip


def backing(
    rng: np.random.Generator, ensemble: Ensemble, tune: Track, tonic: int, mode: str, beats: int, window: Window,
    tempo: float, valence: float, arousal: float, level: float,
) -> tuple[list[Track], tuple[BeatChord, ...]]:  # fmt: skip
    """Chords, and where the ensemble has them a bass and drums, for a tune.

    Args:
        rng: source of randomness.
        ensemble: who may play.
        tune: the melody, on the grid.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        beats: beats of a bar, 3 or 4.
        window: which bars of the score the tune is.
        tempo: beats a minute.
        valence: target mood, 0 to 1.
        arousal: target mood, 0 to 1.
        level: mean MIDI velocity.

    Returns:
        The tracks, and the chord of every beat.
    """
    plan = _plan(rng, tune, tonic, mode, beats, window, tempo, valence, arousal, level)
    middle = float(np.mean([note.pitch for note in tune.notes]))
    player = INSTRUMENTS[tune.instrument] if ensemble.unison else choose_other(rng, plan, ensemble.inner, [])
    deep = None if ensemble.unison else choose_other(rng, plan, ensemble.bass, [player.name])
    tracks = [chord_track(rng, plan, player, comping_centre(middle), deep is not None)]
    if deep is not None:
        tracks.append(bass_track(rng, plan, deep))
    if not ensemble.unison and rng.random() < arousal:
        drums = drum_track(rng, plan, None)
        tracks += [drums] if drums else []
    return tracks, plan.harmony()
