"""From a plan to tracks: who plays, in which register, how loud and how long."""

from __future__ import annotations

from math import pi, sin

import numpy as np

from melfusion_core.data.drums import DRUMS, pattern_density
from melfusion_core.data.grooves import Grooves
from melfusion_core.data.sections.answers import KINDS, counter
from melfusion_core.data.sections.basses import BASS, bass_density, bass_line
from melfusion_core.data.sections.beats import drum_part, human_part
from melfusion_core.data.sections.comping import (
    QUIETLY,
    STILL,
    choose_comp,
    comp,
    comp_density,
    fits,
    is_power,
    octaves_in_range,
    pad,
)
from melfusion_core.data.sections.ornaments import ornament
from melfusion_core.data.sections.plan import Event, Plan, swing_events
from melfusion_core.data.sections.styles import SECTION_STYLES
from melfusion_core.data.sections.tunes import tune
from melfusion_core.data.sections.voicing import voice_chords
from melfusion_core.score.instruments import INSTRUMENTS, Instrument
from melfusion_core.score.score import TICKS_PER_BEAT, Note, Track, playable

_USES = {name: sum(name in style.leads for style in SECTION_STYLES) for name in INSTRUMENTS}


def _mood_fit(rows: list[Instrument], plan: Plan) -> np.ndarray:
    return np.array([r.valence * (plan.valence - 0.5) * 2.0 + r.arousal * (plan.arousal - 0.5) * 1.5 for r in rows])


def choose_lead(rng: np.random.Generator, plan: Plan) -> Instrument:
    """A lead of the style that suits the mood; instruments that few styles use are likelier.

    Args:
        rng: source of randomness.
        plan: what was decided.
    """
    rows = [INSTRUMENTS[name] for name in plan.style.leads]
    weights = np.exp(_mood_fit(rows, plan)) / np.array([_USES[row.name] for row in rows]) ** 0.8
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def choose_other(rng: np.random.Generator, plan: Plan, names: tuple[str, ...], used: list[str]) -> Instrument:
    """An instrument of a list that does not play yet, where there is one, and that suits the mood.

    Args:
        rng: source of randomness.
        plan: what was decided.
        names: names of instruments.
        used: who plays already.
    """
    rows = [INSTRUMENTS[name] for name in names if name not in used] or [INSTRUMENTS[name] for name in names]
    weights = np.exp(_mood_fit(rows, plan))
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _layers(rng: np.random.Generator, plan: Plan, alone: bool) -> list[str]:
    """Which parts accompany the tune, more of them with arousal; `alone`: whether the lead can do without."""
    style = plan.style
    if rng.random() < style.solo * (1.0 if alone else 0.2):
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
    energy, phrases = plan.energy.tolist(), [plan.phrase_of(bar) for bar in range(plan.bars)]
    for event in events:
        bar, inside = divmod(event.tick, plan.bar_ticks)
        phrase = phrases[bar]
        place = (event.tick - phrase.start * plan.bar_ticks) / (phrase.bars * plan.bar_ticks)
        beat = inside / TICKS_PER_BEAT
        metre = 4 if beat == 0 else 2 if beat == 2 and plan.beats == 4 else 0 if beat % 1 == 0 else -4
        arch = 4 * sin(pi * place) - 2
        velocity = round(level + metre + depth * (arch + 11 * energy[bar]) + event.accent)
        velocity = min(max(velocity, 12), 124)
        notes.append(Note(event.tick / TICKS_PER_BEAT, event.ticks / TICKS_PER_BEAT, event.pitch, velocity))
    return notes


def _articulated(plan: Plan, events: list[Event], legato: float) -> list[Event]:
    """Lengths in whole ticks: a share of the written ones, except held last notes."""
    home = plan.ticks - plan.bar_ticks if plan.closing else plan.ticks
    out = []
    for event in events:
        ticks = event.ticks if event.tick >= home else max(round(event.ticks * legato), 1)
        out.append(event._replace(ticks=min(ticks, plan.ticks - event.tick)))
    return [event for event in out if event.ticks > 0]


def finished(plan: Plan, events: list[Event], player: Instrument, role: str, level: float, legato: float) -> Track:
    """Events in straight time as the track of a player.

    Args:
        plan: what was decided.
        events: the notes.
        player: who plays.
        role: role of the track.
        level: mean MIDI velocity.
        legato: share of the written length that sounds.
    """
    events = _articulated(plan, swing_events(plan.heard(role, events), plan.swing), legato)
    return Track(player.name, player.program, playable(_shaded(plan, events, level)), role=role)


def _lead_part(rng: np.random.Generator, plan: Plan, lead: Instrument, under: Instrument | None) -> list[Event]:
    """The tune, in a register that suits the mood, the instrument and, above it, who plays the chords."""
    wish = 69 + 7 * (plan.arousal - 0.5) + 12 * (plan.valence - 0.5) + rng.normal(0, 2)
    wish += 0.25 * ((lead.low + lead.high) / 2 - 67)  # near the middle of the instrument
    if under is not None and under is not lead and lead.low + lead.high > 116:
        wish = max(wish, under.low + 17.0)
    centre = float(np.clip(wish, lead.low + 7, lead.high - 8)) if lead.high - lead.low > 16 else lead.low + 7.0
    rate = float(np.clip(0.8 + 3.6 * plan.arousal**1.2 + rng.normal(0, 0.3), 0.6, 5.5))  # notes a second
    per_beat = float(np.clip(rate * 60 / plan.tempo, 0.3, 2.6))
    low = max(lead.low, 48 if lead.low < 44 else lead.low)
    return ornament(rng, plan, tune(rng, plan, low, lead.high, centre, per_beat), low, lead.high)


def _patterns(rng: np.random.Generator, plan: Plan, player: Instrument, padded: bool) -> dict[str, str]:
    """An accompaniment pattern for every letter of the form; it moves where the player cannot hold or a pad does."""
    names = [name for name in plan.style.comp if fits(name, plan.beats)]
    still = STILL if padded else () if player.sustained else ("sustain",)
    names = [name for name in names if name not in still] or names
    target = float(np.clip((0.5 + 4.5 * plan.arousal) * 60 / plan.tempo, 0.25, 4.0))
    first = choose_comp(rng, names, target)
    others = [name for name in names if name != first] or [first]
    second = choose_comp(rng, others, target) if rng.random() < 0.6 else first
    return {"a": first, "b": second, "c": first, QUIETLY: min(names, key=comp_density)}


def comping_centre(middle: float) -> float:
    """Where the chords lie: below a high tune, above a low one.

    Args:
        middle: mean MIDI pitch of the tune.
    """
    return float(np.clip(middle - 14 if middle >= 64 else middle + 10 if middle < 57 else middle - 12, 50, 70))


def chord_track(
    rng: np.random.Generator, plan: Plan, player: Instrument, centre: float, over_bass: bool, padded: bool = False
) -> Track:
    """Chords in the patterns of the style.

    Args:
        rng: source of randomness.
        plan: what was decided.
        player: who plays.
        centre: MIDI pitch around which the chords lie.
        over_bass: whether a bass plays the roots.
        padded: whether a pad holds the chords already.
    """
    chords = [slot.chord for slot in plan.slots]
    patterns = _patterns(rng, plan, player, padded)
    rich = max(len(chord.tones) for chord in chords) > 3
    power = any(is_power(pattern) for pattern in patterns.values())
    voices = 4 if rich and rng.random() < 0.6 else 3
    voicings = voice_chords(chords, centre, voices, over_bass, player.low, not power)
    events = octaves_in_range(comp(rng, plan, patterns, voicings, player), player)
    level = plan.velocity - 12 - (5 if player.sustained else 0)
    return finished(plan, events, player, "chords", level, 1.0 if "sustain" in patterns.values() else plan.legato)


def bass_track(rng: np.random.Generator, plan: Plan, player: Instrument) -> Track:
    """A bass line in a pattern of the style.

    Args:
        rng: source of randomness.
        plan: what was decided.
        player: who plays.
    """
    target = float(np.clip((0.6 + 3.6 * plan.arousal) * 60 / plan.tempo, 0.25, 4.0))
    names = list(plan.style.bassline)
    gaps = np.array([abs(np.log((bass_density(n, plan.beats) + 0.15) / (target + 0.15))) for n in names])
    weights = np.exp(-1.3 * gaps)
    pattern = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    assert plan.beats in BASS[pattern]
    events = octaves_in_range(bass_line(rng, plan, pattern, player.low, player.high), player)
    return finished(plan, events, player, "bass", plan.velocity - 3, min(plan.legato + 0.15, 1.0))


def drum_track(rng: np.random.Generator, plan: Plan, grooves: Grooves | None) -> Track | None:
    """A human performance where one fits, or a pattern of the style; None where the style has no drums.

    Args:
        rng: source of randomness.
        plan: what was decided.
        grooves: human performances, or None.
    """
    style = plan.style
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
    events = plan.heard("drums", [event for event in events if event.tick < plan.ticks])
    hits = [event._replace(ticks=min(3, plan.ticks - event.tick)) for event in events]
    notes = playable(_shaded(plan, hits, plan.velocity - 2, 0.8))
    return Track("drums", 0, notes, is_drum=True, role="drums")


def pad_track(plan: Plan, player: Instrument, centre: float, over_bass: bool) -> Track:
    """Held harmony.

    Args:
        plan: what was decided.
        player: who plays.
        centre: MIDI pitch around which it lies.
        over_bass: whether a bass plays the roots.
    """
    chords = [slot.chord for slot in plan.slots]
    voicings = voice_chords(chords, float(np.clip(centre, 50, 70)), 3, over_bass, player.low)
    events = octaves_in_range(pad(plan, voicings), player)
    return finished(plan, events, player, "pad", plan.velocity - 20, 1.0)


def arrange(rng: np.random.Generator, plan: Plan, grooves: Grooves | None) -> list[Track]:
    """All tracks of a section, one a role.

    Args:
        rng: source of randomness.
        plan: what was decided.
        grooves: human drum performances, or None.
    """
    style = plan.style
    lead = choose_lead(rng, plan)
    layers = _layers(rng, plan, lead.polyphonic)
    alone = not layers and lead.polyphonic
    under = None
    if alone or "chords" in layers:
        same = alone or (lead.polyphonic and lead.name in style.chords and rng.random() < 0.35)
        under = lead if same else choose_other(rng, plan, style.chords, [lead.name])
    melody = _lead_part(rng, plan, lead, under)
    melody = plan.heard("lead", melody) if "chords" in layers else melody
    middle = float(np.mean([event.pitch for event in melody]))
    tracks = [finished(plan, melody, lead, "lead", plan.velocity + 13, plan.legato)]
    used = [lead.name]
    centre = comping_centre(middle)
    if under is not None:
        tracks.append(chord_track(rng, plan, under, centre, "bass" in layers, "pad" in layers))
        used.append(under.name)
    if "bass" in layers:
        tracks.append(bass_track(rng, plan, choose_other(rng, plan, style.bass, used)))
    if "pad" in layers:
        player = choose_other(rng, plan, style.pads, used)
        between = centre + 7 if middle - centre > 11 else centre - 5
        tracks.append(pad_track(plan, player, between, "bass" in layers))
        used.append(player.name)
    if "counter" in layers:
        player = choose_other(rng, plan, style.leads, used)
        kind = KINDS[int(rng.choice(3, p=[0.45, 0.25, 0.3]))]
        events = counter(rng, plan, kind, melody, player.low, player.high)
        if events:
            legato = plan.legato if kind != "line" else 1.0
            tracks.append(finished(plan, events, player, "counter", plan.velocity - 5, legato))
    drums = drum_track(rng, plan, grooves) if "drums" in layers else None
    return [*tracks, drums] if drums else tracks
