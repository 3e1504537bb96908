"""`melfusion evaluate` from takes to report, with a pipeline that obeys and with the real one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from melfusion_core.cli import main
from melfusion_core.data.corpus import CorpusError
from melfusion_core.evaluation import report as report_module
from melfusion_core.evaluation.codec import CodecUnderTest
from melfusion_core.evaluation.judging import Judge, fingerprint, load_triplets
from melfusion_core.evaluation.picture import is_monotone
from melfusion_core.evaluation.report import Extent, choose_triplets, evaluate
from melfusion_core.evaluation.shares import Part
from melfusion_core.evaluation.takes import (
    VARIANTS,
    SamplingSettings,
    caption_for,
    dose_variant,
    generate_takes,
    load_take,
    take_path,
    take_seed,
)
from tests.conftest import TINY_MEL as PIPELINE_MEL
from tests.evaluation.conftest import RATE, make_network, tone

SETTINGS = SamplingSettings(duration_s=1.0, num_inference_steps=2)


class ObedientPipeline:
    """Plays what the caption names; its loudness and pulse follow the picture's red, or the noise without picture."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def _take(self, caption: str, image: Any, generator: torch.Generator, strength: float) -> np.ndarray:
        chance, red = float(torch.rand((), generator=generator)), image.getpixel((0, 0))[0] / 255
        weight = min(strength, 1.0)
        return tone("tuba" if "tuba" in caption else "flute", weight * red + (1 - weight) * chance, 0)

    def __call__(self, **settings: Any) -> SimpleNamespace:
        self.calls.append(settings)
        rows = zip(settings["prompt"], settings["image"], settings["generator"], strict=True)
        return SimpleNamespace(audios=[self._take(*row, settings["synapse_strength"]) for row in rows])

    def compare(self, **settings: Any) -> SimpleNamespace:
        states = [generator.get_state() for generator in settings["generator"]]
        with_image = self(**settings).audios
        for generator, state in zip(settings["generator"], states, strict=True):
            generator.set_state(state)
        text_only = self(**{**settings, "synapse_strength": 0.0}).audios
        self.calls.pop()
        return SimpleNamespace(with_image=with_image, text_only=text_only)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than all the rest."""
    monkeypatch.setattr(report_module, "_draw", lambda *_: None)


def test_evaluate_end_to_end_and_resumes(
    tiny_corpus: Path, tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = ObedientPipeline()
    extent = Extent(n=24, dose_n=12, batch_size=5)
    report = evaluate(pipeline, judge, tiny_corpus, tmp_path, extent, SETTINGS, progress=False)
    pairs = report["picture_obeyed"]["all"]["pairs"]
    obeyed = pairs["arousal -> rms_dbfs"]
    assert obeyed["with_image"]["value"] > 0.9 and obeyed["gain"]["low"] > 0.0
    assert abs(obeyed["text_only"]["value"]) < 0.8 and obeyed["real"]["value"] > 0.9
    assert report["picture_obeyed"]["photo"]["themes"] > 1
    assert report["feature_ceiling"]["all"]["arousal"]["value"] > 0.9
    assert report["caption_obeyed"]["chance"]["lead"]["uniform"] == 0.5
    assert report["own_picture"]["chance"] == 0.05
    points = report["doses"]["arousal -> rms_dbfs"]["points"]
    assert [point["strength"] for point in points] == [0.0, 0.5, 1.0, 1.5]
    assert points[0]["value"] < points[2]["value"]
    slopes = report["dose_slopes"]
    assert slopes.keys() == report["doses"].keys() - {
        "arousal -> arousal_cues", "valence -> valence_cues", "own picture among 20",
    }  # fmt: skip
    louder = slopes["arousal -> rms_dbfs"]
    values = [point["value"] for point in louder["points"]]
    assert louder["monotone"] and values[1] < 0.8 * values[2] and values[2] == values[3]  # it has its fill at 1
    assert louder["real"]["n"] == 12
    assert report["likeness"]["sets"]["with_image"]["frechet"]["value"] >= 0
    assert report["sound"]["neutral, with_image"]["takes"] == 24 and "codec" not in report
    # Two parts of 24 in fives, and two doses of 12.
    assert len(pipeline.calls) == 2 * 5 + 2 * 3 and pipeline.calls[0]["num_inference_steps"] == 2
    assert pipeline.calls[0]["prompt"] == ["a piece of music"] * 5
    assert json.loads((tmp_path / "report.json").read_text()) == report
    text = (tmp_path / "report.md").read_text()
    assert "Does the music obey the picture?" in text and "not comparable" in text and "codec was not measured" in text
    for name in ("affect", "doses", "confusion"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    # One take is lost: only its pair is made again, and the report is the same.
    triplets = choose_triplets(load_triplets(tiny_corpus, "test"), judge.classes("lead"), 24, SETTINGS.seed)
    take_path(tmp_path, "neutral", "text_only", triplets[3]).unlink()
    monkeypatch.setattr(report_module, "_draw", lambda *_: None)
    again = ObedientPipeline()
    repeated = evaluate(again, judge, tiny_corpus, tmp_path, extent, SETTINGS, progress=False)
    assert repeated == report and [len(call["prompt"]) for call in again.calls] == [1]


def test_folders_do_not_mix(tiny_corpus: Path, tmp_path: Path, judge: Judge, undrawn: None) -> None:
    extent = Extent(n=3, dose_n=3)
    evaluate(ObedientPipeline(), judge, tiny_corpus, tmp_path, extent, SETTINGS, progress=False)
    other = SamplingSettings(duration_s=SETTINGS.duration_s, num_inference_steps=3)
    with pytest.raises(ValueError, match="num_inference_steps"):
        evaluate(ObedientPipeline(), judge, tiny_corpus, tmp_path, extent, other, progress=False)


def test_takes_of_another_rate_length_and_in_stereo_are_heard_alike(tiny_corpus, tmp_path, judge, undrawn):
    class Stereo(ObedientPipeline):
        sample_rate = 4 * RATE

        def _take(self, *row):
            once = np.repeat(super()._take(*row), 4)
            return np.stack([once, once])[:, : len(once) + (-300 if row[0].startswith("a piece of") else 0)]

    extent = Extent(n=8, dose_n=3)
    plain, stereo = (
        evaluate(pipeline, judge, tiny_corpus, tmp_path / type(pipeline).__name__, extent, SETTINGS, progress=False)
        for pipeline in (ObedientPipeline(), Stereo())
    )
    for name in ("lead", "tempo_by_librosa"):
        mine, other = (r["caption_obeyed"]["with_image"][name]["value"] for r in (plain, stereo))
        assert other == pytest.approx(mine, abs=0.3)
    assert stereo["sound"]["neutral, with_image"]["not_finite"] == 0


def test_shares_together_are_the_whole(tiny_corpus, tmp_path, judge, undrawn):
    for index in range(2):
        share = Extent(n=6, dose_n=3, part=Part(index, 2))
        assert evaluate(ObedientPipeline(), judge, tiny_corpus, tmp_path, share, SETTINGS, progress=False) == {}
        assert len(list((tmp_path / "takes" / "neutral" / "with_image").iterdir())) == 3 * (index + 1)
    pipeline = ObedientPipeline()
    report = evaluate(pipeline, judge, tiny_corpus, tmp_path, Extent(n=6, dose_n=3), SETTINGS, progress=False)
    assert report["n"] == 6 and not pipeline.calls


def test_choice_captions_and_seeds(tiny_corpus: Path, tmp_path: Path) -> None:
    triplets = load_triplets(tiny_corpus, "test")
    few, many = (choose_triplets(triplets, ("tuba",), n, 1) for n in (4, 9))
    assert many[:4] == few and {t.lead for t in many} == {"tuba"}
    with pytest.raises(ValueError, match="at least 3"):
        choose_triplets(triplets, ("tuba",), 2, 1)
    with pytest.raises(ValueError, match="fewer than three"):
        choose_triplets(triplets, ("viola",), 4, 1)
    assert caption_for(few[0], "described") == "a march piece with tuba in a major key, at a slow tempo"
    with pytest.raises(ValueError, match="unknown part"):
        caption_for(few[0], "loud")
    seeds = {take_seed(0, part, i) for part in ("neutral", "described") for i in range(20)}
    assert len(seeds) == 40 and all(0 <= seed < 2**63 for seed in seeds)
    assert [dose_variant(s) for s in (0.0, 0.5, 1.0, 1.5)] == ["text_only", "dose_0.5", "with_image", "dose_1.5"]
    assert is_monotone([{"value": 0.1}, {"value": 0.1}, {"value": 0.3}])
    assert not is_monotone([{"value": 0.3}, {"value": 0.1}]) and not is_monotone([{"value": None}, {"value": 0.1}])
    with pytest.raises(CorpusError, match="metadata.jsonl does not exist"):
        load_triplets(tmp_path, "test")
    with pytest.raises(CorpusError, match="no clip in split 'validation'"):
        load_triplets(tiny_corpus, "validation")
    (tmp_path / "metadata.jsonl").write_text('{"split": "test"}\n')
    with pytest.raises(CorpusError, match="metadata.jsonl:1"):
        load_triplets(tmp_path, "test")


def test_command(
    tiny_corpus: Path,
    tmp_path: Path,
    judge: Judge,
    undrawn: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("melfusion_core.cli.takes.load_pipeline", lambda folder, device: ObedientPipeline())
    judge.network.save_pretrained(tmp_path / "judge")
    model, out = tmp_path / "model", tmp_path / "out"
    argv = [
        "evaluate",
        str(model),
        str(tiny_corpus),
        "--out",
        str(out),
        "--judge",
        str(tmp_path / "judge"),
        "--n",
        "4",
    ]
    argv += ["--duration", "1.0"]
    assert main(argv) == 2
    assert "no model folder" in capsys.readouterr().err
    model.mkdir()
    (model / "model_index.json").write_text("{}")
    first = fingerprint(model)
    assert main(argv) == 0
    assert "# Evaluation" in capsys.readouterr().out
    (model / "model_index.json").write_text("{ }")
    assert fingerprint(model) != first and first.startswith("model-")
    assert main(argv) == 2
    assert "other settings (model)" in capsys.readouterr().err


def test_the_real_pipeline(tiny_corpus: Path, tmp_path: Path, shared_pipeline: Any, undrawn: None) -> None:
    mel = PIPELINE_MEL.to_dict()
    hearing = Judge(make_network(mel), "tiny judge")
    # Guidance multiplies the rounding that differs between batch sizes; little of it keeps the takes comparable.
    settings = SamplingSettings(duration_s=2.56, num_inference_steps=2, guidance_scale=1.5, image_guidance_scale=1.5)
    codec = CodecUnderTest(shared_pipeline.engine)
    report = evaluate(
        shared_pipeline, hearing, tiny_corpus, tmp_path, Extent(4, 3, 4), settings, codec, progress=False
    )
    assert report["codec"]["mel_l1_nats"]["n"] == 4
    assert report["likeness"]["sets"]["codec"]["frechet_over_codec"] == 1.0
    triplets = choose_triplets(load_triplets(tiny_corpus, "test"), hearing.classes("lead"), 4, 0)
    rate = shared_pipeline.sample_rate
    generate_takes(shared_pipeline, triplets, "neutral", tmp_path / "alone", settings, 1, progress=False)
    for variant in VARIANTS:
        for triplet in triplets:
            together, alone = (
                load_take(tmp_path / name, "neutral", variant, triplet, rate) for name in (".", "alone")
            )
            assert len(together) == round(2.56 * rate)
            np.testing.assert_allclose(together, alone, atol=2e-3)
