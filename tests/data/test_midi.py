"""Excerpts from score files."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from melfusion_core.data.composer import CORE_LEADS, compose
from melfusion_core.data.ensembles import ENSEMBLES, STYLE_WORDS, choose_ensemble
from melfusion_core.data.midi import excerpt
from melfusion_core.data.renderer import GAP_IN_S, scores_to_midi
from melfusion_core.data.score_files import PACK_WEIGHTS, ScoreError, find_scores, read_piece
from melfusion_core.data.styles import GRID_TEMPI
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.keys import TONICS


def write_piece(path, bars=24, numerator=4, program=40):
    """A two-part piece in D major: a scale over half notes."""
    midi = mido.MidiFile(ticks_per_beat=480)
    melody, bass = mido.MidiTrack(), mido.MidiTrack()
    midi.tracks += [melody, bass]
    melody.append(mido.MetaMessage("time_signature", numerator=numerator, denominator=4))
    melody.append(mido.Message("program_change", program=program))
    for i in range(bars * numerator):
        pitch = 74 + (0, 2, 4, 5, 7, 5, 4, 2)[i % 8]
        melody.append(mido.Message("note_on", note=pitch, velocity=80))
        melody.append(mido.Message("note_off", note=pitch, time=480))
    for i in range(bars * numerator // 2):
        pitch = (38, 45, 42, 45)[i % 4]
        bass.append(mido.Message("note_on", channel=1, note=pitch, velocity=60))
        bass.append(mido.Message("note_off", channel=1, note=pitch, time=960))
    midi.save(path)
    return path


def test_read_and_cut(tmp_path):
    piece = read_piece(write_piece(tmp_path / "a.mid"), "mutopia_pd")
    assert piece.name == "mutopia_pd/a" and piece.beats_per_bar == 4 and len(piece.parts) == 2
    assert piece.downbeats[:3] == [0.0, 4.0, 8.0]
    score = excerpt(np.random.default_rng(0), piece, 0.6, subset="core")
    assert score.tempo_bpm in GRID_TEMPI and score.piece == piece.name and score.subset == "core"
    assert score.mode == "major" and score.tonic in TONICS["major"]
    assert len(score.tracks) <= 4 and score.lead.instrument in CORE_LEADS
    assert min(note.start for note in score.lead.notes) == 0.0  # starts on a downbeat
    assert excerpt(np.random.default_rng(0), piece, 0.6, subset="core") == score
    full = [excerpt(np.random.default_rng(s), piece, 0.6, subset="full") for s in range(24)]
    assert len({f.tonic for f in full}) > 6 and any(f.tempo_bpm not in GRID_TEMPI for f in full)
    with pytest.raises(ValueError, match="subset"):
        excerpt(np.random.default_rng(0), piece, 0.6, subset="half")


def test_pickups_and_changes_of_metre(tmp_path):
    path = write_piece(tmp_path / "a.mid", bars=30)
    midi = mido.MidiFile(path)
    first = next(m for m in midi.tracks[0] if m.type == "time_signature")
    midi.tracks[0][midi.tracks[0].index(first)] = first.copy(numerator=1)
    midi.tracks[0].insert(4, mido.MetaMessage("time_signature", numerator=4, denominator=4))  # after one beat
    midi.save(path)
    assert read_piece(path, "openscore_lieder").downbeats[:2] == [1.0, 5.0]


def test_metres(tmp_path):
    for numerator, beats in ((2, 4), (3, 3), (6, 3), (8, 4)):
        piece = read_piece(write_piece(tmp_path / "a.mid", 30, numerator), "openscore_lieder")
        assert piece.beats_per_bar == beats


def test_style_words_are_true(tmp_path):
    piece = read_piece(write_piece(tmp_path / "a.mid", bars=60), "openscore_quartets")
    players = {row.style: {*row.leads, *row.inner, *row.bass} for row in ENSEMBLES}
    for seed in range(40):
        score = excerpt(np.random.default_rng(seed), piece, np.random.default_rng(seed).random())
        playing = {track.instrument for track in score.tracks}
        if score.style in ("string duo", "string trio", "string quartet"):
            assert playing <= {"violin", "viola", "cello"}
            assert len(score.tracks) == {"duo": 2, "trio": 3, "quartet": 4}[score.style.split()[1]]
        else:
            assert playing <= players[score.style]
        assert score.style in STYLE_WORDS


def test_ensembles_know_their_players():
    for row in ENSEMBLES:
        assert all(INSTRUMENTS[name].lead for name in row.leads)
        assert all(name in INSTRUMENTS for name in (*row.inner, *row.bass))
        assert row.unison or (row.inner and row.bass)
        assert {pack for pack, _ in row.packs} <= set(PACK_WEIGHTS)
    rng = np.random.default_rng(0)
    assert {choose_ensemble(rng, "freedoom", 0.95).style for _ in range(30)} <= {
        "rock", "synth music", "chiptune", "cinematic"}  # fmt: skip
    assert choose_ensemble(rng, "another pack", 0.5).style in ("piano piece", "classical")


def test_pauses_are_refused(tmp_path):
    path = write_piece(tmp_path / "a.mid", bars=60)
    piece = read_piece(path, "mutopia_pd")
    piece.parts = [[n for n in part if n.start % 16 < 6] for part in piece.parts]
    with pytest.raises(ScoreError, match="no passage"):
        excerpt(np.random.default_rng(0), piece, 0.2)


def test_arousal_moves_the_tempo(tmp_path):
    piece = read_piece(write_piece(tmp_path / "a.mid", bars=60), "mutopia_pd")
    calm = [excerpt(np.random.default_rng(s), piece, 0.1).tempo_bpm for s in range(10)]
    wild = [excerpt(np.random.default_rng(s), piece, 0.9).tempo_bpm for s in range(10)]
    assert np.mean(wild) > np.mean(calm) + 40


def test_bad_files_are_refused(tmp_path):
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"not midi")
    with pytest.raises(ScoreError, match="not a readable MIDI file"):
        read_piece(broken, "freedoom")
    with pytest.raises(ScoreError, match="time signature of 5.0 beats"):
        read_piece(write_piece(tmp_path / "five.mid", numerator=5), "freedoom")
    with pytest.raises(ScoreError, match="too few notes"):
        read_piece(write_piece(tmp_path / "short.mid", bars=2), "freedoom")
    short = read_piece(write_piece(tmp_path / "b.mid", bars=6), "freedoom")
    with pytest.raises(ScoreError, match="shorter than one excerpt|no passage"):
        excerpt(np.random.default_rng(0), short, 1.0, subset="core")


def test_find_scores(tmp_path):
    (tmp_path / "mutopia_pd").mkdir()
    write_piece(tmp_path / "mutopia_pd" / "x.mid")
    assert find_scores(tmp_path) == {"mutopia_pd": [tmp_path / "mutopia_pd" / "x.mid"]}


def test_scores_to_midi_keeps_clips_apart():
    scores = [compose(np.random.default_rng(s), 0.5, 0.5, "p") for s in range(3)]
    midi = scores_to_midi(scores, 10.24)
    assert midi.ticks_per_beat == 500
    now, sounding = 0, 0
    for message in midi.tracks[0]:
        now += message.time
        if message.type == "note_on":
            sounding += 1
            assert (now / 1000) % (10.24 + GAP_IN_S) < 10.24
        elif message.type == "note_off":
            sounding -= 1
    assert sounding == 0
