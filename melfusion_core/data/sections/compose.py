"""Composes a section: whole bars in a style, for a mood, that come home or lead on."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.composer import choose_tempo
from melfusion_core.data.drums import DRUMS, pattern_density
from melfusion_core.data.grooves import Grooves
from melfusion_core.data.sections.answers import KINDS, counter
from melfusion_core.data.sections.basses import BASS, bass_density, bass_line
from melfusion_core.data.sections.beats import drum_part, human_part
from melfusion_core.data.sections.comping import EVERY_COMP, choose_comp, comp, fits, octaves_in_range, pad
from melfusion_core.data.sections.form import draw_energy, draw_form
from melfusion_core.data.sections.plan import Event, Plan, swing_events
from melfusion_core.data.sections.progressions import section_slots
from melfusion_core.data.sections.tunes import tune
from melfusion_core.data.sections.voicing import voice_chords
from melfusion_core.data.styles import STYLES, Style
from melfusion_core.score.chords import BeatChord, chord_names
from melfusion_core.score.instruments import INSTRUMENTS, Instrument
from melfusion_core.score.keys import FLAVOURS, SCALES
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import TICKS_PER_BEAT, Note, Score, Track, playable

SECTION_BARS = (4, 16)
"""Fewest and most bars of a section."""

SECTION_STYLES = STYLES
"""Styles a section may be composed in."""

_LOOPS = frozenset({"dance", "funk"})
_PLAIN_PHRASES = frozenset({"5", ""})


def choose_section_style(
    rng: np.random.Generator, valence: float, arousal: float, beats_per_bar: int | None = None
) -> Style:
    """Draw a style whose usual mood is near the target.

    Args:
        rng: source of randomness.
        valence: target, 0 to 1.
        arousal: target, 0 to 1.
        beats_per_bar: only styles in this metre, or None for any.

    Raises:
        ValueError: no style has that metre.
    """
    rows = [style for style in SECTION_STYLES if beats_per_bar in (None, style.beats_per_bar)]
    if not rows:
        raise ValueError(f"no style has {beats_per_bar} beats a bar; it must be 3 or 4")
    gap = (np.array([style.arousal for style in rows]) - arousal) / 0.16
    lean = (np.array([style.valence for style in rows]) - (2 * valence - 1)) / 0.8
    weights = np.exp(-0.5 * gap**2 - 0.5 * lean**2) + 1e-3
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _swing_of(rng: np.random.Generator, style: Style) -> str:
    """Swing as the grid has it: triplets, where the style swings enough."""
    if style.swing >= 0.6:
        return "eighths" if style.swing_unit == 0.5 else "sixteenths"
    if style.swing > 0.52 and style.swing_unit == 0.25:
        return "sixteenths" if rng.random() < (style.swing - 0.5) * 7 else ""
    return ""


def _mode(rng: np.random.Generator, style: Style, valence: float) -> str:
    chance = np.clip(0.5 + 2.2 * (valence - 0.5) + 0.2 * style.valence, 0.03, 0.97)
    return "major" if rng.random() < chance else "minor"


def _chords_a_bar(rng: np.random.Generator, style: Style, tempo: float) -> float:
    """Harmonic rhythm: two chords a bar where bars are long, one every other bar where they fly by."""
    seconds = style.beats_per_bar * 60 / tempo
    if style.beats_per_bar == 4 and seconds > 3.0 and style.family != "ambient" and rng.random() < 0.4:
        return 2.0
    if style.family == "functional" and style.beats_per_bar == 4 and seconds > 2.0 and rng.random() < 0.35:
        return 2.0
    if seconds < 1.7 and style.family in ("dance", "metal", "epic", "celtic", "funk") and rng.random() < 0.35:
        return 0.5
    return 0.5 if style.family == "ambient" and rng.random() < 0.3 else 1.0


def _flavour(rng: np.random.Generator, style: Style, mode: str) -> tuple[int, ...]:
    """The scale of the melody: plain, or one time in three a church mode of the style."""
    major = {"ionian", "lydian", "mixolydian"}
    fitting = [name for name in style.flavours if (name in major) == (mode == "major")]
    return FLAVOURS[str(rng.choice(fitting))] if fitting and rng.random() < 0.33 else SCALES[mode]


def _plan(rng: np.random.Generator, style: Style, valence: float, arousal: float, bars: int, closing: bool) -> Plan:
    tempo = choose_tempo(rng, arousal, limits=style.tempo, core=False)
    mode = _mode(rng, style, valence)
    tonic = int(rng.integers(12))
    beats = style.beats_per_bar
    phrases = draw_form(rng, bars, style.melody.form, closing)
    per_bar = _chords_a_bar(rng, style, tempo)
    loop = style.family in _LOOPS
    slots = section_slots(rng, style.family, mode, tonic, valence, phrases, beats, per_bar, loop)
    shape, energy = draw_energy(rng, bars)
    velocity = float(np.clip(50 + 50 * arousal + rng.normal(0, 4), 42, 104))
    legato = float(np.clip(1.0 - 0.45 * arousal + 0.2 * style.legato + rng.normal(0, 0.06), 0.35, 1.0))
    return Plan(style, valence, arousal, tempo, tonic, mode, _flavour(rng, style, mode), bars, beats, phrases, slots,
                shape, energy, velocity, legato, _swing_of(rng, style), closing)  # fmt: skip


_USES = {name: sum(name in style.leads for style in SECTION_STYLES) for name in INSTRUMENTS}


def _mood_fit(rows: list[Instrument], plan: Plan) -> np.ndarray:
    return np.array([r.valence * (plan.valence - 0.5) * 2.0 + r.arousal * (plan.arousal - 0.5) * 1.5 for r in rows])


def _choose_lead(rng: np.random.Generator, plan: Plan) -> Instrument:
    """A lead of the style that suits the mood; instruments that few styles use are likelier."""
    rows = [INSTRUMENTS[name] for name in plan.style.leads]
    weights = np.exp(_mood_fit(rows, plan)) / np.array([_USES[row.name] for row in rows]) ** 0.8
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _choose_other(rng: np.random.Generator, plan: Plan, names: tuple[str, ...], used: list[str]) -> Instrument:
    """An instrument of a list that does not play yet, where there is one, and that suits the mood."""
    rows = [INSTRUMENTS[name] for name in names if name not in used] or [INSTRUMENTS[name] for name in names]
    weights = np.exp(_mood_fit(rows, plan))
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _layers(rng: np.random.Generator, plan: Plan) -> list[str]:
    """Which parts accompany the tune; more of them with arousal."""
    style = plan.style
    if rng.random() < style.solo:
        return []
    layers = ["chords"]
    if style.bass and rng.random() < 0.6 + 0.6 * plan.arousal:
        layers.append("bass")
    if style.drums and rng.random() < (0.35 + 0.75 * plan.arousal if style.arousal < 0.6 else 0.98):
        layers.append("drums")
    if style.pads and rng.random() < (0.5 if style.bass else 0.8):
        layers.append("pad")
    if rng.random() < 0.15 + 0.25 * plan.arousal:
        layers.append("counter")
    return layers


def _shaded(plan: Plan, events: list[Event], level: float, depth: float = 1.0) -> list[Note]:
    """Notes with the accents of the metre, the arch of the phrase and the energy of the section."""
    notes = []
    for event in events:
        bar, inside = divmod(event.tick, plan.bar_ticks)
        bar = min(bar, plan.bars - 1)
        phrase = plan.phrase_of(bar)
        place = (event.tick - phrase.start * plan.bar_ticks) / (phrase.bars * plan.bar_ticks)
        beat = inside / TICKS_PER_BEAT
        metre = 4 if beat == 0 else 2 if beat == 2 and plan.beats == 4 else 0 if beat % 1 == 0 else -4
        arch = 4 * np.sin(np.pi * place) - 2
        velocity = level + metre + depth * (arch + 11 * plan.energy[bar]) + event.accent
        notes.append(Note(event.tick / TICKS_PER_BEAT, event.ticks / TICKS_PER_BEAT, event.pitch,
                          int(np.clip(round(velocity), 12, 124))))  # fmt: skip
    return notes


def _articulated(plan: Plan, events: list[Event], legato: float) -> list[Event]:
    """Lengths in whole ticks: a share of the written ones, except held last notes."""
    home = plan.ticks - plan.bar_ticks if plan.closing else plan.ticks
    out = []
    for event in events:
        ticks = event.ticks if event.tick >= home else max(round(event.ticks * legato), 1)
        out.append(event._replace(ticks=min(ticks, plan.ticks - event.tick)))
    return [event for event in out if event.ticks > 0]


def _finished(plan: Plan, events: list[Event], player: Instrument, role: str, level: float, legato: float) -> Track:
    events = _articulated(plan, swing_events(events, plan.swing), legato)
    notes = playable(_shaded(plan, events, level))
    return Track(player.name, player.program, notes, role=role)


def _lead_part(rng: np.random.Generator, plan: Plan, lead: Instrument) -> list[Event]:
    wish = 67 + 7 * (plan.arousal - 0.5) + 12 * (plan.valence - 0.5) + rng.normal(0, 2)
    centre = float(np.clip(wish, lead.low + 7, lead.high - 8)) if lead.high - lead.low > 16 else lead.low + 7.0
    rate = float(np.clip(0.8 + 3.6 * plan.arousal**1.2 + rng.normal(0, 0.3), 0.6, 5.5))  # notes a second
    per_beat = float(np.clip(rate * 60 / plan.tempo, 0.3, 2.6))
    low = max(lead.low, 48 if lead.low < 44 else lead.low)
    return tune(rng, plan, low, lead.high, centre, per_beat)


def _patterns(rng: np.random.Generator, plan: Plan, player: Instrument) -> dict[str, str]:
    """An accompaniment pattern for every letter of the form."""
    names = [name for name in plan.style.comp if fits(name, plan.beats)]
    if not player.sustained and len(names) > 1:
        names = [name for name in names if name != "sustain"]
    target = float(np.clip((0.5 + 4.5 * plan.arousal) * 60 / plan.tempo, 0.25, 4.0))
    first = choose_comp(rng, names, target)
    others = [name for name in names if name != first] or [first]
    second = choose_comp(rng, others, target) if rng.random() < 0.6 else first
    return {"a": first, "b": second, "c": first}


def _is_power(pattern: str) -> bool:
    return pattern != "sustain" and any(step[2] == "power" for step in EVERY_COMP[pattern][1])


def _bass_part(rng: np.random.Generator, plan: Plan, player: Instrument) -> list[Event]:
    target = float(np.clip((0.6 + 3.6 * plan.arousal) * 60 / plan.tempo, 0.25, 4.0))
    names = [name for name in plan.style.bassline if plan.beats in BASS[name]]
    gaps = np.array([abs(np.log((bass_density(n, plan.beats) + 0.15) / (target + 0.15))) for n in names])
    weights = np.exp(-1.3 * gaps)
    pattern = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    return bass_line(rng, plan, pattern, player.low, player.high)


def _drum_track(rng: np.random.Generator, plan: Plan, grooves: Grooves | None) -> Track | None:
    """A human performance where one fits, or a pattern of the style."""
    style = plan.style
    level = plan.velocity - 2
    events = None
    if grooves is not None and style.human_drums and rng.random() < 0.5:
        events = human_part(rng, plan, grooves)
    if events is None and style.drums:
        names = [name for name in style.drums if len(DRUMS[name][0][1]) == 4 * plan.beats]
        target = 1.2 + 2.8 * plan.arousal
        gaps = np.array([abs(np.log((pattern_density(n) + 0.15) / (target + 0.15))) for n in names])
        weights = np.exp(-1.3 * gaps)
        pattern = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        events = swing_events(drum_part(rng, plan, pattern), plan.swing)
    if not events:
        return None
    hits = [event._replace(ticks=min(3, plan.ticks - event.tick)) for event in events if event.tick < plan.ticks]
    notes = playable(_shaded(plan, hits, level, 0.8))
    return Track("drums", 0, notes, is_drum=True, role="drums")


def _arrange(rng: np.random.Generator, plan: Plan, grooves: Grooves | None) -> list[Track]:
    """All tracks, one a role."""
    style = plan.style
    lead = _choose_lead(rng, plan)
    melody = _lead_part(rng, plan, lead)
    middle = float(np.mean([event.pitch for event in melody]))
    tracks = [_finished(plan, melody, lead, "lead", plan.velocity + 13, plan.legato)]
    used = [lead.name]
    layers = _layers(rng, plan)
    alone = not layers and lead.polyphonic
    chords = [slot.chord for slot in plan.slots]
    centre = middle - 14 if middle >= 64 else middle + 10 if middle < 57 else middle - 12
    centre = float(np.clip(centre, 50, 70))
    if alone or "chords" in layers:
        same = alone or (lead.polyphonic and lead.name in style.chords and rng.random() < 0.35)
        player = lead if same else _choose_other(rng, plan, style.chords, used)
        patterns = _patterns(rng, plan, player)
        dense = max(len(chord.tones) for chord in chords) > 3
        power = any(_is_power(pattern) for pattern in patterns.values())
        voicings = voice_chords(chords, centre, 4 if dense and rng.random() < 0.6 else 3, "bass" in layers,
                                parallels=not power)  # fmt: skip
        events = octaves_in_range(comp(plan, patterns, voicings, player), player)
        level = plan.velocity - 12 - (5 if player.sustained else 0)
        legato = 1.0 if "sustain" in patterns.values() else plan.legato
        tracks.append(_finished(plan, events, player, "chords", level, legato))
        used.append(player.name)
    if "bass" in layers:
        player = _choose_other(rng, plan, style.bass, used)
        events = octaves_in_range(_bass_part(rng, plan, player), player)
        tracks.append(_finished(plan, events, player, "bass", plan.velocity - 3, min(plan.legato + 0.15, 1.0)))
    if "pad" in layers:
        player = _choose_other(rng, plan, style.pads, used)
        voicings = voice_chords(chords, float(np.clip(centre - 2, 50, 66)), 3, "bass" in layers)
        events = octaves_in_range(pad(plan, voicings), player)
        tracks.append(_finished(plan, events, player, "pad", plan.velocity - 20, 1.0))
        used.append(player.name)
    if "counter" in layers:
        player = _choose_other(rng, plan, style.leads, used)
        kind = KINDS[int(rng.choice(3, p=[0.45, 0.25, 0.3]))]
        events = counter(rng, plan, kind, melody, player.low, player.high)
        if events:
            legato = plan.legato if kind != "line" else 1.0
            tracks.append(_finished(plan, events, player, "counter", plan.velocity - 5, legato))
    drums = _drum_track(rng, plan, grooves) if "drums" in layers else None
    return [*tracks, drums] if drums else tracks


def harmony_of(plan: Plan) -> tuple[BeatChord, ...]:
    """The chord of every beat.

    Args:
        plan: what was decided.
    """
    out = []
    for beat in range(plan.bars * plan.beats):
        chord = plan.slots[plan.slot_index(beat * TICKS_PER_BEAT)].chord
        out.append(BeatChord(chord.root, chord.quality, chord.bass))
    return tuple(out)


def compose_section(
    rng: np.random.Generator,
    valence: float,
    arousal: float,
    piece: str,
    bars: int = 8,
    closing: bool = True,
    style: str | None = None,
    beats_per_bar: int | None = None,
    grooves: Grooves | None = None,
) -> Score:
    """Compose a section of whole bars for a mood, every note on the grid of twelve ticks a beat.

    Args:
        rng: source of randomness; the same state gives the same section.
        valence: 0 (negative) to 1 (positive).
        arousal: 0 (calm) to 1 (excited).
        piece: identifier of the piece.
        bars: whole bars, 4 to 16.
        closing: whether the last bar comes home; otherwise it leads on.
        style: name of a style, or None to draw one that suits the mood.
        beats_per_bar: metre wanted, 3 or 4, or None for the style's own.
        grooves: human drum performances to use where they fit, or None for patterns only.

    Returns:
        A score whose tracks have different roles and which knows the chord of every beat.

    Raises:
        ValueError: the bars, the style or the metre are not possible.
    """
    if not SECTION_BARS[0] <= bars <= SECTION_BARS[1]:
        raise ValueError(f"a section has {SECTION_BARS[0]} to {SECTION_BARS[1]} bars, got {bars}")
    if not (0 <= valence <= 1 and 0 <= arousal <= 1):
        raise ValueError(f"valence and arousal must lie in [0, 1], got {valence} and {arousal}")
    if style is None:
        chosen = choose_section_style(rng, valence, arousal, beats_per_bar)
    else:
        chosen = next((row for row in SECTION_STYLES if row.name == style), None)
        if chosen is None:
            raise ValueError(f"unknown style {style!r}")
        if beats_per_bar not in (None, chosen.beats_per_bar):
            raise ValueError(f"{style} is in {chosen.beats_per_bar}, not in {beats_per_bar}")
    plan = _plan(rng, chosen, valence, arousal, bars, closing)
    tracks = _arrange(rng, plan, grooves)
    balance(tracks)
    harmony = harmony_of(plan)
    return Score(
        tracks, plan.tempo, plan.beats, plan.tonic, plan.mode, chosen.name, piece, "composer",
        int(rng.integers(2**31)), "full", chord_names(harmony), 0.006, harmony,
        2 / 3 if plan.swing == "eighths" else 0.5,
    )  # fmt: skip
