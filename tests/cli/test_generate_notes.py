"""`melfusion generate` on a tiny model that makes notes: directions, MIDI, stems, recipes."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from melfusion_core.cli import main
from melfusion_core.cli.directing import parse_curve
from melfusion_core.cli.options import CommandError
from melfusion_core.recipe import read_from_file
from tests.score_pipeline import make_score_pipeline

TOLD = ["--prompt", "folk in 4/4", "--tempo", "120", "--bars", "3", "--seed", "7", "--steps", "2"]


@pytest.fixture(scope="module")
def folder(minilm, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("models") / "notes"
    make_score_pipeline(minilm).save_pretrained(target)
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
