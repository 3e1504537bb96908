"""MIDI files: scores come back, foreign files are understood, broken and hostile ones give one clear error."""

from __future__ import annotations

import io
import time

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melfusion_core.data.composer import compose
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.midi import (
    LARGEST_FILE_BYTES,
    MOST_TRACKS,
    TICKS_PER_BEAT,
    MidiError,
    midi_bytes,
    read_song,
    score_to_midi,
    song_to_score,
)
from melfusion_core.score.score import ROLES, Note, Score, Track, playable
from melfusion_core.score.synth import render_score
from tests.hostile.try_midi import crafted


def as_bytes(midi: mido.MidiFile) -> bytes:
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def one_track(*messages: mido.Message, ticks_per_beat: int = 480) -> bytes:
    midi = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    midi.tracks.append(mido.MidiTrack(messages))
    return as_bytes(midi)


def on(note: int, time: int = 0, velocity: int = 80, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, time=time, channel=channel)


def off(note: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("note_off", note=note, time=time, channel=channel)


def in_ticks(note: Note) -> tuple[int, int, int, int]:
    return round(note.start * TICKS_PER_BEAT), round(note.duration * TICKS_PER_BEAT), note.pitch, note.velocity


ticks = st.integers(0, 64 * TICKS_PER_BEAT)
notes = st.lists(
    st.builds(
        lambda start, length, pitch, velocity: Note(
            start / TICKS_PER_BEAT, length / TICKS_PER_BEAT, pitch, velocity
        ),
        ticks, st.integers(TICKS_PER_BEAT // 10, 8 * TICKS_PER_BEAT), st.integers(0, 127), st.integers(1, 127),
    ),
    min_size=1, max_size=12,
).map(playable).map(lambda kept: [n for n in kept if n.duration >= 0.05]).filter(bool)  # fmt: skip


@st.composite
def tracks(draw) -> Track:
    role = draw(st.sampled_from(ROLES))
    gain_db = draw(st.floats(-16, 8))
    if role == "drums":
        return Track("drums", draw(st.integers(0, 127)), draw(notes), True, role, gain_db)
    row = draw(st.sampled_from(list(INSTRUMENTS.values())))
    return Track(row.name, row.program, draw(notes), False, role, gain_db)


scores = st.builds(
    Score, st.lists(tracks(), min_size=1, max_size=18), st.floats(30, 250), st.sampled_from([3, 4]),
    st.integers(0, 11), st.sampled_from(["major", "minor"]), st.just(""), st.text("aé♥ _", max_size=9),
    st.just("midi"), st.integers(0, 9),
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(scores)
def test_scores_come_back(score):
    data = midi_bytes(score)
    assert data == midi_bytes(score)
    song = read_song(data)
    back = song_to_score(song, score.piece, score.seed)
    assert (back.tonic, back.mode, back.beats_per_bar) == (score.tonic, score.mode, score.beats_per_bar)
    assert back.tempo_bpm == pytest.approx(score.tempo_bpm, rel=1e-4)
    assert len(back.tracks) == len(score.tracks)
    for before, after in zip(score.tracks, back.tracks, strict=True):
        assert (after.instrument, after.program, after.role, after.is_drum) == (
            before.instrument, before.program, before.role, before.is_drum)  # fmt: skip
        assert after.gain_db == pytest.approx(before.gain_db, abs=1.0)  # the controller has 127 steps
        assert [in_ticks(n) for n in after.notes] == [in_ticks(n) for n in playable(before.notes)]


def test_composed_scores_come_back():
    for seed in range(6):
        score = compose(np.random.default_rng(seed), 0.4, 0.7, "p", 8.0, "full")
        back = song_to_score(read_song(midi_bytes(score)), "p")
        for before, after in zip(score.tracks, back.tracks, strict=True):
            written = playable(before.notes)
            assert [n.pitch for n in after.notes] == [n.pitch for n in written]
            gaps = [abs(a.start - b.start) for a, b in zip(after.notes, written, strict=True)]
            assert max(gaps) <= 0.5 / TICKS_PER_BEAT + 1e-9


def test_names_markers_and_ports():
    track = Track("piano", 0, [Note(0.0, 1.0, 60, 80)], role="chords")
    score = Score([track] * 33, 90.0, 3, 6, "minor", "", "Gnossienne ♥", "", 0)
    song = read_song(midi_bytes(score, [(0.0, "A"), (6.0, "Übergang")]))
    assert song.markers == [(0.0, "A"), (6.0, "Übergang")]
    assert [part.name for part in song.parts] == ["piano (chords)"] * 33
    assert song.keys == [(0.0, "F#m")] and song.time_signatures == [(0.0, 3, 4)]
    used = set()
    for part in score_to_midi(score).tracks[1:]:
        port = next((m.port for m in part if m.type == "midi_port"), 0)
        used.add((port, next(m.channel for m in part if m.type == "note_on")))
    assert len(used) == 33 and all(channel != 9 for _, channel in used)


def test_tempo_changes_keep_the_length():
    data = one_track(
        mido.MetaMessage("set_tempo", tempo=500_000), on(60),
        mido.MetaMessage("set_tempo", tempo=1_000_000, time=4 * 480), off(60, 4 * 480),
    )  # fmt: skip
    song = read_song(data)
    assert song.tempi == [(0.0, 120.0), (4.0, 60.0)] and song.beats == 8
    assert song.tempo_bpm == pytest.approx(80) and 8 * 60 / song.tempo_bpm == pytest.approx(4 * 0.5 + 4 * 1.0)
    assert read_song(one_track(on(60), off(60, 480))).tempo_bpm == 120
    late = one_track(on(60), mido.MetaMessage("set_tempo", tempo=1_000_000, time=480), off(60, 480))
    assert read_song(late).tempi == [(0.0, 120.0), (1.0, 60.0)]


def test_metres():
    def metre(*changes):
        messages = [mido.MetaMessage("time_signature", numerator=n, denominator=d, time=t) for t, n, d in changes]
        return read_song(one_track(on(60), *messages, off(60, 480 * 12))).beats_per_bar

    assert metre() == 4 and metre((0, 3, 4)) == 3 and metre((0, 6, 8)) == 3 and metre((0, 2, 2)) == 4
    assert metre((0, 4, 4), (480, 3, 4)) == 3, "the signature that holds longest counts"


def test_foreign_files_in_odd_shapes():
    missing_off = read_song(one_track(on(60), on(64, 480), off(64, 480)))
    assert [(n.pitch, n.start, n.duration) for n in missing_off.parts[0].notes] == [(64, 1.0, 1.0), (60, 0.0, 2.0)]
    zero = read_song(one_track(on(60), off(60), on(62, 480), off(62, 480)))
    assert zero.parts[0].notes[0].duration == 0.05
    again = read_song(one_track(on(60), on(60, 240), off(60, 240), off(60, 240)))
    assert [(n.start, n.duration) for n in again.parts[0].notes] == [(0.0, 0.5), (0.5, 0.5)]
    silent = read_song(one_track(on(60), on(60, 480, velocity=0)))
    assert [n.duration for n in silent.parts[0].notes] == [1.0]
    running = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 1, 224]) + b"MTrk" + bytes([0, 0, 0, 17])
    running += bytes([0, 0x90, 60, 80, 0x60, 60, 0, 0, 64, 80, 0x60, 64, 0, 0, 0xFF, 0x2F, 0])
    assert [n.pitch for n in read_song(running).parts[0].notes] == [60, 64]
    midi = mido.MidiFile()
    midi.tracks += [mido.MidiTrack(), mido.MidiTrack([on(60), off(60, 480)]), mido.MidiTrack()]
    assert len(read_song(as_bytes(midi)).parts) == 1


def test_the_pedal_holds_notes():
    pedal = [mido.Message("control_change", control=64, value=value, time=480) for value in (127, 0)]
    data = one_track(
        on(60), pedal[0], off(60), on(64), off(64, 48), on(64, 48), off(64, 48), pedal[1], on(65), off(65, 9)
    )
    held = sorted((n.pitch, n.start, n.duration) for n in read_song(data).parts[0].notes)
    assert held[0] == (60, 0.0, pytest.approx(2.3)) and held[1][:2] == (64, 1.0)
    assert held[1][2] == pytest.approx(0.2), "the same key ends a held note" and held[2][2] == pytest.approx(1.1)
    plain = sorted((n.pitch, n.start, n.duration) for n in read_song(data, pedal=False).parts[0].notes)
    assert plain[0] == (60, 0.0, 1.0)


def test_channels_of_one_track_are_parts():
    data = one_track(
        mido.Message("program_change", channel=1, program=33), on(72), on(40, channel=1), on(38, channel=9),
        off(72, 480), off(40, channel=1), off(38, channel=9),
    )  # fmt: skip
    score = song_to_score(read_song(data), "p")
    assert sorted((t.role, t.instrument, t.program) for t in score.tracks) == [
        ("bass", "electric bass", 33), ("drums", "drums", 0), ("lead", "piano", 0)]  # fmt: skip


def test_every_program_can_be_named_and_played():
    for program in (1, 5, 31, 37, 76, 96, 102, 113, 127):
        data = one_track(mido.Message("program_change", program=program), on(60), off(60, 480))
        score = song_to_score(read_song(data), "p")
        assert score.tracks[0].instrument in INSTRUMENTS and score.tracks[0].program == program
        assert np.abs(render_score(score).mix).max() > 0


def test_keys_are_read_or_heard():
    def key(*messages):
        score = song_to_score(read_song(one_track(*messages, *arpeggio)), "p")
        return score.key_name

    arpeggio = [m for pitch in (62, 65, 69, 74, 69, 65, 62, 64, 65, 67, 69) for m in (on(pitch), off(pitch, 480))]
    assert key(mido.MetaMessage("key_signature", key="Bbm")) == "Bb minor"
    assert key(mido.MetaMessage("key_signature", key="F#")) == "F# major"
    assert key(mido.MetaMessage("key_signature", key="Cb")) == "B major"
    assert key() == "D minor"


def test_broken_files(tmp_path):
    with pytest.raises(MidiError, match="There is no file"):
        read_song(tmp_path / "none.mid")
    good = one_track(on(60), off(60, 480))
    (tmp_path / "cut.mid").write_bytes(good[:-6])
    with pytest.raises(MidiError, match="cut.mid is not a readable MIDI file: it ends too early"):
        read_song(tmp_path / "cut.mid")
    for bad in (b"", b"MThd", b"RIFF" + good, good[:12], bytes(100)):
        with pytest.raises(MidiError, match="not a readable MIDI file"):
            read_song(bad)
    with pytest.raises(MidiError, match="has no notes"):
        read_song(one_track(mido.Message("program_change", program=1)))
    frames = bytearray(good)
    frames[12:14] = b"\xe7\x28"
    with pytest.raises(MidiError, match="film frames"):
        read_song(bytes(frames))


def test_hostile_files_cost_little():
    many = mido.MidiFile()
    many.tracks += [mido.MidiTrack([on(60), off(60, 1)]) for _ in range(MOST_TRACKS + 1)]
    long = one_track(on(60), off(60, 2**27), ticks_per_beat=96)
    slow = one_track(mido.MetaMessage("set_tempo", tempo=2**24 - 1), on(60), off(60, 480))
    fast = one_track(mido.MetaMessage("set_tempo", tempo=0), on(60), off(60, 480))
    wide = b"MThd" + bytes([0, 0, 0, 6, 0, 1, 0, 1, 1, 224]) + b"MTrk" + b"\x7f\xff\xff\xff\0\xff\x01\x7f"
    cases = {
        "at most 256 are read": as_bytes(many), "at most 8192 are read": long, "3.576 BPM, and 10 to 1000 are": slow,
        "6e\\+07 BPM": fast, "not a readable": wide, "MB are read": bytes(LARGEST_FILE_BYTES + 1),
    }  # fmt: skip
    for message, data in cases.items():
        began = time.process_time()
        with pytest.raises(MidiError, match=message):
            read_song(data)
        assert time.process_time() - began < 2


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_gives_a_score_or_one_error(data):
    whole = bytearray(midi_bytes(compose(np.random.default_rng(0), 0.5, 0.5, "p", 2.0)))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        score = song_to_score(read_song(damaged), "p")
    except MidiError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
    else:
        assert score.tracks and all(0 <= n.pitch <= 127 and n.duration > 0 for t in score.tracks for n in t.notes)


def test_a_file_without_its_last_note_off_ends():
    data = one_track(on(60), off(60, 480), on(64, 0), mido.MetaMessage("end_of_track", time=960))
    [part] = read_song(data).parts
    assert [(note.pitch, note.start, note.duration) for note in part.notes] == [(60, 0.0, 1.0), (64, 1.0, 2.0)]
    sound = render_score(song_to_score(read_song(data), "p"), sample_rate=16000).mix
    assert np.isfinite(sound).all() and sound.shape[-1] < 12 * 16000
    assert np.abs(sound[..., -160:]).max() < 0.01 * np.abs(sound).max(), "it rings out"


def test_an_endless_wait_is_an_error():
    with pytest.raises(MidiError, match="waits between its notes that never end"):
        read_song(dict(crafted())["long-delta"])


def test_a_zero_length_note_and_an_empty_track_export():
    lead = Track("piano", 0, [Note(0.0, 0.0, 60, 80), Note(1.0, 1.0, 62, 80)], False, "lead")
    empty = Track("cello", 42, [], False, "bass")
    score = Score([lead, empty], 120.0, 4, 0, "major", "folk", "p", "composer", 1)
    song = read_song(midi_bytes(score))
    [part] = song.parts
    assert [(note.pitch, note.duration > 0) for note in part.notes] == [(60, True), (62, True)]
    assert len(mido.MidiFile(file=io.BytesIO(midi_bytes(score))).tracks) == 3
    sound = render_score(score, sample_rate=16000)
    assert np.isfinite(sound.mix).all() and np.abs(sound.mix).max() > 0
