"""Bad input and trouble: one line on stderr, and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import resource
from pathlib import Path

import pytest
import torch
from PIL import Image

from melfusion_core.cli import generate, main, options, takes
from melfusion_core.cli.options import CommandError
from melfusion_core.recipe import read_from_file
from melfusion_core.take import KNOBS, TakeSettings
from tests.core.test_recipe import make_recipe


def exit_code(*arguments: str | Path) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse
        return stop.code


def one_line(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--duration", "nan"], "--duration: must be a number from 1 to 30.72, not nan"),
        (["--duration", "inf"], "must be a number"),
        (["--duration", "0"], "must be a number"),
        (["--duration", "ten"], "'ten' is not a number"),
        (["--guidance", "-1"], "must be a number from 0 to 50"),
        (["--synapse-strength", "2.5"], "must be a number from 0 to 2"),
        (["--steps", "0"], "must be from 1 to 1000"),
        (["--steps", "2.5"], "not a whole number"),
        (["--seed", "-1"], "must be from 0"),
        (["--seed", "1" * 5000], "not a whole number"),
        (["--prompt", "la " * 3334], "at most 1,000 are accepted"),
        (["--sampler", "euler"], "invalid choice"),
        (["--prompt", ""], "give --image, --prompt, or both"),
        (["--prompt", "   "], "give --image, --prompt, or both"),
        (["--prompt", "flute", "--compare"], "--compare needs a picture"),
        (["--prompt", "flute", "--out", "out.ogg"], "--out must end in .wav, .flac, .mp3"),
        (["--prompt", "flute", "--out", "no/such/folder/out.wav"], "does not exist"),
        (["--prompt", "flute", "--model", "no-such-model"], "There is no model in no-such-model"),
        (["--image", "no-such.jpg"], "There is no picture at no-such.jpg"),
        (["--recipe", "no-such.json"], "There is no file no-such.json"),
        (["--recipe", "no-such.wav"], "There is no file no-such.wav"),
    ],
)
def test_bad_input(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert exit_code("generate", *arguments) == 2
    assert message in one_line(capsys)


def test_file_that_is_no_picture(tmp_path, capsys):
    text = tmp_path / "photo.jpg"
    text.write_text("not a picture")
    assert exit_code("generate", "--image", text) == 2
    assert "photo.jpg is not a picture" in one_line(capsys)
    damaged = tmp_path / "damaged.png"
    Image.effect_noise((64, 64), 50).save(damaged)
    damaged.write_bytes(damaged.read_bytes()[:600])
    assert exit_code("generate", "--image", damaged) == 2
    assert "damaged" in one_line(capsys)


def test_folder_without_a_model_index(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert exit_code("generate", "--prompt", "flute", "--seed", "1", "--model", tmp_path) == 2
    assert "no model_index.json" in one_line(capsys)


def test_unknown_device(model_folder, capsys):
    arguments = ("--prompt", "flute", "--seed", "1", "--model", model_folder, "--device", "abacus")
    assert exit_code("generate", *arguments) == 2
    assert "The device 'abacus' cannot be used" in one_line(capsys)


def test_recipe_without_a_recipe(tmp_path, capsys):
    (tmp_path / "r.json").write_text('{"version": 1, "prompt": 3}')
    assert exit_code("generate", "--recipe", tmp_path / "r.json") == 2
    assert "The recipe lacks duration_s" in one_line(capsys)


def test_an_unexpected_error_shows_its_traceback_only_when_asked(monkeypatch, capsys):
    def fail(args):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(generate, "_run", fail)
    assert exit_code("generate", "--prompt", "flute") == 1
    assert "Unexpected ZeroDivisionError: division by zero" in one_line(capsys)
    assert exit_code("--debug", "generate", "--prompt", "flute") == 1
    assert "Traceback" in capsys.readouterr().err


def test_interruption(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "_run", interrupt)
    assert exit_code("generate", "--prompt", "flute") == 130
    assert one_line(capsys) == "Stopped.\n"


@contextlib.contextmanager
def largest_file(size: int):
    """Let no file grow beyond a size: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_full_disk_is_reported_and_leaves_nothing(suffix, tmp_path):
    waveform = torch.rand(32000, generator=torch.Generator().manual_seed(0)) - 0.5
    path = tmp_path / f"out{suffix}"
    with largest_file(20_000), pytest.raises(CommandError, match=f"out{suffix} could not be written") as caught:
        with takes.placing(path) as folder:
            takes.write_take(folder / path.name, waveform, make_recipe())
    assert caught.value.code == 1
    assert list(tmp_path.iterdir()) == []
    with takes.placing(path) as folder:
        takes.write_take(folder / path.name, waveform, make_recipe())
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted(["out.json", path.name])
    assert read_from_file(path) == make_recipe()


def test_write_errors_in_words():
    full = takes.write_error(Path("a.wav"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(full) == "a.wav could not be written: the disk is full."
    assert full.code == 1
    denied = takes.write_error(Path("a.wav"), OSError(errno.EACCES, "Permission denied"))
    assert "Permission denied" in str(denied)


def test_gain_is_used_only_where_it_is_needed():
    quiet, loud = torch.tensor([0.5, -0.5]), torch.tensor([0.1, -1.7])
    assert takes.safe_gain_db([quiet]) == 0.0
    assert takes.apply_gain(quiet, 0.0) is quiet
    gain_db = takes.safe_gain_db([quiet, loud])
    peak = float(takes.apply_gain(loud, gain_db).abs().max())
    assert 0.96 < peak < 1.0
    assert takes.safe_gain_db([torch.zeros(4)]) == 0.0


def test_every_setting_has_a_flag_with_its_default_and_its_limits():
    parser = argparse.ArgumentParser()
    options.add_settings(parser)
    assert TakeSettings(**options.given_settings(parser.parse_args([]))) == TakeSettings()
    for name, knob in KNOBS.items():
        value = str(knob.choices[-1] if knob.choices else "drums" if knob.kind is str else knob.high)
        given = options.given_settings(parser.parse_args([f"--{knob.flags[-1]}", value]))
        assert str(given[name]) == value and given[name] == getattr(TakeSettings(**given), name)


def test_command_error_carries_a_code():
    assert CommandError("x").code == 2
    assert CommandError("x", code=1).code == 1
