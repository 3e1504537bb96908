"""Excerpts from real scores: cut at a downbeat, re-paced,
transposed and given to an ensemble that fits its style word."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from melfusion_core.data.composer import CORE_LEADS, CORE_TRACKS, choose_subset, choose_tempo
from melfusion_core.data.ensembles import Ensemble, choose_ensemble, exact_style
from melfusion_core.data.leadsheets import accompaniment
from melfusion_core.data.parts import longest_pause, skyline, thinned, tunefulness
from melfusion_core.data.score_files import Piece, ScoreError
from melfusion_core.score.instruments import INSTRUMENTS, Instrument, fit_register
from melfusion_core.score.keys import TONICS, krumhansl_key
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import Note, Score, Track

logger = logging.getLogger(__name__)

LONGEST_SILENCE_IN_S = 1.5
"""Excerpts with a longer pause, at the start or inside, are not used."""

LONGEST_PAUSE_IN_S = 5.0
"""The melody may not be without a new note for longer."""

_Cut = list[list[Note]]


def _cut(notes: list[Note], begin: float, span: float, stretch: float) -> list[Note]:
    """Notes that start in a passage, from its downbeat on; `span` is in beats after stretching."""
    end = begin + span / stretch
    return [
        Note(max(n.start - begin, 0.0) * stretch, n.duration * stretch, n.pitch, n.velocity)
        for n in notes
        if begin - 0.02 <= n.start < end
    ]


def _silence(cut: _Cut, span: float) -> float:
    """Longest time in beats in which nothing sounds, the start included."""
    now, longest = 0.0, 0.0
    for note in sorted((n for part in cut for n in part), key=lambda n: n.start):
        longest = max(longest, note.start - now)
        now = max(now, note.start + note.duration)
    return max(longest, span - now)


@dataclass(frozen=True)
class _Passage:
    """Where to cut: the first beat, by how much to stretch note values, and the notes of every part."""

    begin: float
    stretch: float
    cut: _Cut


def _passage(rng: np.random.Generator, piece: Piece, tempo: float, seconds: float, arousal: float) -> _Passage:
    """A passage without pauses, the one of some candidates whose onset rate is nearest to the arousal's.

    In four, note values may also be doubled or halved: bars stay bars, and a busy score can be calm.
    """
    span = seconds * tempo / 60
    wanted = 1.2 + 6.0 * arousal
    found: list[tuple[float, int, _Passage]] = []
    fits = False
    for attempt in range(16):
        stretch = 1.0 if piece.beats_per_bar == 3 or attempt % 2 == 0 else 2.0 if arousal < 0.5 else 0.5
        starts = [d for d in piece.downbeats if d + span / stretch <= piece.length + 0.5]
        if not starts:
            continue
        fits = True
        begin = starts[int(rng.integers(len(starts)))]
        cut = [_cut(part, begin, span, stretch) for part in piece.parts]
        onsets = {round(n.start * 8) for part in cut for n in part}
        rate = len(onsets) / seconds
        first = min((n.start for part in cut for n in part), default=span)
        if 0.7 <= rate <= 9.0 and first < 0.3 and _silence(cut, span) * 60 / tempo <= LONGEST_SILENCE_IN_S:
            found.append((abs(np.log(rate / wanted)), attempt, _Passage(begin, stretch, cut)))
            if len(found) == 7:
                break
    if not fits:
        raise ScoreError(f"{piece.name}: shorter than one excerpt")
    if not found:
        raise ScoreError(f"{piece.name}: no passage with a playable number of notes at {tempo:.0f} BPM")
    return min(found, key=lambda item: item[:2])[2]


def _roles(
    cut: _Cut, span: float, most: int, longest_gap: float
) -> tuple[list[Note], list[list[Note]], list[Note] | None]:
    """Melody, middle parts and bass of a passage."""
    usable = [part for part in cut if len(part) >= 3]
    usable.sort(key=lambda part: (longest_pause(part, span) > longest_gap, -tunefulness(part, span)))
    melody, rest = usable[0], usable[1:]
    line = skyline(melody)
    if len(line) < 0.8 * len(melody):  # chords under the tune, as in a keyboard part, become a part of their own
        tune = {(n.start, n.pitch) for n in line}
        below = [n for n in melody if (n.start, n.pitch) not in tune]
        if len(below) >= 3:
            rest = [below, *rest]
    rest.sort(key=lambda part: -float(np.mean([n.pitch for n in part])))
    bass = None
    if rest and np.mean([n.pitch for n in rest[-1]]) < 55 and most > 1:
        bass = rest.pop()
    inner = sorted(rest, key=lambda part: -len(part))[: max(most - 1 - (bass is not None), 0)]
    return line, inner, bass


def _pick(rng: np.random.Generator, names: tuple[str, ...], pitch: float, arousal: float, core: bool) -> Instrument:
    """An instrument whose range holds the part and whose sound suits the arousal."""
    allowed = [n for n in names if not core or n in CORE_LEADS] or list(names)
    rows = [INSTRUMENTS[name] for name in allowed]
    fits = np.array([1.0 if row.low + 2 <= pitch <= row.high - 2 else 0.15 for row in rows])
    mood = np.exp(-0.5 * ((np.array([row.arousal for row in rows]) - (2 * arousal - 1)) / 0.9) ** 2)
    weights = fits * (mood + 0.05)
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _play(
    notes: list[Note], instrument: Instrument, role: str, shift: int, level: float, legato: float, beats: int
) -> Track:
    """Give a part to an instrument: octave, articulation, and accents where the metre and the contour ask for them."""
    mean = float(np.mean([n.pitch for n in notes])) + shift
    pitches = np.array([n.pitch for n in notes]) + shift

    def strain(octave: int) -> tuple[int, int]:
        outside = (pitches + octave < instrument.low) | (pitches + octave > instrument.high)
        return int(outside.sum()), abs(octave)

    octave = min((0, 12, -12, 24, -24), key=strain)
    loud = float(np.mean([n.velocity for n in notes]))
    played = []
    for n in notes:
        in_bar = n.start % beats
        accent = 5 if in_bar < 0.02 else 2 if in_bar % 2 < 0.02 else 0 if in_bar % 1 < 0.02 else -4
        contour = float(np.clip(0.35 * (n.pitch + shift - mean), -5, 5))
        velocity = int(np.clip(level + accent + contour + 0.5 * (n.velocity - loud), 20, 127))
        pitch = fit_register(n.pitch + shift + octave, instrument)
        played.append(Note(n.start, max(n.duration * legato, 0.1), pitch, velocity))
    unique = {(n.start, n.pitch): n for n in played}
    return Track(instrument.name, instrument.program, list(unique.values()), role=role)


def _backing(
    rng: np.random.Generator, ensemble: Ensemble, lead: Instrument, inner: list[list[Note]], bass: list[Note] | None,
    shift: int, mean: float, level: float, legato: float, beats: int, arousal: float, core: bool,
) -> list[Track]:  # fmt: skip
    """Middle parts and bass of the score, given to the ensemble; the core subset keeps one sound for the middle."""
    tracks = []
    second = lead if ensemble.unison else _pick(rng, ensemble.inner, mean - 8, arousal, False)
    for part in inner:
        player = second if core or ensemble.unison else INSTRUMENTS[str(rng.choice(ensemble.inner))]
        notes = thinned(part) if player.polyphonic else skyline(part)
        tracks.append(_play(notes, player, "chords", shift, level - 8, legato, beats))
    if bass is not None:
        player = lead if ensemble.unison else INSTRUMENTS[str(rng.choice(ensemble.bass))]
        notes = thinned(bass) if player.polyphonic else skyline(bass, lowest=True)
        tracks.append(_play(notes, player, "bass", shift, level - 2, legato, beats))
    return tracks


def _target_key(rng: np.random.Generator, tonic: int, mode: str, core: bool) -> int:
    """The key to play in: the nearest of the core keys, or up to five semitones away."""
    if core:
        return min(TONICS[mode], key=lambda t: (abs((t - tonic + 6) % 12 - 6), t))
    return (tonic + int(rng.integers(-5, 6))) % 12


def excerpt(
    rng: np.random.Generator, piece: Piece, arousal: float, seconds: float = 10.24, subset: str | None = None
) -> Score:
    """Cut, re-pace, transpose and re-orchestrate a passage.

    The tempo written in a score says nothing about its arousal, so the passage is re-paced: faster, louder and
    brighter with the target, as long as its onset rate stays playable.

    Args:
        rng: source of randomness.
        piece: the work.
        arousal: target, 0 to 1.
        seconds: length of the excerpt.
        subset: "core", "full", or None to draw one.

    Raises:
        ScoreError: no passage with enough notes was found.
        ValueError: the subset is not known.
    """
    subset = subset or choose_subset(rng)
    if subset not in ("core", "full"):
        raise ValueError(f"subset must be 'core' or 'full', got {subset!r}")
    core = subset == "core"
    tempo = choose_tempo(rng, arousal, core=core)
    if not core:
        tempo = round(2 * tempo * float(rng.uniform(0.92, 1.08))) / 2
    span, beats = seconds * tempo / 60, piece.beats_per_bar
    passage = _passage(rng, piece, tempo, seconds, arousal)
    cut = passage.cut
    ensemble = choose_ensemble(rng, piece.pack, arousal)
    hits = [n for n in _cut(piece.drums, passage.begin, span, passage.stretch) if 35 <= n.pitch <= 81]
    with_drums = bool(hits) and ensemble.drums and arousal > 0.3
    if not any(len(part) >= 3 for part in cut):
        raise ScoreError(f"{piece.name}: passage without a melody")
    most = (CORE_TRACKS if core else 6) - int(with_drums)
    longest_gap = LONGEST_PAUSE_IN_S * tempo / 60
    tune, inner, bass = _roles(cut, span, most, longest_gap)
    if longest_pause(tune, span) > longest_gap or len(tune) < 3:
        raise ScoreError(f"{piece.name}: the melody of the passage pauses for too long")

    histogram = np.zeros(12)
    for note in (note for part in cut for note in part):
        histogram[note.pitch % 12] += min(note.duration, 2.0)
    tonic, mode, _ = krumhansl_key(histogram)
    target = _target_key(rng, tonic, mode, core)
    shift = (target - tonic + 6) % 12 - 6
    level = 50 + 50 * arousal + rng.normal(0, 4)
    legato = float(np.clip(1.05 - 0.4 * arousal, 0.55, 1.0))

    mean = float(np.mean([n.pitch for n in tune])) + shift
    lead = _pick(rng, ensemble.leads, mean, arousal, core)
    rise = 12 if mean < 60 and lead.high - 2 >= mean + 12 and lead.low + lead.high > 130 else 0  # out of the thicket
    tracks = [_play(tune, lead, "lead", shift + rise, level + 12, legato, beats)]
    chords: tuple[str, ...] = ()
    if inner or bass is not None:
        tracks += _backing(rng, ensemble, lead, inner, bass, shift, mean, level, legato, beats, arousal, core)
    elif rng.random() < 0.9:  # a tune without accompaniment gets one
        player = lead if ensemble.unison else _pick(rng, ensemble.inner, mean - 12, arousal, False)
        deep = None if ensemble.unison else INSTRUMENTS[str(rng.choice(ensemble.bass))]
        density = (0.5 + 4.0 * arousal) * 60 / tempo
        extra, chords = accompaniment(
            rng, tracks[0].notes, target, mode, beats, int(np.ceil(span / beats)), density, level + 12, player, deep
        )
        tracks += extra
    if with_drums:
        loud = float(np.mean([n.velocity for n in hits]))
        drums = [Note(n.start, 0.2, n.pitch, int(np.clip(level + 0.6 * (n.velocity - loud), 15, 127))) for n in hits]
        tracks.append(Track("drums", 0, drums, is_drum=True, role="drums"))
    balance(tracks)
    seed = int(rng.integers(2**31))
    style = exact_style(ensemble.style, len(tracks))
    noise = 0.002 if core else 0.006
    score = Score(tracks, tempo, beats, target, mode, style, piece.name, piece.pack, seed, subset, chords, noise)
    return score.clipped(seconds)
