"""Sections from real scores: whole bars, re-paced, transposed and given to an ensemble that suits the mood."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.composer import choose_tempo
from melfusion_core.data.ensembles import Ensemble, choose_ensemble, exact_style
from melfusion_core.data.score_files import Piece, ScoreError
from melfusion_core.data.sections.backing import backing
from melfusion_core.data.sections.roles import Parts, share_roles
from melfusion_core.data.sections.windows import Window, quantised
from melfusion_core.score.chords import BeatChord, chord_names
from melfusion_core.score.estimate import estimate_chords
from melfusion_core.score.facts import swing_of
from melfusion_core.score.instruments import INSTRUMENTS, Instrument, fit_register
from melfusion_core.score.keys import krumhansl_key
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import TICKS_PER_BEAT, Note, Score, Track, playable

SLOWEST, FASTEST = 45.0, 184.0
"""Limits of the tempo in beats a minute."""

RATES_HZ = (0.7, 9.0)
"""Fewest and most onsets a second that a tempo may lead to."""

MOST_EMPTY = 0.34
"""Largest share of bars without an onset."""

_ROLES = ("lead", "counter", "chords", "pad", "bass")
_LEVELS = {"lead": 12.0, "counter": 3.0, "chords": -8.0, "pad": -12.0, "bass": -2.0, "drums": 0.0}


def _pick(rng: np.random.Generator, names: tuple[str, ...], part: list[Note], shift: int, valence: float,
          arousal: float, used: list[str]) -> Instrument:  # fmt: skip
    """An instrument whose range holds the part and whose sound suits the mood; better one that does not play yet."""
    pitch = float(np.mean([note.pitch for note in part])) + shift
    rows = [INSTRUMENTS[name] for name in names if name not in used] or [INSTRUMENTS[name] for name in names]
    fits = np.array([1.0 if row.low + 2 <= pitch <= row.high - 2 else 0.12 for row in rows])
    mood = np.array([row.valence * (valence - 0.5) * 1.5 + row.arousal * (arousal - 0.5) * 2.0 for row in rows])
    weights = fits * np.exp(mood)
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _octave(part: list[Note], shift: int, player: Instrument) -> int:
    """Octaves in semitones that bring most of a part into a player's range."""
    pitches = np.array([note.pitch for note in part]) + shift

    def strain(octave: int) -> tuple[int, int]:
        outside = (pitches + octave < player.low) | (pitches + octave > player.high)
        return int(outside.sum()), abs(octave)

    return min((0, 12, -12, 24, -24), key=strain)


def _played(part: list[Note], player: Instrument, role: str, shift: int, level: float, legato: float, beats: int,
            end: int) -> Track:  # fmt: skip
    """A part on its instrument: octave, whole ticks, and accents where metre and contour ask for them."""
    octave = _octave(part, shift, player)
    mean = float(np.mean([note.pitch for note in part]))
    loud = float(np.mean([note.velocity for note in part]))
    notes = []
    for note in part:
        inside = note.start % beats
        accent = 5 if inside < 0.02 else 2 if inside % 2 < 0.02 else 0 if inside % 1 < 0.02 else -4
        contour = min(max(0.35 * (note.pitch - mean), -5), 5)
        velocity = int(level + _LEVELS[role] + accent + contour + 0.6 * (note.velocity - loud))
        ticks = max(round(note.duration * TICKS_PER_BEAT * legato), 1)
        duration = min(ticks / TICKS_PER_BEAT, end - note.start)
        notes.append(
            Note(note.start, duration, fit_register(note.pitch + shift + octave, player), min(max(velocity, 16), 124))
        )
    return Track(player.name, player.program, playable(notes), role=role)


def _rise(parts: Parts, shift: int, player: Instrument) -> int:
    """An octave for a tune that lies in the thicket of the others, where its player has one."""
    mean = float(np.mean([note.pitch for note in parts.lead])) + shift
    around = [note.pitch + shift for row in (parts.counter, parts.chords, parts.pad) for note in row or []]
    buried = around and mean < float(np.mean(around)) + 4 and mean < 67
    return 12 if buried and max(note.pitch for note in parts.lead) + shift + 12 <= player.high else 0


def _tempo(rng: np.random.Generator, arousal: float, onsets: int, beats: int) -> float:
    """A tempo for the arousal at which the window has a playable number of onsets."""
    tempo = choose_tempo(rng, arousal, core=False)
    rate = onsets / beats / 60  # onsets a second at one beat a minute
    low, high = max(RATES_HZ[0] / rate, SLOWEST), min(RATES_HZ[1] / rate, FASTEST)
    return round(2 * float(np.clip(tempo, min(low, high), max(low, high)))) / 2


def _check(piece: Piece, parts: Parts | None, window: Window) -> Parts:
    if parts is None or len(parts.lead) < 4:
        raise ScoreError(f"{piece.name}: no tune in the bars from beat {window.begin:g}")
    size = piece.beats_per_bar
    rows = [row for row in (parts.lead, parts.counter, parts.chords, parts.pad, parts.bass, parts.drums) if row]
    bars = {int(note.start // size) for row in rows for note in row}
    if len(bars) < (1 - MOST_EMPTY) * window.bars or 0 not in bars:
        raise ScoreError(f"{piece.name}: too many silent bars from beat {window.begin:g}")
    return parts


def _players(rng: np.random.Generator, ensemble: Ensemble, parts: Parts, shift: int, valence: float, arousal: float
             ) -> dict[str, Instrument]:  # fmt: skip
    """Who plays which role."""
    lead = _pick(rng, ensemble.leads, parts.lead, shift, valence, arousal, [])
    players, used = {"lead": lead}, [lead.name]
    for role in _ROLES[1:]:
        part = getattr(parts, role)
        if part is None:
            continue
        names = ensemble.bass if role == "bass" else ensemble.inner
        players[role] = lead if ensemble.unison else _pick(rng, names, part, shift, valence, arousal, used)
        used.append(players[role].name)
    return players


def excerpt_section(rng: np.random.Generator, piece: Piece, window: Window, valence: float, arousal: float) -> Score:
    """A window of a score as a section: quantised, one track a role, re-paced, transposed, re-orchestrated.

    Args:
        rng: source of randomness.
        piece: the work.
        window: which bars, from `section_windows`.
        valence: target mood, 0 to 1; it chooses among the ensemble's sounds and moves the register.
        arousal: target mood, 0 to 1; it sets tempo, dynamics and articulation.

    Returns:
        A score of whole bars on the grid, with the key of the window and the chord of every beat where it is clear.

    Raises:
        ScoreError: the bars hold no tune or too much silence.
    """
    size = piece.beats_per_bar
    beats = window.bars * size
    cut = [quantised(part, window.begin, beats)[0] for part in piece.parts]
    hits = [note for note in quantised(piece.drums, window.begin, beats)[0] if 35 <= note.pitch <= 81]
    ensemble = choose_ensemble(rng, piece.pack, arousal)
    with_drums = bool(hits) and ensemble.drums and arousal > 0.3
    parts = _check(piece, share_roles(cut, hits if with_drums else [], window.bars, size), window)
    histogram = np.zeros(12)
    for note in (note for part in cut for note in part):
        histogram[note.pitch % 12] += min(note.duration, 2.0)
    tonic, mode, _ = krumhansl_key(histogram)
    shift = int(np.clip(round(rng.normal(7 * (valence - 0.5), 3.0)), -6, 5))  # bright keys lie higher
    target = (tonic + shift) % 12
    onsets = {note.start for part in (*cut, parts.drums or []) for note in part}
    tempo = _tempo(rng, arousal, len(onsets), beats)
    level = 50 + 50 * arousal + rng.normal(0, 4)
    legato = float(np.clip(1.05 - 0.4 * arousal, 0.55, 1.0))
    players = _players(rng, ensemble, parts, shift, valence, arousal)
    tracks = []
    for role, player in players.items():
        move = shift + (_rise(parts, shift, player) if role == "lead" else 0)
        tracks.append(_played(getattr(parts, role), player, role, move, level, legato, size, beats))
    harmony: tuple[BeatChord | None, ...]
    if len(tracks) == 1 and rng.random() < 0.9:
        extra, harmony = backing(rng, ensemble, tracks[0], target, mode, size, window, tempo, valence, arousal, level)
        tracks += extra
    else:
        harmony = estimate_chords([note for track in tracks for note in track.notes], beats, size)
    if parts.drums:
        loud = float(np.mean([note.velocity for note in parts.drums]))
        drums = []
        for note in parts.drums:
            velocity = int(np.clip(level + 0.6 * (note.velocity - loud), 15, 124))
            drums.append(Note(note.start, min(0.25, beats - note.start), note.pitch, velocity))
        tracks.append(Track("drums", 0, playable(drums), is_drum=True, role="drums"))
    balance(tracks)
    style = exact_style(ensemble.style, len(tracks))
    return Score(tracks, tempo, size, target, mode, style, piece.name, piece.pack, int(rng.integers(2**31)), "full",
                 chord_names(harmony), 0.006, harmony, swing_of(tracks))  # fmt: skip
