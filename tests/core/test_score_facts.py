"""Facts read off notes, against scores whose facts are known."""

from __future__ import annotations

import math

import pytest

from melfusion_core.score.chords import CHORD_KINDS, BeatChord, chord_names
from melfusion_core.score.facts import score_facts, swing_of
from melfusion_core.score.score import Note, Score, Track

C, F, G = BeatChord(0, "", 0), BeatChord(5, "", 5), BeatChord(7, "7", 11)


def score(lead, bass=(), chords=(), harmony=(C,) * 8, mode="major"):
    tracks = [Track("flute", 73, list(lead), role="lead")]
    tracks += [Track("cello", 42, list(bass), role="bass")] if bass else []
    tracks += [Track("piano", 0, list(chords), role="chords")] if chords else []
    return Score(tracks, 100.0, 4, 0, mode, "classical", "p", "composer", 0, harmony=tuple(harmony))


def line(*pitches, length=1.0):
    return [Note(i * length, length, pitch, 80) for i, pitch in enumerate(pitches)]


def test_facts_of_a_known_score():
    tune = line(60, 62, 64, 65, 67, 69, 71, 72)
    facts = score_facts(score(tune, bass=line(36, 43, length=4.0)), 2)
    assert facts.out_of_key == 0 and facts.empty_bars == 0 and facts.lead_range == 12
    assert facts.lead_steps == 1 and facts.lead_leaps == 0 and facts.lead_rests == 0
    assert facts.chord_tones == 0.75  # 60, 64 and 67 stand on strong beats and in C; 71 does not
    assert facts.bass_roots == 0.5 and facts.groove == 1.0 and facts.onsets_per_beat == 1
    assert facts.repeated_bars == 0 and facts.last_long == 1.0


def test_out_of_key_and_minor():
    assert score_facts(score(line(60, 61, 62, 63)), 1).out_of_key == 0.5
    assert score_facts(score(line(60, 71, 70, 63), mode="minor"), 1).out_of_key == 0


def test_entropy_is_that_of_the_pitch_classes():
    assert score_facts(score(line(60, 72, 84, 48)), 1).pitch_class_entropy == pytest.approx(0)
    assert score_facts(score(line(60, 62, 64, 65)), 1).pitch_class_entropy == pytest.approx(2)


def test_repeated_and_empty_bars():
    tune = [*line(60, 62, 64, 65), *(Note(n.start + 4, 1.0, n.pitch, 80) for n in line(60, 62, 64, 65))]
    facts = score_facts(score(tune, harmony=(C,) * 12), 3)
    assert facts.repeated_bars == 1.0 and facts.lead_repeated == 1.0 and facts.empty_bars == pytest.approx(1 / 3)


def test_parallels():
    fifths = score_facts(score(line(67, 69, 71, 72), bass=line(48, 50, 52, 53)), 1)
    contrary = score_facts(score(line(67, 69, 71, 72), bass=line(53, 52, 50, 48)), 1)
    assert fifths.parallels == 100 and contrary.parallels == 0
    assert math.isnan(score_facts(score(line(60, 62)), 1).parallels)


def test_voice_leading():
    chords = [
        Note(start, 2.0, pitch, 80) for start, row in ((0.0, (60, 64, 67)), (2.0, (60, 65, 69))) for pitch in row
    ]
    assert score_facts(score(line(72, 72), chords=chords), 1).voice_leading == 1.0


def test_other_harmony_may_be_given():
    own = score_facts(score(line(65, 69, 72, 65), harmony=(C,) * 4), 1)
    other = score_facts(score(line(65, 69, 72, 65), harmony=(C,) * 4), 1, (F,) * 4)
    assert own.chord_tones == 0.5 and other.chord_tones == 1.0


def test_swing():
    straight = [Track("flute", 73, line(*range(60, 76), length=0.5))]
    swung = [Track("flute", 73, [Note(b + part, 0.3, 60, 80) for b in range(8) for part in (0, 2 / 3)])]
    triplets = [Track("flute", 73, [Note(b + part / 3, 0.3, 60, 80) for b in range(8) for part in range(3)])]
    assert swing_of(straight) == 0.5 and swing_of(swung) == pytest.approx(2 / 3) and swing_of(triplets) == 0.5


def test_chords():
    assert G.symbol == "G7/B" and G.tones == (7, 11, 2, 5) and G.transposed(-7) == BeatChord(0, "7", 4)
    assert chord_names((C, C, None, G, None, G, F)) == ("C", "G7/B", "F")
    assert all(steps[0] == 0 for steps in CHORD_KINDS.values())
    with pytest.raises(ValueError, match="unknown kind"):
        BeatChord(0, "major", 0)
    with pytest.raises(ValueError, match="pitch classes"):
        BeatChord(12, "", 0)
