from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from melfusion_core.evaluation import evaluate as command
from melfusion_core.evaluation.classifier import ClipJudge
from melfusion_core.evaluation.report import choose_triplets, evaluate
from melfusion_core.evaluation.takes import (
    VARIANTS,
    SamplingSettings,
    caption_for,
    generate_takes,
    load_takes,
    take_path,
    take_seed,
)
from melfusion_core.evaluation.triplets import load_triplets

from .conftest import RATE, SAMPLES, TINY_MEL, tone

SETTINGS = SamplingSettings(duration_s=SAMPLES / RATE, num_inference_steps=2)


class ObedientPipeline:
    """Plays what the caption names; its loudness and pulse follow the picture's red, or the noise without picture."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def compare(self, **settings: Any) -> SimpleNamespace:
        self.calls.append(settings)
        takes: dict[str, list[np.ndarray]] = {"with_image": [], "text_only": []}
        for caption, image, generator in zip(
            settings["prompt"], settings["image"], settings["generator"], strict=True
        ):
            chance = float(torch.rand((), generator=generator))
            lead = "tuba" if "tuba" in caption else "flute"
            takes["with_image"].append(tone(lead, image.getpixel((0, 0))[0] / 255, 0))
            takes["text_only"].append(tone(lead, chance, 0))
        return SimpleNamespace(**{name: np.stack(parts) for name, parts in takes.items()})


@pytest.fixture(scope="module")
def judge() -> ClipJudge:
    torch.manual_seed(0)
    return ClipJudge(("flute", "tuba"), ("drums", "flute", "tuba"), 8, 4, mel=TINY_MEL).eval()


def test_evaluate_end_to_end_and_resumes(tiny_corpus: Path, tmp_path: Path, judge: ClipJudge) -> None:
    pipeline = ObedientPipeline()
    report = evaluate(pipeline, judge, tiny_corpus, tmp_path, 12, SETTINGS, batch_size=5, progress=False)
    obeyed = report["picture_obeyed"]["arousal -> rms_dbfs"]
    assert obeyed["with_image"]["value"] > 0.9 and obeyed["gain"]["low"] > 0.0
    assert abs(obeyed["text_only"]["value"]) < 0.8 and obeyed["real"]["value"] > 0.9
    assert report["caption_obeyed"]["chance"]["uniform"] == 0.5
    assert report["sound"]["neutral, with_image"]["takes"] == 12
    assert report["likeness"]["reference_clips"] == 12
    assert len(pipeline.calls) == 6 and pipeline.calls[0]["num_inference_steps"] == 2
    assert pipeline.calls[0]["prompt"] == ["a piece of music"] * 5
    assert json.loads((tmp_path / "report.json").read_text()) == report
    text = (tmp_path / "report.md").read_text()
    assert "Does the music obey the picture?" in text and "not comparable" in text
    assert (tmp_path / "arousal.png").stat().st_size > 5000
    # One take is lost: only its pair is made again, and the report is the same.
    triplets = choose_triplets(load_triplets(tiny_corpus, "test"), judge.config.leads, 12, SETTINGS.seed)
    take_path(tmp_path, "neutral", "text_only", triplets[3]).unlink()
    again = ObedientPipeline()
    assert evaluate(again, judge, tiny_corpus, tmp_path, 12, SETTINGS, progress=False) == report
    assert [len(call["prompt"]) for call in again.calls] == [1]


def test_folders_and_rates_do_not_mix(tiny_corpus: Path, tmp_path: Path, judge: ClipJudge) -> None:
    evaluate(ObedientPipeline(), judge, tiny_corpus, tmp_path, 4, SETTINGS, progress=False)
    other = SamplingSettings(duration_s=SETTINGS.duration_s, num_inference_steps=3)
    with pytest.raises(ValueError, match="num_inference_steps"):
        evaluate(ObedientPipeline(), judge, tiny_corpus, tmp_path, 4, other, progress=False)
    pipeline = ObedientPipeline()
    pipeline.sample_rate = 44100
    with pytest.raises(ValueError, match="44100 Hz"):
        evaluate(pipeline, judge, tiny_corpus, tmp_path, 4, SETTINGS, progress=False)


def test_choice_and_seeds(tiny_corpus: Path) -> None:
    triplets = load_triplets(tiny_corpus, "test")
    few, many = (choose_triplets(triplets, ("tuba",), n, 1) for n in (4, 9))
    assert many[:4] == few and {t.lead for t in many} == {"tuba"}
    with pytest.raises(ValueError, match="at least 3"):
        choose_triplets(triplets, ("tuba",), 2, 1)
    with pytest.raises(ValueError, match="fewer than three"):
        choose_triplets(triplets, ("viola",), 4, 1)
    assert caption_for(few[0], "named") == "a piece with tuba"
    with pytest.raises(ValueError, match="unknown part"):
        caption_for(few[0], "loud")
    seeds = {take_seed(0, part, i) for part in ("neutral", "named") for i in range(20)}
    assert len(seeds) == 40 and all(0 <= seed < 2**63 for seed in seeds)


def test_command(tiny_corpus: Path, tmp_path: Path, judge: ClipJudge, capsys: pytest.CaptureFixture[str]) -> None:
    judge.save_pretrained(tmp_path / "judge")
    model = tmp_path / "model"
    argv = [
        str(model),
        str(tiny_corpus),
        "--out",
        str(tmp_path / "out"),
        "--judge",
        str(tmp_path / "judge"),
        "--n",
        "4",
    ]
    argv += ["--duration", str(SETTINGS.duration_s)]
    assert command.main(argv, lambda folder, device: ObedientPipeline()) == 2
    assert "no model folder" in capsys.readouterr().err
    model.mkdir()
    (model / "model_index.json").write_text("{}")
    first = command.fingerprint(model)
    assert command.main(argv, lambda folder, device: ObedientPipeline()) == 0
    assert "# Evaluation" in capsys.readouterr().out
    (model / "model_index.json").write_text("{ }")
    assert command.fingerprint(model) != first and first.startswith("model-")
    assert command.main(argv, lambda folder, device: ObedientPipeline()) == 2
    assert "other settings (model)" in capsys.readouterr().err


def test_takes_of_the_real_pipeline(tiny_corpus: Path, tmp_path: Path, shared_pipeline: Any) -> None:
    triplets = load_triplets(tiny_corpus, "test")[:3]
    settings = SamplingSettings(duration_s=2.0, num_inference_steps=2, guidance_scale=4.0, image_guidance_scale=2.0)
    for name, batch_size in (("together", 3), ("alone", 1)):
        generate_takes(shared_pipeline, triplets, "neutral", tmp_path / name, settings, batch_size, progress=False)
    rate = shared_pipeline.sample_rate
    for variant in VARIANTS:
        together, alone = (load_takes(tmp_path / n, "neutral", variant, triplets, rate) for n in ("together", "alone"))
        assert [len(take) for take in together] == [2 * rate] * 3
        np.testing.assert_allclose(together, alone, atol=2e-3)
