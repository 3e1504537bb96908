from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from melfusion_core.evaluation import train_classifier
from melfusion_core.evaluation.classifier import ClipJudge
from melfusion_core.evaluation.train_classifier import JudgeSettings, train_judge
from melfusion_core.evaluation.triplets import load_triplets

from .conftest import SAMPLES, TINY_MEL


@pytest.fixture
def tiny_judge_class(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(leads: tuple[str, ...], instruments: tuple[str, ...]) -> ClipJudge:
        return ClipJudge(leads, instruments, channels=(8, 8), embedding_dim=8, dropout=0.0, mel=TINY_MEL)

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
    lead, instruments, affect, embedding = first(torch.zeros(2, 1, 32, 32))
    assert [tuple(x.shape) for x in (lead, instruments, affect, embedding)] == [(2, 2), (2, 3), (2, 2), (2, 8)]


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
