"""Facts read off the notes of a score: how its harmony, its melody and its rhythm behave."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from melfusion_core.score.chords import BeatChord
from melfusion_core.score.keys import SCALES
from melfusion_core.score.score import TICKS_PER_BEAT, Note, Score, Track

STEPS_PER_BEAT = 4
"""Resolution of grooves: sixteenths, as Wu & Yang (2020) have it."""


@dataclass(frozen=True)
class ScoreFacts:
    """Facts of one score; NaN where there is nothing to measure.

    Args:
        out_of_key: share of sounding time outside the key's scale (in minor, both sevenths are inside).
        chord_tones: share of lead and counter notes that start on strong beats and belong to the chord.
        bass_roots: share of bars whose first bass note is the root, or the written bass, of the chord.
        parallels: parallel fifths and octaves of lead against bass, per hundred moves of both.
        voice_leading: mean semitones a voice moves from chord to chord.
        pitch_class_entropy: bits, at most log2 12 = 3.58.
        groove: mean share of sixteenths on which a bar and the next one agree about onsets.
        empty_bars: share of bars in which nothing starts.
        repeated_bars: share of bars that are note for note an earlier one.
        lead_repeated: the same of the lead alone, bars without onsets left out.
        lead_steps: share of melodic intervals of at most two semitones.
        lead_leaps: share of melodic intervals of more than seven.
        lead_range: semitones from the lowest to the highest lead note.
        lead_rests: share of time in which the lead is silent.
        onsets_per_beat: distinct onsets a beat, all parts together.
        notes_per_beat: notes a beat, all parts together.
        last_long: beats that the last lead note lasts.
    """

    out_of_key: float
    chord_tones: float
    bass_roots: float
    parallels: float
    voice_leading: float
    pitch_class_entropy: float
    groove: float
    empty_bars: float
    repeated_bars: float
    lead_repeated: float
    lead_steps: float
    lead_leaps: float
    lead_range: float
    lead_rests: float
    onsets_per_beat: float
    notes_per_beat: float
    last_long: float


def _share(values: list[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _strong(start: float, beats_per_bar: int) -> bool:
    inside = start % beats_per_bar
    return inside < 0.05 or (beats_per_bar == 4 and abs(inside - 2) < 0.05)


def _line(notes: list[Note], lowest: bool = False) -> list[Note]:
    """One note an onset: the highest or the lowest."""
    kept: dict[int, Note] = {}
    for note in sorted(notes, key=lambda n: n.pitch, reverse=lowest):
        kept[round(note.start * 12)] = note
    return [kept[place] for place in sorted(kept)]


def _out_of_key(notes: list[Note], tonic: int, mode: str) -> float:
    scale = {(tonic + step) % 12 for step in SCALES[mode]} | ({(tonic + 11) % 12} if mode == "minor" else set())
    weights = [(min(note.duration, 2.0), note.pitch % 12 not in scale) for note in notes]
    total = sum(weight for weight, _ in weights)
    return sum(weight for weight, out in weights if out) / total if total else float("nan")


def _bars(notes: list[Note], size: int, bars: int) -> list[frozenset]:
    rows: list[set] = [set() for _ in range(bars)]
    for note in notes:
        bar = int(note.start // size)
        if bar < bars:
            rows[bar].add((round((note.start - bar * size) * 12), note.pitch))
    return [frozenset(row) for row in rows]


def _repeated(rows: list[frozenset]) -> float:
    full = [row for row in rows if row]
    return _share([row in full[:index] for index, row in enumerate(full)][1:])


def _parallels(lead: list[Note], bass: list[Note]) -> float:
    """Parallel fifths and octaves where lead and bass both move, per hundred such moves."""
    low = {round(note.start * 12): note.pitch for note in bass}
    pairs = [(note.pitch, low[round(note.start * 12)]) for note in lead if round(note.start * 12) in low]
    moves, found = 0, 0
    for (top, bottom), (new_top, new_bottom) in pairwise(pairs):
        if top == new_top or bottom == new_bottom:
            continue
        moves += 1
        same = (top - bottom) % 12 == (new_top - new_bottom) % 12 and (top < new_top) == (bottom < new_bottom)
        found += same and (top - bottom) % 12 in (0, 7)
    return 100 * found / moves if moves else float("nan")


def _voice_leading(notes: list[Note]) -> float:
    """Mean motion from one chord of three notes or more to the next, each note to its nearest one."""
    groups: dict[int, set[int]] = {}
    for note in notes:
        groups.setdefault(round(note.start * 12), set()).add(note.pitch)
    chords = [groups[place] for place in sorted(groups) if len(groups[place]) >= 3]
    moves = [np.mean([min(abs(a - b) for b in first) for a in second])
             for first, second in pairwise(chords) if first != second]  # fmt: skip
    return float(np.mean(moves)) if moves else float("nan")


def score_facts(score: Score, bars: int, harmony: tuple[BeatChord | None, ...] | None = None) -> ScoreFacts:
    """Measure a score.

    Args:
        score: what to measure; it starts with a bar.
        bars: whole bars it has.
        harmony: the chord of every beat, or None for the score's own.
    """
    size = score.beats_per_bar
    harmony = score.harmony if harmony is None else harmony
    by_role = {track.role: track.notes for track in score.tracks}
    pitched = [note for track in score.tracks if not track.is_drum for note in track.notes]
    every = [note for track in score.tracks for note in track.notes]
    lead, bass = _line(by_role["lead"]), _line(by_role.get("bass", []), lowest=True)
    melodic = [*lead, *by_role.get("counter", [])]
    tones = []
    for note in melodic:
        chord = harmony[int(note.start)] if int(note.start) < len(harmony) else None
        if chord is not None and _strong(note.start, size):
            tones.append(note.pitch % 12 in chord.tones)
    roots = []
    for bar in range(bars):
        first = next((note for note in bass if bar * size - 0.05 <= note.start < bar * size + 1), None)
        chord = harmony[bar * size] if bar * size < len(harmony) else None
        if first is not None and chord is not None:
            roots.append(first.pitch % 12 in (chord.root, chord.bass))
    histogram = np.zeros(12)
    for note in pitched:
        histogram[note.pitch % 12] += min(note.duration, 2.0)
    shares = histogram[histogram > 0] / histogram.sum()
    grooves = np.zeros((bars, size * STEPS_PER_BEAT), dtype=bool)
    for note in every:
        bar, inside = divmod(note.start, size)
        if bar < bars:
            grooves[int(bar), min(int(inside * STEPS_PER_BEAT + 0.01), grooves.shape[1] - 1)] = True
    intervals = [abs(b.pitch - a.pitch) for a, b in pairwise(lead)]
    sounding, until = 0.0, 0.0
    for note in sorted(lead, key=lambda n: n.start):
        end = note.start + note.duration
        sounding += max(end - max(note.start, until), 0.0)
        until = max(until, end)
    return ScoreFacts(
        out_of_key=_out_of_key(pitched, score.tonic, score.mode),
        chord_tones=_share(tones),
        bass_roots=_share(roots),
        parallels=_parallels(lead, bass),
        voice_leading=_voice_leading([*by_role.get("chords", [])]),
        pitch_class_entropy=float(-(shares * np.log2(shares)).sum()),
        groove=float(np.mean(grooves[1:] == grooves[:-1])) if bars > 1 else float("nan"),
        empty_bars=_share([not row for row in _bars(every, size, bars)]),
        repeated_bars=_repeated(_bars(every, size, bars)),
        lead_repeated=_repeated(_bars(lead, size, bars)),
        lead_steps=_share([step <= 2 for step in intervals]),
        lead_leaps=_share([step > 7 for step in intervals]),
        lead_range=float(max(n.pitch for n in lead) - min(n.pitch for n in lead)),
        lead_rests=1 - sounding / (bars * size),
        onsets_per_beat=len({round(note.start * 12) for note in every}) / (bars * size),
        notes_per_beat=len(every) / (bars * size),
        last_long=lead[-1].duration,
    )


def swing_of(tracks: list[Track]) -> float:
    """Where the off-beat eighth falls, 0.5 (straight) or 2/3 (swung), in notes on the grid of twelve ticks.

    A beat is swung when something starts two thirds into it and nothing at one third, where a triplet would.

    Args:
        tracks: the notes.
    """
    beats: dict[int, set[int]] = {}
    for note in (note for track in tracks for note in track.notes):
        beat, inside = divmod(round(note.start * TICKS_PER_BEAT), TICKS_PER_BEAT)
        beats.setdefault(beat, set()).add(inside)
    swung = sum(8 in ticks and 4 not in ticks and 6 not in ticks for ticks in beats.values())
    straight = sum(6 in ticks for ticks in beats.values())
    return 2 / 3 if swung > max(straight, 2) else 0.5
