"""The judge's trainer: two sittings equal one, its own part of the corpus, losses in closed form."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from melfusion_core.data.corpus import read_corpus
from melfusion_core.models.judge import MelFusionJudge
from melfusion_core.training import judge, judge_data
from melfusion_core.training.judge_data import find_classes, from_bytes, judges_part, part_of, targets, to_bytes
from tests.training.test_trainers import train_in_two_sittings

RATE, SAMPLES = 32000, 16 * 4096


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("judged")
    for folder in ("audio", "images"):
        (root / folder).mkdir()
    lines = []
    for index in range(16):
        lead = ("flute", "tuba")[index % 2]
        tone = 0.2 * np.sin(2 * np.pi * (880 if index % 2 else 110) * np.arange(SAMPLES) / RATE)
        soundfile.write(root / f"audio/{index}.flac", tone, RATE)
        Image.new("RGB", (32, 32), (15 * index, 90, 40)).save(root / f"images/{index}.jpg")
        attributes = {
            "lead": lead,
            "instruments": [lead, "drums"],
            "style": "waltz",
            "mode": ("major", None)[index % 2],
        }
        attributes |= {
            "tempo_word": ("slow", "fast")[index % 2],
            "tempo_bpm": 60.0 + index,
            "onset_rate_hz": 2.0 + index % 5,
        }
        mood = {f"{side}_{axis}": index / 16 for side in ("music", "image") for axis in ("valence", "arousal")}
        row = {"id": str(index), "split": "train" if index < 12 else "validation", "piece": f"piece {index}"}
        row |= {"audio": f"audio/{index}.flac", "image": f"images/{index}.jpg", "caption": f"a waltz for {lead}"}
        lines.append(json.dumps(row | mood | {"attributes": attributes}))
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def plain_captions(monkeypatch):
    """Stand-in for the text encoder: vectors by caption."""

    class Store:
        def __init__(self, texts):
            self.pooled = np.stack([np.full(384, (sum(map(ord, text)) % 97) / 97, dtype=np.float32) for text in texts])

    monkeypatch.setattr(judge_data, "load_minilm", lambda: (None, None))
    monkeypatch.setattr(judge_data, "encode_captions", lambda _, __, texts: Store(texts))


def test_two_sittings_equal_one(corpus, tmp_path, plain_captions):
    settings = {"share": 1.0, "least_clips": 2, "precision": "no", "batch_size": 6}
    run = train_in_two_sittings(judge.JudgeConfig, judge.JudgeTask, corpus, tmp_path, **settings)
    network = MelFusionJudge.from_pretrained(run / "export").float().eval()
    assert list(network.config.leads) == ["flute", "tuba"] and list(network.config.modes) == ["major"]
    assert network(*network.listen(torch.zeros(1, SAMPLES))).lead.shape == (1, 2)
    figures = json.loads((run / "export/validation.json").read_text())
    assert math.isfinite(figures["score"]) and 0 <= figures["picture_top1"] <= 1
    assert len(json.loads((run / "samples/0000002/heard.json").read_text())) == 4
    assert (run / "cache/train/mel.npy").is_file() and not (run / "cache/test").exists()


def test_own_part_is_by_piece_and_growing(corpus):
    clips = [clip for clip in read_corpus(corpus) if clip.split == "train"]
    half, most = judges_part(clips, 0.5), judges_part(clips, 0.9)
    assert {clip.id for clip in half} <= {clip.id for clip in most}
    assert all(part_of(clip.piece) < 0.5 for clip in half)
    assert np.mean([part_of(f"work {n}") < 0.6 for n in range(2000)]) == pytest.approx(0.6, abs=0.04)
    with pytest.raises(ValueError, match="no clip"):
        judges_part(clips, 1e-9)


def test_targets_say_what_is_unknown(corpus):
    clips = read_corpus(corpus)
    classes = find_classes(clips, 2)
    wanted = targets(clips, classes)
    assert wanted["mode"].tolist()[:4] == [0, -100, 0, -100]
    assert wanted["instruments"][0].tolist() == [1.0, 1.0, 0.0]  # drums, flute, tuba
    assert wanted["scalars"][:, 0].mean().abs() < 1e-5 and wanted["scalars"].isfinite().all()
    with pytest.raises(ValueError, match="fewer than two lead"):
        find_classes(clips, 100)


def test_bytes_keep_the_spectrogram():
    values = torch.linspace(-2.2, 4.2, 100)
    assert (from_bytes(to_bytes(values)) - values).abs().max() <= 6.4 / 255 / 2 + 1e-6


def test_contrast_is_zero_at_the_target_and_retrieval_counts_hits():
    target = torch.tensor([[3.0, 1.0], [1.0, 3.0]])
    assert judge.contrast(target.log(), target) == pytest.approx(0.0, abs=1e-6)
    assert judge.contrast(-target, target) > 0.1
    vectors = torch.eye(30)
    assert judge.retrieval(vectors, vectors) == 1.0
    assert judge.retrieval(vectors, -vectors) == 0.0
