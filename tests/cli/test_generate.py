"""`melfusion generate` on a tiny model: files, recipes, reproduction."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from melfusion_core.cli import main
from melfusion_core.recipe import checkpoint_sha256, read_from_file

RATE = 800
QUICK = ["--steps", "2", "--duration", "1.5"]


@pytest.fixture
def generate(model_folder, monkeypatch, tmp_path):
    """Run the command in an own folder; give the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, quick: bool = True) -> int:
        command = ["generate", *map(str, arguments), "--model", str(model_folder), "--device", "cpu"]
        return main(command + (QUICK if quick else []))

    return run


def samples(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return audio


def test_the_program_makes_a_take_and_its_recipe_makes_it_again(generate, model_folder, photo, tmp_path):
    command = [sys.executable, "-m", "melfusion_core.cli", "generate", "--model", str(model_folder), "--device", "cpu"]
    settings = ["--image", photo.name, "--prompt", "slow solo piano", "--seed", "7", "--out", "out.wav", *QUICK]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    result = subprocess.run(command + settings, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["out.wav", "out.json"]
    assert result.stderr == ""
    assert len(samples(tmp_path / "out.wav")) == 1.5 * RATE
    # In another process, from either file.
    for source in ("out.json", "out.wav"):
        assert generate("--recipe", source, "--out", "again.wav", "--force", quick=False) == 0
        np.testing.assert_array_equal(samples(tmp_path / "out.wav"), samples(tmp_path / "again.wav"))


def test_recipe_says_everything(generate, model_folder, photo, tmp_path):
    assert generate("--image", photo, "--prompt", " slow piano ", "--seed", 7, "--out", "out.flac") == 0
    recipe = read_from_file(tmp_path / "out.flac")
    assert recipe == read_from_file(tmp_path / "out.json")
    assert recipe.prompt == "slow piano"
    assert (recipe.seed, recipe.num_inference_steps, recipe.duration_s) == (7, 2, 1.5)
    assert (recipe.image_name, recipe.image_path) == ("my photo.png", "my photo.png")
    assert (recipe.model_name, recipe.model_sha256) == ("tiny", checkpoint_sha256(model_folder))
    assert recipe.sample_rate == RATE and recipe.device == "cpu" and recipe.render == "single"
    assert recipe.gain_db <= 0.0
    assert "torch" in recipe.library_versions
    assert not list(tmp_path.glob(".*"))


def test_picture_and_seed_change_the_music(generate, photo, other_photo, tmp_path):
    prompt = ("--prompt", "drums")
    assert generate(*prompt, "--image", photo, "--seed", 1, "--out", "a.wav") == 0
    assert generate(*prompt, "--image", other_photo, "--seed", 1, "--out", "b.wav") == 0
    assert generate(*prompt, "--image", photo, "--seed", 2, "--out", "c.wav") == 0
    takes = [samples(tmp_path / f"{name}.wav") for name in "abc"]
    assert (takes[0] != takes[1]).any() and (takes[0] != takes[2]).any()


def test_compare_writes_both_takes_and_one_figure(generate, photo, tmp_path, capsys):
    assert generate("--image", photo, "--prompt", "flute", "--seed", 3, "--out", "out.wav", "--compare") == 0
    written = capsys.readouterr().out.split()
    assert written == ["out.wav", "out.json", "out-text-only.wav", "out-text-only.json", "out-spectrogram.png"]
    with Image.open("out-spectrogram.png") as figure:
        assert figure.width > 500
    with_image, text_only = samples(Path("out.wav")), samples(Path("out-text-only.wav"))
    assert (with_image != text_only).any()
    # Either half is made again from its own recipe.
    for name in ("out", "out-text-only"):
        assert generate("--recipe", f"{name}.wav", "--out", "again.wav", "--force", quick=False) == 0
        np.testing.assert_array_equal(samples(Path("again.wav")), samples(Path(f"{name}.wav")))
    assert read_from_file("out.wav").gain_db == read_from_file("out-text-only.wav").gain_db


def test_text_only_leaves_the_picture_out(generate, photo, tmp_path):
    assert generate("--image", photo, "--prompt", "flute", "--seed", 3, "--out", "a.wav", "--text-only") == 0
    assert generate("--prompt", "flute", "--seed", 3, "--out", "b.wav") == 0
    assert generate("--image", photo, "--prompt", "flute", "--seed", 3, "--out", "c.wav", "--synapse-strength", 0) == 0
    np.testing.assert_array_equal(samples(tmp_path / "a.wav"), samples(tmp_path / "b.wav"))
    np.testing.assert_array_equal(samples(tmp_path / "a.wav"), samples(tmp_path / "c.wav"))
    assert read_from_file(tmp_path / "a.wav").image_sha256 is None


def test_picture_alone_gets_a_name_and_a_seed(generate, photo, capsys):
    assert generate("--image", photo) == 0
    captured = capsys.readouterr()
    seed = captured.err.split()[1]
    assert captured.out.split() == [f"my-photo-seed{seed}.wav", f"my-photo-seed{seed}.json"]


def test_a_named_take_is_never_overwritten(generate, capsys):
    for expected in ("flute-seed3.wav", "flute-seed3-2.wav"):
        assert generate("--prompt", "flute", "--seed", 3) == 0
        assert capsys.readouterr().out.split()[0] == expected


def test_recipe_needs_its_own_picture(generate, photo, other_photo, tmp_path, capsys):
    assert generate("--image", photo, "--prompt", "flute", "--seed", 3, "--out", "out.wav") == 0
    (tmp_path / "elsewhere").mkdir()
    moved = photo.rename(tmp_path / "elsewhere" / "renamed.png")
    assert generate("--recipe", "out.wav", quick=False) == 2
    assert "my photo.png, is not where it was; give it with --image" in capsys.readouterr().err
    assert generate("--recipe", "out.wav", "--image", other_photo, quick=False) == 2
    assert "is not the picture of the recipe" in capsys.readouterr().err
    assert generate("--recipe", "out.wav", "--image", moved, "--out", "again.wav", quick=False) == 0
    np.testing.assert_array_equal(samples(tmp_path / "out.wav"), samples(tmp_path / "again.wav"))


def test_recipe_refuses_another_model_and_other_flags(generate, model_folder, tmp_path, capsys):
    assert generate("--prompt", "flute", "--seed", 3, "--out", "out.wav") == 0
    assert generate("--recipe", "out.json", "--seed", "4", "--prompt", "x", quick=False) == 2
    assert "leave out --prompt, --seed" in capsys.readouterr().err
    other = shutil.copytree(model_folder, tmp_path / "other")
    (other / "note.json").write_text("{}")
    assert main(["generate", "--recipe", "out.json", "--model", str(other)]) == 2
    assert "another model, tiny" in capsys.readouterr().err


def test_recipe_of_other_packages_is_made_with_a_warning(generate, tmp_path, capsys):
    assert generate("--prompt", "flute", "--seed", 3, "--out", "out.wav") == 0
    values = json.loads((tmp_path / "out.json").read_text())
    values["library_versions"]["torch"] = "0.1"
    (tmp_path / "old.json").write_text(json.dumps(values))
    assert generate("--recipe", "old.json", "--out", "again.wav", quick=False) == 0
    assert "torch 0.1 then" in capsys.readouterr().err


def test_long_caption_is_cut_with_a_note(generate, capsys):
    assert generate("--prompt", "piano and flute " * 40, "--seed", 1, "--out", "out.wav") == 0
    assert "only the first 64 are used" in capsys.readouterr().err
