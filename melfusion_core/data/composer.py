"""A procedural composer: functional harmony, motifs, grooves and arrangements that follow a target mood.

Valence moves mode, harmony and register, arousal moves tempo, density, dynamics, articulation and style, in the order
of importance of Eerola, Friberg & Bresin 2013 (mode > tempo > register > dynamics > articulation > timbre).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.data.drums import drum_part, pattern_density
from melfusion_core.data.grooves import Grooves, swing_notes
from melfusion_core.data.harmony import Slot, choose_progression, harmonise
from melfusion_core.data.patterns import Harmony, accompany, bass_density, bass_line, comp_density, voice
from melfusion_core.data.phrases import counter_line, melody
from melfusion_core.data.styles import GRID_TEMPI, STYLES, Style
from melfusion_core.score.instruments import INSTRUMENTS, Instrument
from melfusion_core.score.keys import FLAVOURS, SCALES, TONICS
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import Note, Score, Track

CORE_LEADS = frozenset({
    "piano", "electric piano", "harpsichord", "music box", "vibraphone", "organ", "church organ", "accordion",
    "acoustic guitar", "steel guitar", "electric guitar", "distorted guitar", "violin", "cello", "strings", "harp",
    "choir", "trumpet", "brass section", "saxophone", "clarinet", "flute", "square lead", "saw lead",
})  # fmt: skip
"""Leads of the core subset."""

CORE_STYLES = frozenset({
    "ambient", "lullaby", "choral", "ballad", "lo-fi", "classical", "baroque", "waltz", "bossa nova", "reggae",
    "blues", "tango", "folk", "jazz", "cinematic", "march", "funk", "synthwave", "chiptune", "techno", "rock", "metal",
})  # fmt: skip
"""Styles of the core subset."""

CORE_TRACKS = 4


@dataclass(frozen=True)
class _Plan:
    """What is decided before any note: numbers run from 0 to 1 unless said otherwise."""

    style: Style
    core: bool
    valence: float
    arousal: float
    tempo: float
    tonic: int
    mode: str
    bars: int
    slots: list[Slot]
    velocity: float  # MIDI
    legato: float
    swell: tuple[float, float]  # MIDI velocity added at the start and at the end

    @property
    def beats(self) -> int:
        return self.style.beats_per_bar


def choose_subset(rng: np.random.Generator, core_share: float = 0.5) -> str:
    """Draw "core" or "full".

    Args:
        rng: source of randomness.
        core_share: chance of "core", 0 to 1.
    """
    return "core" if rng.random() < core_share else "full"


def choose_style(rng: np.random.Generator, arousal: float, valence: float = 0.5, core: bool = False) -> Style:
    """Draw a style whose usual mood is near the target.

    Args:
        rng: source of randomness.
        arousal: target, 0 to 1.
        valence: target, 0 to 1; counts far less than the arousal.
        core: only styles of the core subset.
    """
    rows = [style for style in STYLES if not core or style.name in CORE_STYLES]
    gap = (np.array([style.arousal for style in rows]) - arousal) / 0.16
    lean = (np.array([style.valence for style in rows]) - (2 * valence - 1)) / 1.0
    weights = np.exp(-0.5 * gap**2 - 0.5 * lean**2) + 1e-3
    if not core:  # the full subset makes up for the styles that the core one leaves out
        weights *= [1.0 if style.name in CORE_STYLES else 2.2 for style in rows]
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def choose_tempo(
    rng: np.random.Generator,
    arousal: float,
    spread: float = 0.12,
    limits: tuple[float, float] | None = None,
    core: bool = True,
) -> float:
    """Draw a tempo in BPM, faster with arousal.

    Args:
        rng: source of randomness.
        arousal: target, 0 to 1.
        spread: standard deviation of the draw on the 0 to 1 scale.
        limits: slowest and fastest tempo wanted; None for the whole grid.
        core: only tempi of the grid; otherwise up to 6 % slower or faster than one.
    """
    grid = [t for t in GRID_TEMPI if limits is None or limits[0] - 1 <= t <= limits[1] + 1]
    wanted = float(np.clip(arousal + rng.normal(0, spread), 0, 0.999)) * len(GRID_TEMPI)
    places = np.array([GRID_TEMPI.index(t) + 0.5 for t in grid])
    tempo = grid[int(np.argmin(np.abs(places - wanted)))]
    return tempo if core else round(2 * tempo * float(rng.uniform(0.94, 1.06))) / 2


def _uses(styles: list[Style], leads: frozenset[str] | None) -> dict[str, int]:
    """How many styles each lead serves."""
    return {n: sum(n in style.leads for style in styles) for n in INSTRUMENTS if leads is None or n in leads}


_USES = {
    True: _uses([style for style in STYLES if style.name in CORE_STYLES], CORE_LEADS),
    False: _uses(list(STYLES), None),
}


def _choose_lead(rng: np.random.Generator, plan: _Plan) -> Instrument:
    """A lead of the style; instruments that few styles use are likelier, bright ones when the valence is high."""
    names = [n for n in plan.style.leads if not plan.core or n in CORE_LEADS]
    rows = [INSTRUMENTS[n] for n in names]
    mood = np.array([r.valence * (plan.valence - 0.5) * 1.6 + r.arousal * (plan.arousal - 0.5) * 1.2 for r in rows])
    weights = np.exp(mood) / np.array([_USES[plan.core][n] for n in names]) ** 0.8
    if not plan.core:
        weights *= [1.0 if n in CORE_LEADS else 2.0 for n in names]
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _by_density(rng: np.random.Generator, names: tuple[str, ...], density, target: float) -> str:
    """A pattern whose onsets per beat are near the target."""
    gaps = np.array([abs(np.log((density(name) + 0.15) / (target + 0.15))) for name in names])
    weights = np.exp(-1.3 * gaps)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _accented(plan: _Plan, start: float, level: float, phrase: bool = False) -> int:
    """MIDI velocity of a note: metre, phrase arch and the swell of the whole clip."""
    in_bar = start % plan.beats
    accent = 5 if in_bar == 0 else 2 if in_bar == 2 and plan.beats == 4 else 0 if in_bar % 1 == 0 else -4
    arch = 5 * float(np.sin(np.pi * ((start / plan.beats) % 4) / 4)) - 2 if phrase else 0.0
    share = start / max(plan.bars * plan.beats, 1)
    return int(np.clip(level + accent + arch + plan.swell[0] + (plan.swell[1] - plan.swell[0]) * share, 1, 127))


def _shaded(plan: _Plan, notes: list[Note]) -> list[Note]:
    """Add the accents of the metre and the swell to notes of an accompaniment."""
    return [Note(n.start, n.duration, n.pitch, _accented(plan, n.start, n.velocity)) for n in notes]


def _plan(rng: np.random.Generator, valence: float, arousal: float, seconds: float, core: bool) -> _Plan:
    style = choose_style(rng, arousal, valence, core)
    tempo = choose_tempo(rng, arousal, limits=style.tempo, core=core)
    chance = np.clip(0.5 + 1.6 * (valence - 0.5) + 0.25 * style.valence, 0.03, 0.97)
    mode = "major" if rng.random() < chance else "minor"
    tonic = int(rng.choice(TONICS[mode])) if core else int(rng.integers(12))
    beats = style.beats_per_bar
    span = seconds * tempo / 60
    bars = int(np.ceil(span / beats - 0.05))
    # A phrase of four chords should end inside the clip: slow pieces change chords twice a bar.
    half = beats == 4 and (span / beats < 4.2 or (span / beats < 5.2 and rng.random() < 0.3))
    slot_beats = beats / 2 if half else float(beats)
    first, second = choose_progression(rng, style.family, mode, valence)
    closing = rng.random() < 0.4
    slots = harmonise(first, second, tonic, mode, slot_beats, int(np.ceil(bars * beats / slot_beats)), closing)
    swell = ((0.0, 0.0), (-6.0, 6.0), (4.0, -5.0), (-10.0, 8.0))[int(rng.choice(4, p=[0.45, 0.3, 0.15, 0.1]))]
    velocity = float(np.clip(50 + 50 * arousal + rng.normal(0, 4), 42, 108))
    legato = float(np.clip(1.0 - 0.45 * arousal + 0.2 * style.legato + rng.normal(0, 0.06), 0.35, 1.0))
    return _Plan(style, core, valence, arousal, tempo, tonic, mode, bars, slots, velocity, legato, swell)


def _scale(rng: np.random.Generator, plan: _Plan) -> tuple[int, ...]:
    """The scale of the melody: plain major or minor, or one time in three a church mode of the style."""
    major = {"ionian", "lydian", "mixolydian"}
    fitting = [f for f in plan.style.flavours if (f in major) == (plan.mode == "major")]
    if fitting and not plan.core and rng.random() < 0.33:
        return FLAVOURS[str(rng.choice(fitting))]
    return SCALES[plan.mode]


def _lead_track(rng: np.random.Generator, plan: _Plan, lead: Instrument) -> tuple[Track, float]:
    """The tune, and the MIDI pitch around which it moves."""
    wish = 67 + 7 * (plan.arousal - 0.5) + 9 * (plan.valence - 0.5) + rng.normal(0, 2)
    centre = float(np.clip(wish, lead.low + 7, lead.high - 8)) if lead.high - lead.low > 16 else lead.low + 7.0
    rate = float(np.clip(0.8 + 3.6 * plan.arousal**1.2 + rng.normal(0, 0.3), 0.6, 5.5))  # notes a second
    per_beat = float(np.clip(rate * 60 / plan.tempo, 0.3, 2.6))
    tune = melody(
        rng, plan.slots, plan.tonic, _scale(rng, plan), plan.beats, plan.bars, per_beat,
        max(lead.low, 48 if lead.low < 44 else lead.low), lead.high, centre, plan.style.melody,
    )  # fmt: skip
    level = plan.velocity + 15
    notes = [Note(s, max(d * plan.legato, 0.1), p, _accented(plan, s, level, phrase=True)) for s, d, p in tune]
    return Track(lead.name, lead.program, notes, role="lead"), float(np.mean([p for _, _, p in tune]))


def _drum_track(rng: np.random.Generator, plan: _Plan, grooves: Grooves | None) -> Track | None:
    """A pattern of the style or, when there is a fitting one, a human performance."""
    style = plan.style
    target = 1.2 + 2.8 * plan.arousal
    level = plan.velocity - 2
    human = None
    if grooves is not None and style.human_drums and rng.random() < (0.35 if plan.core else 0.6):
        human = grooves.draw(rng, style.human_drums, plan.beats, plan.tempo, plan.bars)
    if human is not None:
        pull = 0.85 if plan.core and style.swing == 0.5 else 0.0  # core: drawn to the grid of sixteenths
        shift = level - float(np.mean([n.velocity for n in human]))
        notes = [
            Note(
                n.start + pull * (round(n.start * 4) / 4 - n.start),
                n.duration,
                n.pitch,
                int(np.clip(n.velocity + shift, 8, 127)),
            )
            for n in human
        ]
        return Track("drums", 0, notes, is_drum=True, role="drums")
    if not style.drums:
        return None
    pattern = _by_density(rng, style.drums, pattern_density, target)
    notes = drum_part(rng, pattern, plan.bars, plan.beats, level)
    return Track("drums", 0, swing_notes(notes, style.swing, style.swing_unit), is_drum=True, role="drums")


def _layers(rng: np.random.Generator, plan: _Plan) -> list[str]:
    """Which parts accompany the lead; more of them with arousal."""
    style = plan.style
    if rng.random() < style.solo:
        return []
    layers = ["chords"]
    if style.bass and rng.random() < 0.55 + 0.6 * plan.arousal:
        layers.append("bass")
    if style.drums and rng.random() < (0.35 + 0.75 * plan.arousal if style.arousal < 0.6 else 0.98):
        layers.append("drums")
    if style.pads and rng.random() < (0.5 if style.bass else 0.8):
        layers.append("pad")
    if not plan.core and rng.random() < 0.3:
        layers.append("counter")
    return layers[: CORE_TRACKS - 1] if plan.core else layers


def _other(rng: np.random.Generator, names: tuple[str, ...], used: list[str]) -> Instrument:
    """An instrument of a list that does not play yet, when there is one."""
    free = [name for name in names if name not in used] or list(names)
    return INSTRUMENTS[free[int(rng.integers(len(free)))]]


def _chord_track(
    rng: np.random.Generator, plan: _Plan, harmony: Harmony, lead: Instrument, alone: bool, used: list[str]
) -> Track:
    style = plan.style
    instrument = lead if alone or (lead.polyphonic and lead.name in style.chords and rng.random() < 0.35) else None
    instrument = instrument or _other(rng, style.chords, used)
    target = float(np.clip((0.5 + 4.5 * plan.arousal) * 60 / plan.tempo, 0.25, 4.0))
    names = (
        style.comp if instrument.sustained or "sustain" not in style.comp or len(style.comp) == 1 else style.comp[1:]
    )
    pattern = _by_density(rng, names, comp_density, target)
    level = plan.velocity - 12 - (5 if instrument.sustained else 0)
    notes = accompany(pattern, harmony, plan.beats, plan.bars, level, plan.legato, instrument)
    return Track(instrument.name, instrument.program, _shaded(plan, notes), role="chords")


def _arrange(rng: np.random.Generator, plan: _Plan, grooves: Grooves | None) -> list[Track]:
    """All tracks, in straight time."""
    style = plan.style
    lead = _choose_lead(rng, plan)
    lead_track, middle = _lead_track(rng, plan, lead)
    tracks, used = [lead_track], [lead.name]
    layers = _layers(rng, plan)
    alone = not layers and lead.polyphonic
    # The accompaniment keeps out of the lead's register: below a high lead, above a low one.
    centre = middle - 14 if middle >= 64 else middle + 10 if middle < 57 else middle - 12
    harmony = voice(plan.slots, float(np.clip(centre, 50, 70)))
    if alone or "chords" in layers:
        tracks.append(_chord_track(rng, plan, harmony, lead, alone, used))
        used.append(tracks[-1].instrument)
    if "bass" in layers:
        bass = INSTRUMENTS[str(rng.choice(style.bass))]
        target = float(np.clip((0.6 + 3.6 * plan.arousal) * 60 / plan.tempo, 0.25, 4.0))
        pattern = _by_density(rng, style.bassline, bass_density, target)
        notes = bass_line(rng, pattern, plan.slots, plan.beats, plan.tonic, plan.velocity - 3, bass)
        tracks.append(Track(bass.name, bass.program, _shaded(plan, notes), role="bass"))
    if "pad" in layers:
        pad = _other(rng, style.pads, used)
        notes = accompany("sustain", harmony, plan.beats, plan.bars, plan.velocity - 20, 1.0, pad)
        tracks.append(Track(pad.name, pad.program, _shaded(plan, notes), role="pad"))
        used.append(pad.name)
    if "counter" in layers:
        second = _other(rng, style.leads, used)
        start = int(np.clip(middle - 7, second.low + 4, second.high - 4))
        line = counter_line(plan.slots, start, second.low, second.high)
        notes = [Note(s, d * 0.95, p, _accented(plan, s, plan.velocity - 8)) for s, d, p in line]
        tracks.append(Track(second.name, second.program, notes, role="counter"))
    delay = style.laid_back_in_s * plan.tempo / 60 * (0.5 if plan.core else 1.0)
    for track in tracks:
        late = delay if track.role in ("lead", "chords", "counter") else 0.0
        track.notes = swing_notes(track.notes, style.swing, style.swing_unit, late)
    drums = _drum_track(rng, plan, grooves) if "drums" in layers else None
    return [*tracks, drums] if drums else tracks


def compose(
    rng: np.random.Generator,
    valence: float,
    arousal: float,
    piece: str,
    seconds: float = 10.24,
    subset: str | None = None,
    grooves: Grooves | None = None,
) -> Score:
    """Write a piece for a target mood.

    Args:
        rng: source of randomness; the same state gives the same piece.
        valence: 0 (negative) to 1 (positive).
        arousal: 0 (calm) to 1 (excited).
        piece: identifier of the piece.
        seconds: length to fill.
        subset: "core", "full", or None to draw one.
        grooves: human drum performances to use where they fit, or None for patterns only.

    Raises:
        ValueError: the subset is not known.
    """
    subset = subset or choose_subset(rng)
    if subset not in ("core", "full"):
        raise ValueError(f"subset must be 'core' or 'full', got {subset!r}")
    core = subset == "core"
    plan = _plan(rng, valence, arousal, seconds, core)
    tracks = _arrange(rng, plan, grooves)
    balance(tracks)
    end = seconds * plan.tempo / 60
    chords = tuple(slot.chord.symbol for slot in plan.slots if slot.start < end - 0.5)
    score = Score(
        tracks, plan.tempo, plan.beats, plan.tonic, plan.mode, plan.style.name, piece, "composer",
        int(rng.integers(2**31)), subset, chords, 0.002 if core else 0.006,
    )  # fmt: skip
    return score.clipped(seconds)
