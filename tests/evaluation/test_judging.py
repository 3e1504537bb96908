"""The judge as it is run, and its quality on clips whose attributes are known."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.cli import main
from melfusion_core.evaluation.judging import (
    Judge,
    class_accuracy,
    commonest_share,
    judge_quality,
    load_judge,
    load_triplets,
)
from tests.evaluation.conftest import SAMPLES


def clips(count):
    return [np.random.default_rng(seed).normal(0, 0.1, SAMPLES).astype(np.float32) for seed in range(count)]


def test_hearing_in_batches_and_after_loading(judge, tmp_path):
    heard = judge.hear(iter(clips(20)))
    assert heard.lead.shape == (20, 2) and heard.scalars.shape == (20, 4) and heard.affect.shape == (20, 2)
    np.testing.assert_allclose(heard.lead.sum(1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(heard.joint, axis=1), 1.0, atol=1e-5)
    judge.network.save_pretrained(tmp_path)
    again = load_judge(tmp_path).hear(clips(3))
    np.testing.assert_allclose(again.embedding, heard.embedding[:3], atol=1e-5)
    np.testing.assert_array_equal(judge.embed(clips(3)), judge.hear(clips(3)).embedding)
    with pytest.raises(ValueError, match="no clips"):
        judge.hear([])
    with pytest.raises(ValueError, match="at least"):
        judge.hear([np.zeros(100, dtype=np.float32)])
    with pytest.raises(ValueError, match="holds no judge"):
        load_judge(tmp_path / "nowhere")


def test_accuracy_counts_known_classes_only(judge: Judge, tiny_corpus):
    triplets = load_triplets(tiny_corpus, "test")
    heard = judge.hear(clips(len(triplets)))
    said = heard.lead.argmax(1)
    truth = np.array([("flute", "tuba").index(t.lead) for t in triplets])
    assert class_accuracy(judge, heard, "lead", triplets).value == pytest.approx(np.mean(said == truth))
    assert class_accuracy(judge, heard, "lead", triplets, top=2).value == 1.0
    assert commonest_share(judge, "lead", triplets) == 0.5


def test_quality_names_every_attribute_and_chance(judge, tiny_corpus, tmp_path, capsys):
    triplets = load_triplets(tiny_corpus, "test")
    quality = judge_quality(judge, judge.hear(clips(len(triplets))), triplets)
    assert quality["lead"]["n"] == 28 and quality["lead"]["commonest"] == 0.5
    assert quality["chance_among_20"] == 0.05 and 0 <= quality["own_picture_among_20"]["value"] <= 1
    judge.network.save_pretrained(tmp_path / "judge")
    command = [
        "evaluate-judge",
        str(tmp_path / "judge"),
        str(tiny_corpus),
        "--out",
        str(tmp_path / "out"),
        "--n",
        "12",
    ]
    assert main(command) == 0
    assert "| lead |" in capsys.readouterr().out and (tmp_path / "out" / "judge.json").is_file()
    assert main(["evaluate-judge", str(tmp_path), str(tiny_corpus), "--out", str(tmp_path / "out")]) == 2
