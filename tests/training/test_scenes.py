"""Fitting the scene classifier: the threshold by hand, and a run on a miniature corpus."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from melfusion_core.data.corpus import CorpusError
from melfusion_core.models.scenes import SceneClassifier
from melfusion_core.models.text import TextCondition
from melfusion_core.training import scenes
from tests.conftest import make_image_unet

COLOURS = {"sea": (20, 60, 200), "fire": (230, 90, 10), "face": (120, 120, 120), "cat": (100, 130, 100)}


@pytest.fixture
def corpus(tmp_path):
    """Plain seas, fires and grey photographs of two themes; the test split has a theme of its own."""
    (tmp_path / "corpus/images").mkdir(parents=True)
    (tmp_path / "corpus/a.flac").touch()
    lines = []
    for number in range(36):
        split = ("train", "train", "train", "train", "validation", "test")[number // 6]
        theme = ("sea", "fire", "face")[number % 3] if split != "train" else list(COLOURS)[number % 4]
        colour = tuple(min(255, value + number) for value in COLOURS[theme])
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"corpus/images/{number}.png")
        record = {"id": str(number), "split": split, "audio": "a.flac", "image": f"images/{number}.png"}
        kind = "scene" if theme in ("sea", "fire") else "photo"
        lines.append(json.dumps(record | {"caption": "x", "theme": theme, "image_kind": kind}))
    (tmp_path / "corpus/metadata.jsonl").write_text("\n".join(lines))
    return tmp_path / "corpus"


@pytest.fixture
def image_unet(tmp_path, monkeypatch):
    torch.manual_seed(0)
    make_image_unet().save_pretrained(tmp_path / "image")
    DDIMScheduler(num_train_timesteps=1000).save_pretrained(tmp_path / "image/scheduler")
    null = TextCondition(torch.zeros(1, 2, 32), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 32))
    monkeypatch.setattr(scenes, "load_minilm", lambda: (None, None))
    monkeypatch.setattr(scenes, "encode_text", lambda *_: null)
    return tmp_path / "image"


def test_the_threshold_by_hand():
    #            two right scenes, a wrong one, a photograph that is taken for a scene, one that is not
    confidence = [0.9, 0.8, 0.7, 0.6, 0.95]
    spoken, right = [True, True, True, True, False], [True, True, False, False, True]
    photographs = [False, False, False, True, True]

    def choose(precision, share):
        return scenes.choose_threshold(confidence, spoken, right, photographs, precision, share)

    assert choose(0.6, 0.5) == 0.2, "2 of 3 right, 1 of 2 photographs spoken of"
    assert choose(0.6, 0.4) == 0.61, "no photograph may be spoken of"
    assert choose(0.85, 0.5) == 0.71, "no wrong scene either"
    assert scenes.choose_threshold([0.9], [True], [False], [False], 0.85, 0.01) > 1.0


def test_a_run_tells_seas_from_fires_and_keeps_quiet_on_photographs(corpus, image_unet, tmp_path):
    config = scenes.SceneConfig(str(corpus), str(tmp_path / "run"), str(image_unet), penalty=1e-4, folds=2)
    result = scenes.train(config)
    assert result["labels"] == ["a photograph", "fire", "the sea"] and result["train_photographs"] == 12
    assert json.loads((tmp_path / "run/summary.json").read_text()) == result
    assert result["test"]["scenes"]["n"] == 4 and result["test"]["photographs"]["n"] == 2
    assert result["test"]["scenes"]["accuracy"] == 1.0 and result["test"]["photographs"]["said"] == 0
    saved = SceneClassifier.from_pretrained(tmp_path / "run/export")
    assert saved.config.threshold == result["threshold"]
    assert saved.config.silent == ["a photograph"] and len(saved.config.image_norms) == 4


def test_what_cannot_be_fitted_is_refused(corpus, image_unet, tmp_path):
    lines = [json.loads(line) for line in (corpus / "metadata.jsonl").read_text().splitlines()]
    text = "\n".join(json.dumps(line | {"theme": "dentist"}) for line in lines)
    (corpus / "metadata.jsonl").write_text(text)
    with pytest.raises(CorpusError, match="no word for scenes of the theme 'dentist'"):
        scenes.train(scenes.SceneConfig(str(corpus), str(tmp_path), str(image_unet)))
    with pytest.raises(ValueError, match="precision"):
        scenes.SceneConfig("a", "b", "c", precision=0.0)
    with pytest.raises(ValueError, match="must name folders"):
        scenes.SceneConfig("a", "b")


def test_true_words_of_photographs_are_words_that_can_be_said():
    known = set(scenes.WORDS.values())
    assert all(set(words) <= known for words in scenes.TRUE_OF_PHOTOGRAPHS.values())
