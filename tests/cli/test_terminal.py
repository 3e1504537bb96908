"""What reaches the terminal: one plain line, whatever the files and arguments say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import app
from demo import votes
from melfusion_core.cli import main
from melfusion_core.recipe import RecipeError
from melfusion_core.terminal import MAX_LINE_CHARACTERS, plain_line
from tests.core.test_recipe import make_recipe
from tests.test_imports import ROOT

ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202e\u2028\x9b31m"


def said(capsys, *arguments: str) -> str:
    try:
        main(list(arguments))
    except SystemExit:
        pass
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and text.rstrip("\n").isprintable() and len(text) <= MAX_LINE_CHARACTERS + 1
    return text


def test_a_line_is_printable_and_short():
    assert plain_line("a\x1b[31mb\nc") == "a?[31mb?c"
    assert plain_line("é雨 ok") == "é雨 ok"
    assert len(plain_line("x" * 50_000)) == MAX_LINE_CHARACTERS


@pytest.mark.parametrize("key", ["prompt", "model_name", "render", "device", "version", ESCAPE])
def test_recipes_do_not_write_to_the_terminal(key, tmp_path, capsys):
    recipe = make_recipe().to_dict() | {key: ESCAPE * 300}
    (tmp_path / "r.json").write_text(json.dumps(recipe))
    said(capsys, "generate", "--recipe", str(tmp_path / "r.json"))


def test_messages_about_recipes_are_plain_and_short():
    assert str(RecipeError(f"{ESCAPE}{'x' * 40_000}")).isprintable()
    assert len(str(RecipeError("x" * 40_000))) <= 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--steps", ESCAPE],
        ["generate", "--prompt", "x" * 40_000],
        ["generate", "--image", f"{ESCAPE}.png"],
        ["generate", ESCAPE],
        [ESCAPE],
        ["train", ESCAPE],
        ["train", "music", "--no-such-flag"],
        ["train", "music", "--data", "x", "--out", "y", "--learning-rate", "inf", "--max-steps", "1"],
        ["train", "codec", "--data", "x", "--out", "y", "--max-minutes", "nan"],
    ],
)
def test_bad_arguments_are_told_in_one_line(arguments, capsys):
    assert "melfusion" in said(capsys, *arguments)


@pytest.mark.parametrize(
    ("run", "flags"),
    [(app.main, ["--port", "x"]), (app.main, ["--nonsense"]), (votes.main, []), (votes.main, ["a", "b"])],
)
def test_the_studio_too_tells_in_one_line(run, flags, capsys):
    with pytest.raises(SystemExit):
        run(flags)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_caption_that_is_no_text_is_told_in_one_line(tmp_path):
    command = [sys.executable, "-m", "melfusion_core.cli", "generate", "--prompt", b"piano \xff"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"not valid text" in done.stderr


def test_a_name_that_is_no_folder_is_said_before_any_network(tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.chdir(tmp_path)
    asked = []

    def offline(repo, **_):
        asked.append([record.getMessage() for record in caplog.records])
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    assert main(["generate", "--prompt", "x", "--seed", "1", "--model", "checkpoints/mine"]) == 1
    assert asked == [[
        "There is no folder checkpoints/mine: looking for a repository of that name on the Hugging Face Hub."
    ]]  # fmt: skip
    assert "could not be had from the Hugging Face Hub" in capsys.readouterr().err
    assert main(["generate", "--prompt", "x", "--seed", "1", "--model", "mine"]) == 2
    assert len(asked) == 1, "what cannot be a repository is never looked for"
