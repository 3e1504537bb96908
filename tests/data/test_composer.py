"""The procedural composer."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.data.composer import PROGRESSIONS, SCALES, TONICS, chord_tones, compose, degree_pitch, voice_lead
from melfusion_core.data.instruments import INSTRUMENTS
from melfusion_core.data.music_affect import music_affect, music_cues
from melfusion_core.data.patterns import accompany, bass_line, drum_part
from melfusion_core.data.styles import DRUMS, GRID_TEMPI, STYLES


def test_same_seed_same_piece():
    one, two = (compose(np.random.default_rng(5), 0.3, 0.8, "p") for _ in range(2))
    assert one == two
    assert compose(np.random.default_rng(6), 0.3, 0.8, "p") != one


@pytest.mark.parametrize("seed", range(12))
def test_pieces_are_playable(seed):
    rng = np.random.default_rng(seed)
    score = compose(rng, rng.random(), rng.random(), "p")
    end = 10.24 * score.tempo_bpm / 60
    assert score.tempo_bpm in GRID_TEMPI and score.tonic in TONICS[score.mode]
    assert score.lead.notes
    for track in score.tracks:
        for note in track.notes:
            assert 0 <= note.start < end and note.start + note.duration <= end + 1e-6 and note.duration > 0
            assert 1 <= note.velocity <= 127
            if not track.is_drum:
                assert INSTRUMENTS[track.instrument].low <= note.pitch <= max(INSTRUMENTS[track.instrument].high, 127)


def test_melody_stays_in_key():
    for seed in range(10):
        score = compose(np.random.default_rng(seed), 0.9, 0.4, "p")
        scale = {(score.tonic + step) % 12 for step in SCALES[score.mode]} | {(score.tonic + 11) % 12}
        assert {note.pitch % 12 for note in score.lead.notes} <= scale


def test_mood_moves_the_music():
    def cues(valence, arousal):
        return [music_cues(compose(np.random.default_rng(s), valence, arousal, "p")) for s in range(30)]

    calm, wild, sad, glad = cues(0.5, 0.05), cues(0.5, 0.95), cues(0.05, 0.5), cues(0.95, 0.5)
    assert np.mean([c.onset_rate_hz for c in wild]) > 2.5 * np.mean([c.onset_rate_hz for c in calm])
    assert np.mean([c.velocity for c in wild]) > np.mean([c.velocity for c in calm]) + 15
    assert np.mean([c.mode for c in glad]) > np.mean([c.mode for c in sad]) + 0.1
    _, arousal = music_affect(calm + wild)
    assert arousal[:30].mean() + 1.0 < arousal[30:].mean()


def test_degrees_and_chords():
    assert degree_pitch(0, 0, "major", 4) == 60 and degree_pitch(7, 0, "major", 4) == 72
    assert degree_pitch(-1, 0, "major", 4) == 59
    assert chord_tones(0, 9, "minor") == [9, 0, 4]
    assert chord_tones(4, 9, "minor") == [4, 8, 11]  # E major: the leading note G sharp


def test_voice_leading_moves_little():
    for mode, progressions in PROGRESSIONS.items():
        for progression in progressions:
            previous = None
            for root in progression:
                voicing = voice_lead(chord_tones(root, TONICS[mode][0], mode), previous, 58)
                assert sorted({p % 12 for p in voicing}) == sorted(set(chord_tones(root, TONICS[mode][0], mode)))
                if previous:
                    assert max(abs(a - b) for a, b in zip(voicing, previous, strict=True)) <= 7
                previous = voicing


def test_every_style_names_known_parts():
    rng = np.random.default_rng(0)
    for style in STYLES:
        for name in (*style.leads, *style.chords, *style.bass, *style.pads):
            assert name in INSTRUMENTS
        assert all(INSTRUMENTS[name].lead for name in style.leads)
        assert all(drums == "" or drums in DRUMS for drums in style.drums)
        chord = [[60, 64, 67]]
        for pattern in style.comp:
            assert accompany(rng, pattern, chord, style.beats_per_bar, 70, 0.9, INSTRUMENTS[style.chords[0]], 0.5)
        for pattern in style.bassline:
            assert bass_line(rng, pattern, [[0, 4, 7]], style.beats_per_bar, 70, INSTRUMENTS["electric bass"])
        for pattern in style.drums:
            assert pattern == "" or drum_part(rng, pattern, 4, style.beats_per_bar, 80)


def test_unknown_bass_pattern_is_refused():
    with pytest.raises(ValueError, match="unknown bass pattern"):
        bass_line(np.random.default_rng(0), "slap", [[0, 4, 7]], 4, 70, INSTRUMENTS["electric bass"])
