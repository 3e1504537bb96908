"""The parts a section is made of: form, chords, voices, tune, bass, comping, answers, drums."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from melfusion_core.data.drums import DRUMS, KIT
from melfusion_core.data.harmony import FAMILIES, chord_scale
from melfusion_core.data.sections.answers import KINDS, counter
from melfusion_core.data.sections.backing import chords_under_tune
from melfusion_core.data.sections.basses import BASS, bass_density, bass_line
from melfusion_core.data.sections.beats import drum_part, on_grid
from melfusion_core.data.sections.comping import EVERY_COMP, comp, comp_density, fits, pad
from melfusion_core.data.sections.compose import choose_section_style
from melfusion_core.data.sections.form import SHAPES, draw_energy, draw_form, draw_rests, phrase_lengths
from melfusion_core.data.sections.ornaments import ornament
from melfusion_core.data.sections.plan import Event, Plan, swing_events, swung
from melfusion_core.data.sections.progressions import section_slots
from melfusion_core.data.sections.styles import SECTION_STYLES
from melfusion_core.data.sections.tunes import tune
from melfusion_core.data.sections.voicing import voice_chords
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import SCALES
from melfusion_core.score.score import TICKS_PER_BEAT, Note


def plan_of(seed=0, style="classical", bars=8, closing=True, mode="major", tonic=0, beats=4, per_bar=1.0, **changes):
    rng = np.random.default_rng(seed)
    row = next(s for s in SECTION_STYLES if s.name == style and s.beats_per_bar == beats)
    phrases = draw_form(rng, bars, row.melody.form, closing)
    slots = section_slots(rng, row.family, mode, tonic, 0.5, phrases, beats, per_bar, False)
    plan = Plan(row, 0.5, 0.5, 100.0, tonic, mode, SCALES[mode], bars, beats, phrases, slots, "even",
                np.zeros(bars), 80.0, 0.9, "", closing)  # fmt: skip
    return replace(plan, **changes)


@pytest.mark.parametrize("bars", range(1, 17))
def test_phrases_fill_the_section(bars):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        assert sum(phrase_lengths(rng, bars)) == bars
        for form in ("song", "riff"):
            for closing in (True, False):
                phrases = draw_form(rng, bars, form, closing)
                assert [p.start for p in phrases] == list(np.cumsum([0, *(p.bars for p in phrases)])[:-1])
                assert (phrases[-1].ending == "close") == closing and all(2 <= p.bars or bars < 2 for p in phrases)


def test_energy_and_rests():
    seen = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        name, energy = draw_energy(rng, 8)
        seen.add(name)
        assert energy.shape == (8,) and np.abs(energy).max() <= 1
        rests = draw_rests(rng, draw_form(rng, 8, "song", True), name, True)
        for role, bars in rests.items():
            assert role in ("lead", "counter", "pad", "bass", "drums") and bars < set(range(8))
    assert seen == set(SHAPES)


@pytest.mark.parametrize("family", [*FAMILIES, "functional"])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_slots_tile_the_section_and_end_as_the_form_says(family, mode):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        bars, beats, per_bar = 4 + seed, (3, 4)[seed % 2], (0.5, 1.0, 2.0)[seed % 3]
        for closing in (True, False):
            phrases = draw_form(rng, bars, "song", closing)
            slots = section_slots(rng, family, mode, 2, 0.5, phrases, beats, per_bar, seed % 2 == 0)
            assert slots[0].start == 0 and slots[-1].start + slots[-1].length == bars * beats
            for before, after in pairwise(slots):
                assert before.length > 0 and abs(before.start + before.length - after.start) < 1e-9
            assert (slots[-1].chord.root == 2) == closing
            if closing:
                assert slots[-1].start <= (bars - 1) * beats


@pytest.mark.parametrize("voices", [3, 4])
def test_voices_move_little_and_not_in_parallel(voices):
    moves, fifths, changes = [], 0, 0
    for seed in range(20):
        plan = plan_of(seed)
        chords = [slot.chord for slot in plan.slots]
        voicings = voice_chords(chords, 60.0, voices)
        for chord, voicing in zip(chords, voicings, strict=True):
            assert len(voicing) == voices and voicing == sorted(voicing)
            assert {p % 12 for p in voicing} <= set(chord.tones) and voicing[0] >= 48
        for first, second in pairwise(voicings):
            steps = [b - a for a, b in zip(first, second, strict=True)]
            moves += [abs(step) for step in steps]
            changes += any(steps)
            for a in range(voices):
                for b in range(a + 1, voices):
                    gap = (first[b] - first[a]) % 12
                    fifths += steps[a] == steps[b] != 0 and gap in (0, 7)
    assert np.mean(moves) < 2.2 and fifths / changes < 0.12


def test_voicings_stay_in_the_players_range():
    chords = [slot.chord for slot in plan_of(3).slots]
    assert min(min(v) for v in voice_chords(chords, 50.0, 3, lowest=60)) >= 60


@pytest.mark.parametrize("style", ["classical", "jazz", "celtic", "techno", "blues"])
def test_tunes_fit_their_harmony(style):
    strong, steps, finals = [], [], []
    for seed in range(20):
        beats = 3 if style == "celtic" else 4
        plan = plan_of(seed, style, tonic=seed % 12, mode=("major", "minor")[seed % 2], beats=beats)
        events = tune(np.random.default_rng(seed), plan, 55, 90, 70.0, 1.5)
        assert all(55 <= e.pitch <= 90 and e.ticks > 0 for e in events)
        assert all(a.tick + a.ticks <= b.tick for a, b in pairwise(events))
        for event in events:
            chord = plan.slots[plan.slot_index(event.tick)].chord
            scale = {(plan.tonic + s) % 12 for s in chord_scale(chord, plan.tonic, plan.scale)}
            if event.tick % plan.bar_ticks == 0:
                strong.append(event.pitch % 12 in chord.tones)
            if not plan.style.melody.chromatic:
                assert event.pitch % 12 in scale
        steps += [abs(b.pitch - a.pitch) for a, b in pairwise(events)]
        finals.append(events[-1].pitch % 12 == plan.tonic)
    assert np.mean(strong) > 0.8 and np.mean(np.array(steps) <= 4) > 0.7 and np.mean(finals) > 0.5


def test_phrases_come_back():
    """The second half of a period begins as the first did."""
    same = []
    for seed in range(40):
        plan = plan_of(seed, bars=8)
        if [p.label for p in plan.phrases] != ["a", "a"]:
            continue
        events = tune(np.random.default_rng(seed), plan, 50, 90, 70.0, 1.5)
        half = 4 * plan.bar_ticks
        first = {e.tick for e in events if e.tick < 2 * plan.bar_ticks}
        second = {e.tick - half for e in events if half <= e.tick < half + 2 * plan.bar_ticks}
        same.append(len(first & second) / len(first | second))
    assert np.mean(same) > 0.8


@pytest.mark.parametrize("pattern", BASS)
def test_bass_patterns(pattern):
    for beats, rows in BASS[pattern].items():
        assert all(len(row) == 4 * beats and set(row) <= set("R35l678TaW-.") for row in rows)
        assert bass_density(pattern, beats) > 0
        plan = plan_of(1, beats=beats)
        events = bass_line(np.random.default_rng(0), plan, pattern, 28, 55)
        assert all(e.ticks > 0 and 26 <= e.pitch <= 57 for e in events)
        assert all(a.tick + a.ticks <= b.tick for a, b in pairwise(events))
        if pattern not in ("offbeat", "rolling", "pedal"):
            starts = {round(slot.start * TICKS_PER_BEAT): slot.chord.bass for slot in plan.slots}
            on = {e.tick: e.pitch % 12 for e in events}
            assert all(on.get(tick) == bass for tick, bass in starts.items())


def test_walking_leads_to_the_next_root():
    near = []
    for seed in range(20):
        plan = plan_of(seed, "jazz")
        events = bass_line(np.random.default_rng(seed), plan, "walking", 28, 55)
        assert len(events) >= 4 * (plan.bars - 1)
        starts = {round(slot.start * TICKS_PER_BEAT) for slot in plan.slots[1:]}
        near += [abs(b.pitch - a.pitch) <= 2 for a, b in pairwise(events) if b.tick in starts]
    assert np.mean(near) > 0.9


@pytest.mark.parametrize("pattern", EVERY_COMP)
def test_comping_patterns(pattern):
    beats, steps = EVERY_COMP[pattern]
    assert comp_density(pattern) > 0 and fits(pattern, beats) and not fits(pattern, 7 - beats)
    plan = plan_of(2, beats=beats)
    voicings = voice_chords([slot.chord for slot in plan.slots], 58.0, 3)
    player = INSTRUMENTS["piano"]
    events = comp(np.random.default_rng(0), plan, dict.fromkeys("abc", pattern), voicings, player)
    for event in events:
        assert 0 <= event.tick and event.tick + event.ticks <= plan.ticks and event.ticks > 0
    last = [event for event in events if event.tick >= plan.ticks - plan.bar_ticks]
    assert {event.tick for event in last} == {plan.ticks - plan.bar_ticks}


def test_pads_hold_common_tones():
    plan = plan_of(4)
    voicings = voice_chords([slot.chord for slot in plan.slots], 58.0, 3)
    events = pad(plan, voicings)
    assert len(events) < 3 * len(plan.slots)
    sounding = sum(event.ticks for event in events)
    assert sounding == 3 * plan.ticks


@pytest.mark.parametrize("kind", KINDS)
def test_second_voices(kind):
    for seed in range(10):
        plan = plan_of(seed)
        lead = tune(np.random.default_rng(seed), plan, 60, 90, 74.0, 1.2)
        events = counter(np.random.default_rng(seed), plan, kind, lead, 45, 80)
        assert all(45 <= e.pitch <= 80 and 0 <= e.tick and e.tick + e.ticks <= plan.ticks for e in events)
        if kind == "thirds":
            above = {e.tick: e.pitch for e in lead}
            assert all(3 <= above[e.tick] - e.pitch <= 9 for e in events)
        if kind == "line":
            tones = [e.pitch % 12 in plan.slots[plan.slot_index(e.tick)].chord.tones for e in events]
            assert all(tones)


def test_answers_come_while_the_tune_rests():
    plan = plan_of(1)
    bar = plan.bar_ticks
    lead = [Event(b * bar, 12, 72) for b in range(8)]
    events = counter(np.random.default_rng(0), plan, "answer", lead, 45, 80)
    assert events and all(event.tick % bar >= 12 for event in events)


def test_drums_fill_crash_and_end():
    plan = plan_of(0, "rock", bars=8)
    events = drum_part(np.random.default_rng(1), plan, "rock")
    last = plan.ticks - plan.bar_ticks
    assert {e.tick for e in events if e.tick >= last} == {last}
    assert any(e.pitch == KIT["crash"] and e.tick == 4 * plan.bar_ticks for e in events)
    leads_on = drum_part(np.random.default_rng(1), plan_of(0, "rock", closing=False), "rock")
    assert len({e.tick for e in leads_on if e.tick >= last}) > 4
    with pytest.raises(ValueError, match="does not have 4"):
        drum_part(np.random.default_rng(1), plan, "waltz")


def test_human_hits_are_drawn_to_the_grid():
    late = [Note(i / 4 + 0.02, 0.2, 42, 80) for i in range(16)]
    assert [e.tick for e in on_grid(late, "")] == list(range(0, 48, 3))
    shuffled = [Note(b + part + 0.015, 0.2, 42, 80) for b in range(4) for part in (0, 2 / 3)]
    assert [e.tick for e in on_grid(shuffled, "")] == [12 * b + t for b in range(4) for t in (0, 8)]


def test_swing():
    assert [swung(t, "eighths") for t in (0, 6, 12, 18)] == [0, 8, 12, 20] and swung(8, "eighths") == 8
    assert swung(3, "sixteenths") == 4 and swung(6, "sixteenths") == 6
    for swing in ("", "eighths", "sixteenths"):
        moved = [swung(t, swing) for t in range(24)]
        assert moved == sorted(moved)
    assert swing_events([Event(6, 6, 60)], "eighths") == [Event(8, 4, 60)]


def test_ornaments_keep_the_tune():
    seen = 0
    for seed in range(20):
        plan = plan_of(seed, "baroque")
        events = tune(np.random.default_rng(seed), plan, 55, 90, 72.0, 1.0)
        ornamented = ornament(np.random.default_rng(seed), plan, events, 50, 95)
        seen += len(ornamented) > len(events)
        assert all(a.tick + a.ticks <= b.tick for a, b in pairwise(ornamented))
        assert ornamented[-1].tick + ornamented[-1].ticks == events[-1].tick + events[-1].ticks
    assert seen > 5
    plain = plan_of(0, "ambient")
    events = tune(np.random.default_rng(0), plain, 55, 90, 72.0, 0.5)
    assert ornament(np.random.default_rng(0), plain, events, 50, 95) == events


def test_every_section_style_can_play():
    for style in SECTION_STYLES:
        assert any(fits(name, style.beats_per_bar) for name in style.comp), style.name
        assert all(style.beats_per_bar in BASS[name] for name in style.bassline)
        assert all(len(DRUMS[name][0][1]) == 4 * style.beats_per_bar for name in style.drums), style.name
        for name in (*style.leads, *style.chords, *style.bass, *style.pads):
            assert name in INSTRUMENTS
        assert all(INSTRUMENTS[name].lead for name in style.leads)
    assert len({style.name for style in SECTION_STYLES}) >= 43
    calm = {choose_section_style(np.random.default_rng(s), 0.5, 0.05).name for s in range(30)}
    assert calm & {"ambient", "lullaby", "new age"} and not calm & {"metal", "techno"}


def test_chords_are_found_under_a_tune():
    pitches = (60, 64, 67, 64, 65, 69, 72, 69, 67, 71, 74, 71, 72, 67, 64, 60)
    notes = [Note(float(beat), 1.0, pitch, 80) for beat, pitch in enumerate(pitches)]
    slots = chords_under_tune(notes, 0, "major", 4, 4, True)
    roots = [next(s for s in reversed(slots) if s.start <= bar * 4).chord.root for bar in range(4)]
    assert roots == [0, 5, 7, 0]
    assert slots[-1].start + slots[-1].length == 16
    assert sum(slot.length for slot in chords_under_tune(notes[:12], 0, "minor", 3, 4, False)) == 12
