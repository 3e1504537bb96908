"""The other commands: what they print, and that each reaches the code behind it."""

from __future__ import annotations

import importlib
import json
import typing

import pytest

from melfusion_core.cli import bench, main, parser
from melfusion_core.recipe import checkpoint_sha256


def test_info_describes_a_model(model_folder, capsys):
    assert main(["info", "--model", str(model_folder), "--device", "cpu"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["sample_rate_hz"] == 800
    assert described["model_sha256"] == checkpoint_sha256(model_folder)
    assert {"vae", "unet", "image_unet", "synapse", "vocoder", "text_encoder"} == set(described["parameters"])
    assert all(count > 0 for count in described["parameters"].values())


def test_bench_times_every_stage(model_folder, tmp_path, capsys):
    out = tmp_path / "bench.json"
    flags = ["--steps", "2", "--duration", "1", "--repeats", "1", "--device", "cpu", "--out", str(out)]
    assert main(["bench", "--model", str(model_folder), *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.read_text())
    stages = (
        "text_encoding_s",
        "image_branch_s",
        "step_text_only_s",
        "step_with_picture_s",
        "view_s",
        "decoding_s",
    )
    assert all(report[stage] > 0 for stage in stages)
    assert report["take_with_picture_s"] > report["step_with_picture_s"]
    expected = report["compare_s"] / (report["take_text_only_s"] + report["take_with_picture_s"])
    assert report["compare_ratio"] == pytest.approx(expected, rel=0.1)
    assert report["peak_memory_mb"] > 0


def test_bench_needs_a_folder_to_write_to(model_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("the work was begun"))
    with pytest.raises(SystemExit):
        main(["bench", "--model", str(model_folder), "--out", str(tmp_path / "no" / "b.json")])
    assert "no does not exist" in capsys.readouterr().err


def test_corpus_stats_needs_a_corpus(tmp_path, capsys):
    assert main(["corpus", "stats", str(tmp_path)]) == 2
    assert "it has no metadata.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--scores", "does not exist"), ("--pictures", "does not exist"), ("--soundfont", "There is no SoundFont at")],
)
def test_corpus_build_needs_its_sources(flag, message, tmp_path, capsys):
    arguments = ["corpus", "build", "--out", str(tmp_path / "out"), "--clips", "1", flag, str(tmp_path / "none")]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_corpus_build_passes_its_flags_on(tmp_path, monkeypatch, capsys):
    from melfusion_core.data import triplets

    calls = []
    monkeypatch.setattr(triplets, "build_corpus", lambda *args, **more: calls.append((args, more)) or args[0])
    assert main(["corpus", "build", "--out", str(tmp_path), "--clips", "3", "--seed", "5", "--workers", "4"]) == 0
    [((out, spec), more)] = calls
    every = {"workers": 4, "splits": ("train", "validation", "test")}
    assert (out, spec.clips, spec.seed, spec.scores, more) == (tmp_path, 3, 5, None, every)
    assert main(["corpus", "build", "--out", str(tmp_path), "--clips", "3", "--splits", "validation", "test"]) == 0
    assert calls[1][1]["splits"] == ("validation", "test")
    assert capsys.readouterr().out.split() == [str(tmp_path)] * 2


@pytest.mark.parametrize("component", parser.TRAINERS)
def test_flags_reach_the_trainers(component, tmp_path, monkeypatch):
    module_name, function = parser.TRAINERS[component]
    module = importlib.import_module(module_name)
    configs = []

    def train(config):
        configs.append(config)

    train.__annotations__ = typing.get_type_hints(getattr(module, function))
    monkeypatch.setattr(module, function, train)
    own = {
        "prepare": ["--parts", "captions"],
        "codec": [],
        "score-prepare": ["--codec", "codec"],
        "synapse": ["--model", "full", "--max-steps", "3"],
        "scenes": ["--image-unet", "image"],
        "encoder": ["--weights", "one.pth", "two.pth"],
        "pictures": ["--encoder", "encoder"],
        "score-pictures": ["--encoder", "encoder", "--image-unet", "image"],
    }
    source = {"encoder": "pictures", "pictures": "pictures", "score-pictures": "bank"}.get(component, "data")
    limit = own.get(component, ["--max-steps", "3"])
    assert main(["train", component, f"--{source}", "corpus", "--out", str(tmp_path), *limit]) == 0
    [config] = configs
    assert (getattr(config, source), config.out) == ("corpus", str(tmp_path))


@pytest.mark.parametrize("name", [*parser.TRAINERS, "evaluate"])
def test_every_command_has_help(name, capsys):
    command = ["evaluate"] if name == "evaluate" else ["train", name]
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(
        command in shown for command in ("generate", "corpus", "train", "assemble", "evaluate", "bench", "info")
    )
