"""Comparing sampler settings on the validation split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from melfusion_core.cli import evaluate as command
from melfusion_core.cli.parser import main
from melfusion_core.evaluation.judging import Judge
from melfusion_core.evaluation.takes import SamplingSettings
from melfusion_core.evaluation.tuning import COLUMNS, parse_trial, trial_name, true_probability, tune
from tests.evaluation.conftest import RATE, tone

BASE = SamplingSettings(duration_s=1.0, num_inference_steps=2)


@pytest.fixture
def validation_corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    """The tiny corpus with its test split turned into the one that may be tuned on."""
    corpus = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    metadata = corpus / "metadata.jsonl"
    metadata.write_text(metadata.read_text().replace('"split": "test"', '"split": "validation"'))
    return corpus


class PipelineWithTaste:
    """Plays what the caption names, and as loud as the picture is red, only when guided by each."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.takes = 0

    def __call__(self, **settings: Any) -> SimpleNamespace:
        self.takes += len(settings["prompt"])
        guided, seeing, audios = settings["guidance_scale"] > 1, settings["image_guidance_scale"] > 1, []
        for caption, image, noise in zip(settings["prompt"], settings["image"], settings["generator"], strict=True):
            level = image.getpixel((0, 0))[0] / 255 if seeing else float(torch.rand((), generator=noise))
            audios.append(tone("tuba" if guided and "tuba" in caption else "flute", level, 0))
        return SimpleNamespace(audios=audios)

    def compare(self, **settings: Any) -> SimpleNamespace:
        raise AssertionError("tuning needs takes with the picture only")


def test_settings_are_read_and_named() -> None:
    trial = parse_trial("guidance_scale=5, sampler=ddim,num_inference_steps=7", BASE)
    assert (trial.guidance_scale, trial.sampler, trial.num_inference_steps) == (5.0, "ddim", 7)
    assert trial.image_guidance_scale == BASE.image_guidance_scale
    assert trial_name(trial, BASE) == "num_inference_steps=7,sampler=ddim,guidance_scale=5.0"
    assert trial_name(parse_trial("", BASE), BASE) == "base"
    for text, message in [
        ("loudness=3", "guidance_scale"),
        ("seed=3", "NAME=VALUE"),
        ("guidance_scale=x", "'x'"),
        ("guidance_scale=99", "from 0 to 50"),
    ]:
        with pytest.raises(ValueError, match=message):
            parse_trial(text, BASE)


def test_better_settings_score_better_and_takes_are_kept(
    validation_corpus: Path, tmp_path: Path, judge: Judge
) -> None:
    trials = [BASE, parse_trial("guidance_scale=0.5", BASE), parse_trial("image_guidance_scale=0.5", BASE)]
    pipeline = PipelineWithTaste()
    rows = tune(pipeline, judge, validation_corpus, tmp_path, BASE, trials, n=24, batch_size=8, progress=False)
    base, unguided, blind = rows
    assert [row["trial"] for row in rows] == ["base", "guidance_scale=0.5", "image_guidance_scale=0.5"]
    assert all(set(row) == {"trial", *COLUMNS} for row in rows)
    assert base["arousal"] > blind["arousal"] + 0.2
    assert base["lead_probability"] != unguided["lead_probability"]
    assert all(0 < base[f"{name}_probability"] < 1 for name in ("lead", "tempo", "mode"))
    report = json.loads((tmp_path / "tuning.json").read_text())
    assert report["split"] == "validation" and report["trials"] == rows
    assert min(base["contrast"], report["real_contrast"]) > 0
    assert "| guidance_scale=0.5 |" in (tmp_path / "tuning.md").read_text()
    cues = tmp_path / "base" / "cues" / "described.json"
    rows_without = json.loads(cues.read_text())  # as an earlier version kept them
    for row in rows_without.values():
        del row["contrast_db"]
    cues.write_text(json.dumps(rows_without))
    again = tune(pipeline, judge, validation_corpus, tmp_path, BASE, trials, n=24, batch_size=8, progress=False)
    assert pipeline.takes == 3 * 2 * 24
    assert [{**row, "seconds": 0.0} for row in rows] == again


def test_the_probability_of_the_truth_leaves_out_what_is_unknown() -> None:
    judge = SimpleNamespace(classes=lambda attribute: ["major", "minor"])
    triplets = [SimpleNamespace(mode=mode) for mode in ("minor", None, "major")]
    heard = SimpleNamespace(mode=np.array([[0.3, 0.7], [0.9, 0.1], [0.5, 0.5]]))
    assert true_probability(judge, heard, "mode", triplets) == 0.6
    assert true_probability(judge, SimpleNamespace(mode=heard.mode[1:2]), "mode", triplets[1:2]) is None


def test_command(
    validation_corpus: Path,
    tmp_path: Path,
    judge: Judge,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("melfusion_core.cli.takes.load_pipeline", lambda folder, device: PipelineWithTaste())
    judge.network.save_pretrained(tmp_path / "judge")
    monkeypatch.setattr(command, "default_judge", lambda: tmp_path / "judge")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text("{}")
    arguments = ["tune", str(tmp_path / "model"), str(validation_corpus), "--out", str(tmp_path / "out"), "--n", "4"]
    assert main([*arguments, "--trial", "num_inference_steps=9", "--trial", ""]) == 0
    shown = capsys.readouterr().out
    assert shown.count("| base |") == 1 and "| num_inference_steps=9 |" in shown
    assert main([*arguments, "--trial", "steps=9"]) == 2
    assert "num_inference_steps" in capsys.readouterr().err
    assert main(["tune", str(tmp_path / "none"), str(validation_corpus), "--out", str(tmp_path / "out")]) == 2
