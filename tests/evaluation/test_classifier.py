from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from melfusion_core.evaluation import train_classifier
from melfusion_core.evaluation.classifier import LEVEL_STATISTICS, ClipJudge, clip_statistics
from melfusion_core.evaluation.train_classifier import JudgeSettings, main, train_judge
from melfusion_core.evaluation.triplets import load_triplets

from .conftest import SAMPLES, TINY_MEL


@pytest.fixture
def tiny_judge_class(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(leads: tuple[str, ...], instruments: tuple[str, ...]) -> ClipJudge:
        return ClipJudge(leads, instruments, hidden_dim=16, embedding_dim=8, drop=0.0, mel=TINY_MEL)

    monkeypatch.setattr(train_classifier, "ClipJudge", make)


def test_judge_learns_and_is_saved(tiny_corpus: Path, tmp_path: Path, tiny_judge_class: None) -> None:
    settings = JudgeSettings(epochs=12, batch_size=8, learning_rate=1e-2)
    judge, quality = train_judge(tiny_corpus, tmp_path, settings, progress=False)
    assert tuple(judge.config.leads) == ("flute", "tuba")
    assert quality.top1.value > 0.9 and quality.top1.n == 24 and quality.commonest == 0.5
    assert quality.arousal > 0.5
    loaded = ClipJudge.from_pretrained(tmp_path).eval()
    clips = np.random.default_rng(0).normal(size=(3, SAMPLES)).astype(np.float32) * 0.1
    first, second = judge.judge(clips), loaded.judge(clips)
    np.testing.assert_allclose(first.lead, second.lead, atol=1e-6)
    np.testing.assert_allclose(first.lead.sum(1), 1.0, atol=1e-5)
    many = judge.judge_many(list(clips), batch_size=2)
    np.testing.assert_allclose(many.embedding, first.embedding, atol=1e-5)
    assert loaded.config.training["test"]["lead_top1"]["n"] == 24


def test_judge_shapes_and_training_is_seeded(tiny_corpus: Path, tmp_path: Path, tiny_judge_class: None) -> None:
    settings = JudgeSettings(epochs=1, batch_size=8, max_clips=24, least_clips=2)
    first, _ = train_judge(tiny_corpus, tmp_path / "a", settings, progress=False)
    second, _ = train_judge(tiny_corpus, tmp_path / "b", settings, progress=False)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    lead, instruments, affect, embedding = first(torch.zeros(2, 9, 32))
    assert [tuple(x.shape) for x in (lead, instruments, affect, embedding)] == [(2, 2), (2, 3), (2, 2), (2, 8)]


def test_statistics_in_closed_form() -> None:
    mel = torch.zeros(1, 1, 5, 2)
    mel[0, 0, :, 0] = torch.tensor([0.0, 4.0, 0.0, 4.0, 0.0])
    statistics = clip_statistics(mel)
    assert statistics.shape == (1, 9, 2)
    np.testing.assert_allclose(statistics[0, :, 1], 0.0)
    np.testing.assert_allclose(statistics[0, [0, 1, 3, 6, 8], 0], [1.6, 4.0, 0.0, 2.0, 2.0], atol=1e-6)
    louder = clip_statistics(mel + 1.5) - statistics
    np.testing.assert_allclose(louder[0, :LEVEL_STATISTICS], 1.5, atol=1e-5)
    np.testing.assert_allclose(louder[0, LEVEL_STATISTICS:], 0.0, atol=1e-5)


def test_unusable_corpora_are_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fewer than two lead"):
        train_judge(tiny_corpus, tmp_path, JudgeSettings(least_clips=1000), progress=False)
    with pytest.raises(FileNotFoundError, match="metadata.jsonl"):
        load_triplets(tmp_path, "test")
    with pytest.raises(ValueError, match="unknown split"):
        load_triplets(tiny_corpus, "dev")
    with pytest.raises(ValueError, match="no triplets"):
        load_triplets(tiny_corpus, "validation")
    (tmp_path / "metadata.jsonl").write_text('{"split": "test"}\n')
    with pytest.raises(ValueError, match="line 1"):
        load_triplets(tmp_path, "test")
    with pytest.raises(ValueError, match="no clips"):
        ClipJudge(("a", "b"), ("a",), mel=TINY_MEL).judge_many([])


def test_command(
    tiny_corpus: Path, tmp_path: Path, tiny_judge_class: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tiny_corpus), "--out", str(tmp_path / "judge"), "--epochs", "1"]) == 0
    assert "held-out real clips" in capsys.readouterr().out and (tmp_path / "judge" / "config.json").is_file()
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "other")]) == 2
    assert "metadata.jsonl" in capsys.readouterr().err
