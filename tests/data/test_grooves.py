"""Swing and human drum performances; the balance of an ensemble."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from melfusion_core.data.composer import compose
from melfusion_core.data.grooves import load_grooves, swing_beat, swing_notes
from melfusion_core.score.mixing import ROLE_DB, balance
from melfusion_core.score.score import Note, Track

HEAD = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split\n"


@pytest.fixture
def folder(tmp_path):
    rows = []
    for number, (style, split) in enumerate((("rock", "train"), ("rock/halftime", "test"), ("jazz", "train"))):
        midi, track = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack()
        midi.tracks.append(track)
        for beat in range(32):
            track.append(mido.Message("note_on", channel=9, note=22, velocity=70, time=12 if beat == 0 else 470))
            track.append(mido.Message("note_on", channel=9, note=36 + 2 * (beat % 2), velocity=90, time=10))
        midi.save(tmp_path / f"d1_s1_{number}.mid")
        rows.append(f"d1,d1/s1,d1/s1/{number},{style},120,beat,4-4,d1/s1/{number}.mid,,16.0,{split}\n")
    rows.append("d1,d1/s1,x,rock,120,fill,4-4,d1/s1/0.mid,,2.0,train\n")
    rows.append("d1,d1/s1,x,rock,120,beat,4-4,missing.mid,,2.0,train\n")
    (tmp_path / "info.csv").write_text(HEAD + "".join(rows))
    return tmp_path


def test_swing():
    assert swing_beat(0.5, 0.667, 0.5) == pytest.approx(0.667)
    assert swing_beat(1.25, 0.6, 0.25) == pytest.approx(1.3)
    for beat in (0.0, 1.0, 2.0, 3.0):
        assert swing_beat(beat, 0.7, 0.5) == beat
    notes = swing_notes([Note(0.0, 0.5, 60, 80), Note(0.5, 0.5, 62, 80)], 0.667, 0.5, delay=0.02)
    assert notes[0].start == 0.0 and notes[1].start == pytest.approx(0.687)


def test_performances_are_found_and_cut(folder):
    grooves = load_grooves(folder)
    assert [p.style for p in grooves.performances] == ["rock", "rock/halftime", "jazz"]
    assert [p.style for p in grooves.part("test").performances] == ["rock/halftime"]
    rng = np.random.default_rng(0)
    notes = grooves.draw(rng, ("rock",), 4, 110.0, 6)
    assert notes is not None and min(n.start for n in notes) < 0.05 and max(n.start for n in notes) < 24
    assert {n.pitch for n in notes} == {42, 36, 38}  # the hat's edge becomes a closed hat
    looped = grooves.draw(rng, ("jazz",), 4, 120.0, 12)
    assert looped is not None and max(n.start for n in looped) > 44
    assert grooves.draw(rng, ("polka",), 4, 120.0, 4) is None
    assert grooves.draw(rng, ("rock",), 3, 120.0, 4) is None
    assert grooves.draw(rng, ("rock",), 4, 200.0, 4) is None
    assert grooves.draw(rng, (), 4, 120.0, 4) is None
    with pytest.raises(FileNotFoundError):
        load_grooves(folder / "nowhere")


def test_the_composer_uses_them(folder):
    grooves = load_grooves(folder)
    human = 0
    for seed in range(40):
        score = compose(np.random.default_rng(seed), 0.5, 0.9, "p", subset="full", grooves=grooves)
        again = compose(np.random.default_rng(seed), 0.5, 0.9, "p", subset="full", grooves=grooves)
        assert score == again
        drums = [t for t in score.tracks if t.is_drum]
        human += bool(drums) and any(abs(n.start * 12 - round(n.start * 12)) > 0.1 for n in drums[0].notes)
    assert human >= 1


def test_balance_puts_the_tune_in_front():
    def notes(velocity, voices):
        return [Note(i, 1.0, 60 + v, velocity) for i in range(8) for v in range(voices)]

    tracks = [
        Track("flute", 73, notes(90, 1), role="lead"),
        Track("piano", 0, notes(60, 1), role="chords"),
        Track("piano", 0, notes(60, 4), role="chords"),
        Track("drums", 0, notes(90, 1), is_drum=True, role="drums"),
    ]
    balance(tracks)
    assert tracks[1].gain_db == pytest.approx(tracks[2].gain_db + 10 * np.log10(4), abs=0.01)
    assert all(-16 <= t.gain_db <= 8 for t in tracks) and max(ROLE_DB.values()) == ROLE_DB["lead"]
