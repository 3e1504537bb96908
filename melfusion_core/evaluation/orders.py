"""Orders: what a piece is told, in words or as facts, and whether its notes follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from melfusion_core.engines.score.direction import Curve, Direction, sampled
from melfusion_core.score.chord_text import chords_by_beat, parse_progression
from melfusion_core.score.chords import BeatChord
from melfusion_core.score.keys import PITCH_CLASSES, krumhansl_key
from melfusion_core.score.score import Note, Score, Track
from melfusion_core.score.tempo import TEMPO_WORDS, tempo_range

TEMPI_BPM = (70, 88, 100, 128, 140, 174)
LEADS = ("piano", "violin", "flute", "acoustic guitar", "electric guitar", "saxophone", "trumpet", "clarinet",
         "music box", "cello", "accordion", "harp", "marimba", "church organ", "saw lead", "choir")  # fmt: skip
PROGRESSIONS = ("C G Am F", "Am F C G", "Dm7 G7 Cmaj7 Cmaj7", "Em C G D", "F Bb C F", "Bm G D A", "Gm Eb Bb F",
                "Cm Ab Eb Bb", "E A B E", "Am Dm E7 Am")  # fmt: skip
TEMPO_TOLERANCE = 0.04
LEVELS: Sequence[Curve] = (((0, 45), (15, 115)), ((0, 115), (15, 45)), ((0, 50), (8, 115), (15, 50)))
DENSITIES: Sequence[Curve] = (((0, 1), (15, 6)), ((0, 6), (15, 1)), ((0, 1), (8, 6), (15, 1)))

Harmony = Sequence[BeatChord | None]
"""The chord of every beat; None where there is none."""

Check = Callable[[Score, int], float]
"""From a score and its beats to how far it follows: 1 or 0, a share or a correlation; NaN when it cannot be told."""


@dataclass(frozen=True)
class Order:
    """One thing that is asked for.

    Args:
        kind: What sort of thing.
        caption: The words.
        checks: By name, whether a take follows.
        direction: What is told beside the words.
    """

    kind: str
    caption: str
    checks: dict[str, Check]
    direction: Direction | None = None


def all_notes(score: Score) -> list[Note]:
    """Pitched notes of a score, whoever plays them.

    Args:
        score: The score.
    """
    return [note for track in score.tracks if not track.is_drum for note in track.notes]


def heard_key(score: Score) -> tuple[int, str] | None:
    """Key of the notes by Krumhansl's profiles, each note by its length up to two beats; None without notes.

    Args:
        score: The score.
    """
    histogram = np.zeros(12)
    for note in all_notes(score):
        histogram[note.pitch % 12] += min(note.duration, 2.0)
    return krumhansl_key(histogram)[:2] if histogram.any() else None


def _part(score: Score, role: str) -> Track | None:
    return next((track for track in score.tracks if track.role == role and track.notes), None)


def _tempo(low: float, high: float) -> Check:
    return lambda score, beats: float(low <= score.tempo_bpm <= high)


def _key(tonic: int, mode: str) -> Check:
    return lambda score, beats: float(heard_key(score) == (tonic, mode))


def _mode(mode: str) -> Check:
    return lambda score, beats: float((heard_key(score) or (0, ""))[1] == mode)


def _plays(instrument: str) -> Check:
    return lambda score, beats: float(any(t.instrument == instrument and t.notes for t in score.tracks))


def _leads(instrument: str) -> Check:
    return lambda score, beats: float(bool((lead := _part(score, "lead")) and lead.instrument == instrument))


def _drums(wanted: bool) -> Check:
    return lambda score, beats: float((_part(score, "drums") is not None) == wanted)


def chord_tone_share(score: Score, harmony: Harmony) -> float:
    """Share of notes that start on a beat and belong to its chord.

    Args:
        score: The score.
        harmony: The chord of every beat; None where there is none.
    """
    hits = [note.pitch % 12 in chord.tones for note in all_notes(score) if (chord := _chord_at(note, harmony))]
    return float(np.mean(hits)) if hits else float("nan")


def _chord_at(note: Note, harmony: Harmony) -> BeatChord | None:
    """The chord of the beat that a note starts on; None for notes between beats and beats without a chord."""
    beat = round(note.start)
    return harmony[beat] if abs(note.start - beat) < 0.01 and beat < len(harmony) else None


def bass_root_share(score: Score, harmony: Harmony) -> float:
    """Share of the bass notes on strong beats, the first of a bar and the third of four, that are the chord's bass.

    Args:
        score: The score.
        harmony: The chord of every beat; None where there is none.
    """
    bass = _part(score, "bass")
    size = score.beats_per_bar
    strong = {0} if size == 3 else {0, 2}
    hits = [
        note.pitch % 12 in (chord.bass, chord.root)
        for note in (bass.notes if bass else [])
        if (chord := _chord_at(note, harmony)) and round(note.start) % size in strong
    ]
    return float(np.mean(hits)) if hits else float("nan")


def _correlation(told: np.ndarray, found: np.ndarray) -> float:
    known = np.isfinite(found)
    if known.sum() < 4 or np.ptp(found[known]) == 0:
        return 0.0
    return float(np.corrcoef(told[known], found[known])[0, 1])


def level_curve(score: Score, beats: int) -> np.ndarray:
    """Mean velocity of the notes that start in each beat; NaN where none does.

    Args:
        score: The score.
        beats: Its length.
    """
    return _by_beat(score, beats, lambda notes: float(np.mean([n.velocity for n in notes])) if notes else float("nan"))


def density_curve(score: Score, beats: int) -> np.ndarray:
    """Distinct onsets in each beat.

    Args:
        score: The score.
        beats: Its length.
    """
    return _by_beat(score, beats, lambda notes: float(len({round(note.start * 12) for note in notes})))


def _by_beat(score: Score, beats: int, value: Callable[[list[Note]], float]) -> np.ndarray:
    rows: list[list[Note]] = [[] for _ in range(beats)]
    for track in score.tracks:
        for note in track.notes:
            if int(note.start) < beats:
                rows[int(note.start)].append(note)
    return np.array([value(row) for row in rows])


def _follows(curve: Curve, measure: Callable[[Score, int], np.ndarray]) -> Check:
    return lambda score, beats: _correlation(sampled(curve, beats)[0], measure(score, beats))


def caption_orders(per: int) -> list[Order]:
    """What captions can ask for in so many words.

    Args:
        per: How often each thing is asked for.

    Returns:
        The orders; those of one thing differ by their noise alone.
    """
    spelled = [name.replace("#", " sharp").replace("b", " flat") for name in PITCH_CLASSES]
    orders: list[Order] = []
    for bpm in TEMPI_BPM:
        near = _tempo(bpm * (1 - TEMPO_TOLERANCE), bpm * (1 + TEMPO_TOLERANCE))
        orders.append(Order("number of BPM", f"a piece of music at {bpm} BPM", {"within 4 %": near}))
    for _, word, _ in TEMPO_WORDS:
        orders.append(Order("tempo word", f"{word} music", {"in its range": _tempo(*tempo_range(word))}))
    for tonic, mode in product(range(12), ("major", "minor")):
        name = f"{spelled[tonic]} {mode}"
        orders.append(Order("key", f"a piece of music in {name}", {"by Krumhansl on the notes": _key(tonic, mode)}))
    for mode in ("major", "minor"):
        orders.append(Order("mode", f"music in a {mode} key", {"by Krumhansl on the notes": _mode(mode)}))
    for name in LEADS:
        orders.append(Order("lead", f"a piece with {name}", {"plays": _plays(name), "leads": _leads(name)}))
    for word in ("with", "without"):
        orders.append(Order("drums", f"music {word} drums", {"as said": _drums(word == "with")}))
    return [order for order in orders for _ in range(per)]


def direction_orders(per: int) -> list[Order]:
    """What a direction can ask for that is followed more or less.

    Args:
        per: How often each thing is asked for.

    Returns:
        The orders, all of 16 beats in 4/4.
    """
    base = Direction(bars=4, beats_per_bar=4, tempo_bpm=110.0)
    orders: list[Order] = []
    for text in PROGRESSIONS:
        harmony = chords_by_beat(parse_progression(text), 4, 16)
        checks: dict[str, Check] = {
            "chord tones on beats": lambda score, beats, h=harmony: chord_tone_share(score, h),
            "bass on root, strong beats": lambda score, beats, h=harmony: bass_root_share(score, h),
        }
        orders.append(Order("chords", "a piece of music", checks, base | Direction(chords=harmony)))
    for name, curves, measure in (("level", LEVELS, level_curve), ("density", DENSITIES, density_curve)):
        orders += [
            Order(name, "a piece of music", {"correlation": _follows(curve, measure)}, replace(base, **{name: curve}))
            for curve in curves
        ]
    return [order for order in orders for _ in range(per)]
