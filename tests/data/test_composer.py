"""The procedural composer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from melfusion_core.data import composer
from melfusion_core.data.composer import CORE_LEADS, CORE_STYLES, choose_tempo, compose
from melfusion_core.data.drums import DRUMS, drum_part, pattern_density
from melfusion_core.data.harmony import FAMILIES
from melfusion_core.data.music_affect import music_affect, music_cues
from melfusion_core.data.patterns import BASS_PATTERNS, COMP
from melfusion_core.data.styles import GRID_TEMPI, STYLES
from melfusion_core.score.instruments import INSTRUMENTS, LEAD_INSTRUMENTS
from melfusion_core.score.keys import FLAVOURS, TONICS, krumhansl_key
from melfusion_core.score.mixing import LEVEL_DB, ROLE_DB


def draw(seed, **options):
    rng = np.random.default_rng(seed)
    valence, arousal = rng.random(2)
    return compose(rng, valence, arousal, "p", **options), valence, arousal


@pytest.fixture(scope="module")
def many():
    return [draw(seed) for seed in range(240)]


def test_same_seed_same_piece():
    one, two = (compose(np.random.default_rng(5), 0.3, 0.8, "p") for _ in range(2))
    assert one == two
    assert compose(np.random.default_rng(6), 0.3, 0.8, "p") != one


def test_pieces_are_playable(many):
    for score, _, _ in many:
        end = 10.24 * score.tempo_bpm / 60
        assert score.lead.notes and score.chords
        assert score.lead.instrument in LEAD_INSTRUMENTS
        for track in score.tracks:
            assert -16 <= track.gain_db <= 8
            for note in track.notes:
                assert 0 <= note.start < end and note.start + note.duration <= end + 1e-6 and note.duration > 0
                assert 1 <= note.velocity <= 127
                if not track.is_drum:
                    assert INSTRUMENTS[track.instrument].low <= note.pitch <= INSTRUMENTS[track.instrument].high + 12


def test_clips_start_at_once_and_never_stop(many):
    for score, _, _ in many:
        notes = sorted((n for t in score.tracks for n in t.notes), key=lambda n: n.start)
        now = 0.0
        for note in notes:
            assert (note.start - now) * 60 / score.tempo_bpm < 1.5, score.style
            now = max(now, note.start + note.duration)


def test_core_keeps_its_rules(many):
    core = [score for score, _, _ in many if score.subset == "core"]
    assert 0.35 < len(core) / len(many) < 0.65
    for score in core:
        assert score.tempo_bpm in GRID_TEMPI and score.tonic in TONICS[score.mode]
        assert len(score.tracks) <= 4 and score.lead.instrument in CORE_LEADS and score.style in CORE_STYLES
        assert score.timing_noise_in_s <= 0.002
    full = [score for score, _, _ in many if score.subset == "full"]
    assert len({score.tonic for score in full}) == 12
    assert any(score.tempo_bpm not in GRID_TEMPI for score in full) and max(len(s.tracks) for s in full) > 4
    with pytest.raises(ValueError, match="subset"):
        compose(np.random.default_rng(0), 0.5, 0.5, "p", subset="some")
    assert draw(1, subset="core")[0].subset == "core" and draw(1, subset="full")[0].subset == "full"


def test_declared_mode_is_heard(many):
    heard = [("major" if music_cues(s).mode >= 0 else "minor") == s.mode for s, _, _ in many]
    assert np.mean(heard) > 0.85


def test_lead_stands_out(many):
    above = []
    for score, _, _ in many:
        chords = [n.pitch for t in score.tracks if t.role == "chords" for n in t.notes]
        lead = [n.pitch for n in score.lead.notes]
        if chords:
            above.append(abs(np.mean(lead) - np.mean(chords)))
            assert np.mean([n.velocity for n in score.lead.notes]) > np.mean(
                [n.velocity for t in score.tracks if t.role == "chords" for n in t.notes]
            )
    assert np.mean(above) > 9


def test_variety(many):
    assert len({score.style for score, _, _ in many}) >= 20
    assert len({score.lead.instrument for score, _, _ in many}) >= 30
    assert len({track.instrument for score, _, _ in many for track in score.tracks}) >= 60
    assert Counter(score.style for score, _, _ in many).most_common(1)[0][1] < 30


def test_mood_moves_the_music(many):
    cues = [music_cues(score) for score, _, _ in many]
    valence, arousal = np.array([(v, a) for _, v, a in many]).T
    assert np.corrcoef(np.log([c.onset_rate_hz for c in cues]), arousal)[0, 1] > 0.75
    assert np.corrcoef([c.velocity for c in cues], arousal)[0, 1] > 0.8
    assert np.corrcoef([c.legato for c in cues], arousal)[0, 1] < -0.7
    assert np.corrcoef([s.tempo_bpm for s, _, _ in many], arousal)[0, 1] > 0.6
    assert np.corrcoef([c.mode for c in cues], valence)[0, 1] > 0.45
    assert np.corrcoef([c.melody_pitch for c in cues], valence)[0, 1] > 0.3
    measured = music_affect(cues)
    assert np.corrcoef(measured[1], arousal)[0, 1] > 0.8 and np.corrcoef(measured[0], valence)[0, 1] > 0.45


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_every_style_composes(style, monkeypatch):
    monkeypatch.setattr(composer, "STYLES", (style,))
    for name in (*style.leads, *style.chords, *style.bass, *style.pads):
        assert name in INSTRUMENTS and name in LEVEL_DB
    assert all(INSTRUMENTS[name].lead for name in style.leads)
    assert style.family == "functional" or set(FAMILIES[style.family]) == {"major", "minor"}
    assert set(style.flavours) <= set(FLAVOURS)
    assert all(name == "sustain" or COMP[name][0] == style.beats_per_bar for name in style.comp)
    assert set(style.bassline) <= set(BASS_PATTERNS)
    assert all(len(DRUMS[name][0][1]) == 4 * style.beats_per_bar for name in style.drums)
    for seed in range(4):
        score = draw(seed, subset="core" if seed < 2 and style.name in CORE_STYLES else "full")[0]
        assert score.style == style.name and score.tonic in range(12)


def test_core_styles_have_core_leads():
    for style in STYLES:
        if style.name in CORE_STYLES:
            assert set(style.leads) & CORE_LEADS, style.name


def test_tempo_follows_arousal():
    rng = np.random.default_rng(0)
    assert choose_tempo(rng, 0.0, 0.0) == GRID_TEMPI[0] and choose_tempo(rng, 1.0, 0.0) == GRID_TEMPI[-1]
    assert choose_tempo(rng, 1.0, 0.0, limits=(60, 100)) == GRID_TEMPI[3]


@pytest.mark.parametrize("pattern", DRUMS)
def test_drum_patterns(pattern):
    rows = DRUMS[pattern]
    beats = len(rows[0][1]) // 4
    assert beats in (3, 4) and all(len(row) == beats * 4 and set(row) <= set(".xXo") for _, row, _ in rows)
    assert pattern_density(pattern) > 0
    notes = drum_part(np.random.default_rng(0), pattern, 8, beats, 80)
    assert max(n.start for n in notes) < 8 * beats and len(notes) >= 8
    with pytest.raises(ValueError, match="does not have"):
        drum_part(np.random.default_rng(0), pattern, 1, 7 - beats, 80)


def test_roles_have_a_place_in_the_mix(many):
    assert {track.role for score, _, _ in many for track in score.tracks} <= set(ROLE_DB)


def test_key_is_heard(many):
    right = []
    for score, _, _ in many:
        histogram = np.zeros(12)
        for note in (n for t in score.tracks if not t.is_drum for n in t.notes):
            histogram[note.pitch % 12] += min(note.duration, 2.0)
        right.append(krumhansl_key(histogram)[0] == score.tonic)
    assert np.mean(right) > 0.7
