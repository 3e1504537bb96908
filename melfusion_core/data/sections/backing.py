"""An accompaniment for tunes that come without one, by the composer's own parts."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.ensembles import Ensemble
from melfusion_core.data.leadsheets import chords_under
from melfusion_core.data.sections.arrange import bass_track, choose_other, chord_track, comping_centre
from melfusion_core.data.sections.form import Phrase, draw_energy
from melfusion_core.data.sections.plan import Plan
from melfusion_core.data.sections.windows import Window
from melfusion_core.data.styles import STYLES
from melfusion_core.score.chords import BeatChord
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import SCALES
from melfusion_core.score.score import Track

_FEEL = {
    4: (("folk", 3.0), ("ballad", 1.0), ("jazz", 1.0), ("country", 1.0), ("march", 0.7)),
    3: (("waltz", 3.0), ("lullaby", 1.0)),
}
"""Styles whose patterns accompany a tune, by metre, with weights; those near the arousal are likelier."""


def _plan(rng: np.random.Generator, tune: Track, target: int, mode: str, beats: int, window: Window, tempo: float,
          valence: float, arousal: float, level: float) -> Plan:  # fmt: skip
    """The plan of an accompaniment: chords found under the tune, patterns of a style near the arousal."""
    rows = [(next(style for style in STYLES if style.name == name), weight) for name, weight in _FEEL[beats]]
    weights = np.array([weight * np.exp(-0.5 * ((style.arousal - arousal) / 0.3) ** 2) for style, weight in rows])
    style = rows[int(rng.choice(len(rows), p=weights / weights.sum()))][0]
    slots = chords_under(tune.notes, target, mode, beats, window.bars)
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
    return tracks, plan.harmony()
