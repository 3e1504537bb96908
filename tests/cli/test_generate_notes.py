"""`melfusion generate` on a tiny model that makes notes: directions, MIDI, stems, recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from melfusion_core.cli import main
from melfusion_core.cli.directing import parse_curve
from melfusion_core.cli.options import CommandError
from melfusion_core.recipe import read_from_file
from melfusion_core.score.midi import midi_bytes, read_song, song_to_score
from melfusion_core.score.roles import one_track_a_role
from melfusion_core.score.score import Note, Score, Track
from tests.score.test_humming import hum
from tests.score_pipeline import make_score_pipeline

TOLD = ["--prompt", "folk in 4/4", "--tempo", "120", "--bars", "3", "--seed", "7", "--steps", "2"]


@pytest.fixture(scope="module")
def folder(tiny_text, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("models") / "notes"
    make_score_pipeline(tiny_text).save_pretrained(target)
    return target


@pytest.fixture
def generate(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *flags: main(["generate", *map(str, flags), "--model", str(folder), "--device", "cpu"])


def test_notes_stems_and_recipe(generate, tmp_path, capsys):
    flags = ["--chords", "Am F | C G", "--part", "drums=off", "--part", "lead=flute", "--arousal", "0:0.2,12:0.9"]
    assert generate(*TOLD, *flags, "--midi", "--stems", "--out", "out.wav") == 0
    written = capsys.readouterr().out.split()
    assert written[:3] == ["out.wav", "out.json", "out.mid"]
    whole, rate = soundfile.read("out.wav", always_2d=True)
    assert rate == 44100 and whole.shape[1] == 2 and len(whole) >= 6 * rate
    stems = [soundfile.read(name, always_2d=True)[0] for name in written[3:]]
    assert "out-lead.wav" in written and "out-drums.wav" not in written
    assert np.abs(sum(stems) - whole).max() < len(stems) / 32768
    midi = mido.MidiFile("out.mid")
    tempi = [message.tempo for track in midi.tracks for message in track if message.type == "set_tempo"]
    assert tempi == [500_000]
    recipe = read_from_file(Path("out.wav"))
    assert recipe.direction["parts"] == {"drums": "off", "lead": "flute"} and len(recipe.direction["chords"]) == 12
    assert recipe.bars == 3 and len(recipe.sounds_sha256) == 64
    assert generate("--recipe", "out.json", "--midi", "--out", "again.wav") == 0
    np.testing.assert_array_equal(soundfile.read("again.wav")[0], soundfile.read("out.wav")[0])
    assert Path("again.mid").read_bytes() == Path("out.mid").read_bytes()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--part", "lead"], "write ROLE=INSTRUMENT"),
        (["--part", "lead=kazoo"], "lead cannot be"),
        (["--part", "choir=off"], "no part"),
        (["--chords", "Am What"], "is no chord"),
        (["--style", "polka"], "there is no style"),
        (["--arousal", "loud"], "is no curve"),
        (["--arousal", "0:0.2,4:7"], "must be from 0 to 1"),
        (["--swing", "0.9"], "swing must be"),
        (["--key", "H minor"], "is no key"),
        (["--recipe", "x.json", "--style", "jazz"], "leave out"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_words(generate, capsys, flags, message):
    prompt = [] if "--recipe" in flags else TOLD
    assert generate(*prompt, *flags, "--out", "out.wav") == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not Path("out.wav").exists()


def a_song() -> Score:
    """Two bars of a tune with two parts that both want to be chords, a bass and drums."""
    tune = [Note(float(b), 0.5, 60 + 2 * b, 90) for b in range(8)]
    chords = [Note(4.0 * bar, 3.0, pitch, 70) for bar in range(2) for pitch in (48, 52, 55)]
    strings = [Note(4.0 * bar + 1, 2.0, pitch, 60) for bar in range(2) for pitch in (64, 67)]
    tracks = [
        Track("oboe", 68, tune, role="lead"),
        Track("piano", 0, chords, role="chords"),
        Track("strings", 48, strings, role="chords"),
        Track("drums", 0, [Note(float(b), 0.25, 36, 90) for b in range(8)], True, "drums"),
    ]
    return Score(tracks, 96.0, 4, 0, "major", "", "song", "test", 1)


def sounding(path: str, part: str) -> list[tuple]:
    score = song_to_score(read_song(Path(path)), "p")
    return [(n.start, n.pitch) for track in score.tracks if track.role == part for n in track.notes]


def test_a_melody_is_kept_and_goes_on(generate):
    Path("song.mid").write_bytes(midi_bytes(a_song()))
    kept = ["--prompt", "music", "--piece", "song.mid", "--seed", "3", "--steps", "2", "--midi"]
    assert generate(*kept, "--keep", "lead,drums", "--out", "out.wav") == 0
    assert sounding("out.mid", "lead") == sounding("song.mid", "lead")
    assert sounding("out.mid", "drums") == sounding("song.mid", "drums")
    assert generate(*kept, "--after", "2", "--before", "1", "--out", "long.wav") == 0
    middle = [(start - 4, pitch) for start, pitch in sounding("long.mid", "lead") if 4 <= start < 12]
    assert middle == sounding("song.mid", "lead")
    chords = sounding("song.mid", "chords")
    assert [(s - 4, p) for s, p in sounding("long.mid", "chords") if 4 <= s < 12] == [x for x in chords if x[1] < 60]
    assert generate("--recipe", "long.json", "--midi", "--out", "again.wav") == 0
    assert Path("again.mid").read_bytes() == Path("long.mid").read_bytes()


def test_a_hummed_tune_is_accompanied(generate, capsys):
    tune = [(0.6 * k, 0.5, pitch) for k, pitch in enumerate((60.0, 62.0, 64.0, 67.0, 60.0))]
    soundfile.write("hum.wav", hum(tune, 1), 22050)
    flags = ["--melody", "hum.wav", "--tempo", "100", "--prompt", "music with oboe", "--seed", "1", "--steps", "2"]
    assert generate(*flags, "--midi", "--out", "out.wav") == 0
    assert "100 BPM in C major: C4 D4 E4 G4 C4" in capsys.readouterr().err
    assert sounding("out.mid", "lead") == [(float(k), pitch) for k, (_, _, pitch) in enumerate(tune)]
    lead = song_to_score(read_song(Path("out.mid")), "p").lead
    assert lead.instrument == "oboe"
    Path("song.mid").write_bytes(midi_bytes(a_song()))
    quick = ["--prompt", "x", "--seed", "1", "--steps", "1"]
    assert generate("--melody", "song.mid", *quick, "--midi", "--out", "b.wav") == 0
    assert sounding("b.mid", "lead") == sounding("song.mid", "lead") != sounding("b.mid", "drums")
    soundfile.write("noise.wav", np.zeros(22050), 22050)
    assert generate("--melody", "noise.wav", "--prompt", "x", "--out", "c.wav") == 2
    assert "no sound to find a tune in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--keep", "lead"], "need a piece"),
        (["--piece", "song.mid", "--melody", "song.mid"], "not both"),
        (["--piece", "none.mid", "--keep", "lead"], "none.mid"),
        (["--piece", "song.mid"], "Say what to compose anew"),
        (["--piece", "song.mid", "--keep", "lead", "--redo", "bass"], "not both"),
        (["--piece", "song.mid", "--keep", "flute"], "no part flute"),
        (["--piece", "song.mid", "--redo", "flute"], "no part flute"),
        (["--piece", "song.mid", "--redo-bars", "2-9"], "bars 2 to 9"),
        (["--piece", "song.mid", "--redo-bars", "two"], "no span of bars"),
        (["--piece", "song.mid", "--after", "-1"], "0 or more"),
        (["--piece", "song.mid", "--after", "1", "--keep-chords"], "all of them stay"),
        (["--piece", "song.mid", "--redo", ","], "Say what to compose anew"),
        (["--piece", "song.mid", "--keep", "lead", "--metre", "3"], "its metre cannot become 3"),
        (["--piece", "song.mid", "--after", "90"], "bars must be from 1 to 64"),
    ],
)
def test_what_cannot_be_reworked_is_refused_in_words(generate, capsys, flags, message):
    Path("song.mid").write_bytes(midi_bytes(a_song()))
    assert generate("--prompt", "music", "--seed", "1", "--steps", "1", *flags, "--out", "out.wav") == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not Path("out.wav").exists()


def test_every_role_gets_one_track_and_no_note_is_lost():
    single = one_track_a_role(a_song())
    assert [track.role for track in single.tracks] == ["lead", "chords", "pad", "drums"]
    crowd = replace(a_song(), tracks=[replace(t, role="bass") if t.role == "chords" else t for t in a_song().tracks])
    joined = one_track_a_role(crowd)
    assert [track.role for track in joined.tracks] == ["lead", "bass", "drums"]
    assert sum(len(track.notes) for track in joined.tracks) == sum(len(track.notes) for track in crowd.tracks)


@pytest.mark.parametrize(
    "flags", [["--bars", "4"], ["--key", "A minor"], ["--midi"], ["--stems"], ["--style", "jazz"]]
)
def test_a_model_that_paints_spectrograms_takes_no_notes(model_folder, tmp_path, monkeypatch, capsys, flags):
    monkeypatch.chdir(tmp_path)
    command = ["generate", "--model", str(model_folder), "--prompt", "piano", "--steps", "1", "--device", "cpu"]
    assert main([*command, *flags, "--out", "out.wav"]) == 2
    assert "notes" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_curves():
    assert parse_curve("arousal", None) == ()
    assert parse_curve("arousal", "0.5") == ((0.0, 0.5),)
    assert parse_curve("arousal", "0:0.2,8:1") == ((0.0, 0.2), (8.0, 1.0))
    with pytest.raises(CommandError):
        parse_curve("arousal", "a:b")
