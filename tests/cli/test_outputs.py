"""What `melfusion generate` writes: never over another file without a word, all of it or nothing."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from melfusion_core.cli import main, takes
from tests.score_pipeline import make_score_pipeline

NOTES = ("--prompt", "folk in 4/4", "--tempo", "120", "--bars", "1", "--seed", "7", "--steps", "1")


@pytest.fixture(scope="module")
def notes_folder(minilm, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("models") / "notes"
    make_score_pipeline(minilm).save_pretrained(target)
    return target


@pytest.fixture
def generate(notes_folder, monkeypatch, tmp_path):
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    return lambda *flags: main(["generate", *map(str, flags), "--model", str(notes_folder), "--device", "cpu"])


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().iterdir()}


@pytest.fixture
def no_model(monkeypatch):
    """Loading a model is a mistake: what is refused is refused before."""
    monkeypatch.setattr(takes, "load_pipeline", lambda *_: pytest.fail("the model was loaded"))


@pytest.mark.parametrize("there", ["package.wav", "package.json", "package.mid", "package-bass.wav"])
def test_no_file_is_replaced_without_force(there, generate, no_model, capsys):
    Path(there).write_text("mine")
    assert generate(*NOTES, "--midi", "--stems", "--out", "package.wav") == 2
    assert capsys.readouterr().err == f"melfusion: {there} exists already; --force replaces it.\n"
    assert files() == {there: b"mine"}


@pytest.mark.parametrize("there", ["p-text-only.wav", "p-text-only.json", "p-spectrogram.png"])
def test_a_comparison_replaces_nothing_either(there, generate, no_model, photo):
    Path(there).write_text("mine")
    assert generate("--image", photo, "--prompt", "x", "--seed", "1", "--compare", "--out", "p.wav") == 2
    assert files() == {there: b"mine"}


def test_a_folder_of_that_name_is_refused_before_the_work(generate, no_model, capsys):
    for name in ("out.wav", "other.json"):
        Path(name).mkdir()
        assert generate(*NOTES, "--force", "--out", Path(name).with_suffix(".wav")) == 2
        assert f"{name} is a folder." in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {"out.wav", "other.json"}


def test_force_replaces_and_names_are_drawn_around_what_is_there(generate, capsys):
    flags = (*NOTES, "--midi")
    Path("folk-in-4-4-seed7.mid").write_text("mine")
    assert generate(*flags) == 0
    written = capsys.readouterr().out.split()
    assert len(written) == 3 and all("-2." in name for name in written)
    assert Path("folk-in-4-4-seed7.mid").read_text() == "mine"
    before = files()
    assert generate(*flags, "--out", written[0]) == 2
    assert files() == before
    Path(written[2]).write_text("old")
    assert generate(*flags, "--out", written[0], "--force") == 0
    assert Path(written[2]).read_bytes() == before[written[2]]


@pytest.mark.parametrize("broken", ["write_sidecar", "embed_in_file", "midi_bytes", "replace"])
def test_after_a_failure_all_is_as_it_was(broken, generate, monkeypatch, capsys):
    Path("out.json").write_text("old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    moved = []

    def second_move_fails(source, target):
        moved.append(target)
        return full() if len(moved) > 1 and str(target).startswith("out") else real(source, target)

    real = os.replace
    if broken == "replace":
        monkeypatch.setattr(takes.os, "replace", second_move_fails)
    else:
        monkeypatch.setattr(takes, broken, full)
    assert generate(*NOTES, "--midi", "--stems", "--out", "out.wav", "--force") == 1
    assert capsys.readouterr().err == "melfusion: out.wav could not be written: the disk is full.\n"
    left = {path.name for path in Path().iterdir()}
    # A file that was to be replaced may have been, by a whole new one; no other is left.
    assert left == {"out.json"}


def test_interruption_leaves_nothing(generate, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(takes, "write_stems", interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        assert generate(*NOTES, "--stems", "--out", "out.wav") == 130
    assert files() == {}


def test_weights_that_are_no_numbers_are_said_and_nothing_is_written(generate, monkeypatch, capsys):
    rendered = takes.render

    def broken(*arguments):
        made = rendered(*arguments)
        next(iter(made.values())).audio[..., 5] = float("nan")
        return made

    monkeypatch.setattr(takes, "render", broken)
    assert generate(*NOTES, "--out", "out.wav") == 1
    assert "gave samples that are not numbers: nothing was written." in capsys.readouterr().err
    assert files() == {}


@pytest.mark.parametrize(
    "command",
    [
        ["corpus", "build", "--clips", "1"],
        ["corpus", "scores", "--sections", "1"],
        ["corpus", "listen", "."],
        ["evaluate", "."],
        ["bench"],
        ["soak"],
        ["train", "music", "--data", "x", "--max-steps", "1"],
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(command, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "out", Path("/proc/none/out")):
        with contextlib.suppress(SystemExit):  # argparse's way
            assert main([*command, "--out", str(place)]) in (1, 2)
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and str(place.parents[0]) in said or "proc" in said, said
