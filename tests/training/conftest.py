"""A miniature corpus of tones and colours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from melfusion_core.engines.spectrogram.patch_codec import PatchCodec
from melfusion_core.models.text import TextCondition
from melfusion_core.training import image, prepare

SAMPLE_RATE = 32000
SAMPLES = 64 * 512
TINY = {"size": "tiny", "device": "cpu", "log_steps": 1, "batch_size": 2}


@pytest.fixture(scope="session")
def mini_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of one second: tones in noise, plain pictures, two captions each."""
    root = tmp_path_factory.mktemp("corpus")
    generator = np.random.default_rng(0)
    (root / "audio").mkdir()
    (root / "images").mkdir()
    lines = []
    for number in range(6):
        time = np.arange(SAMPLES) / SAMPLE_RATE
        tone = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * time) + 0.01 * generator.standard_normal(SAMPLES)
        soundfile.write(root / f"audio/{number}.flac", tone, SAMPLE_RATE)
        Image.new("RGB", (32, 32), (40 * number, 100, 200 - 30 * number)).save(root / f"images/{number}.jpg")
        lines.append(
            {
                "id": str(number),
                "split": ("train", "train", "train", "train", "validation", "validation")[number],
                "audio": f"audio/{number}.flac",
                "image": f"images/{number}.jpg",
                "caption": f"tone {number}",
                "captions": [f"tone {number}", "a tone"],
                "image_caption": f"colour {number}",
                **{f"{side}_{axis}": number / 5 for side in ("music", "image") for axis in ("valence", "arousal")},
            }
        )
    (root / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return root


@pytest.fixture
def fake_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-in for the text encoder: states drawn from the caption's length, so that tests load no weights."""
    put_fake_text(monkeypatch)


def put_fake_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `fake_text`."""

    class Tokenizer:
        def __call__(self, captions: list[str], **_: object) -> dict[str, list[list[int]]]:
            return {"input_ids": [[0] * (2 + len(caption.split())) for caption in captions]}

    class Encoder:
        config = type("Config", (), {"hidden_size": 384})

        def to(self, _device: object) -> Encoder:
            return self

    def encode(_tokenizer: object, _encoder: object, captions: list[str], max_length: int = 64) -> TextCondition:
        states = torch.zeros(len(captions), max_length, 384)
        mask = torch.zeros(len(captions), max_length, dtype=torch.bool)
        for row, caption in enumerate(captions):
            length = 2 + len(caption.split())
            generator = torch.Generator().manual_seed(len(caption) + sum(map(ord, caption)))
            states[row, :length] = torch.randn(length, 384, generator=generator)
            mask[row, :length] = True
        return TextCondition(states, mask, torch.nn.functional.normalize(states.sum(1), dim=-1))

    for module in (image, prepare):
        monkeypatch.setattr(module, "load_minilm", lambda: (Tokenizer(), Encoder()))
    monkeypatch.setattr(prepare, "encode_text", encode)
    monkeypatch.setattr("melfusion_core.training.captions.encode_text", encode)


def save_codec(folder: Path) -> Path:
    codec = PatchCodec(patch=(8, 32), latent_channels=4)
    codec.fit(torch.randn(1100, 8 * 32, generator=torch.Generator().manual_seed(0)), 0.5)
    codec.save_pretrained(folder)
    return folder


@pytest.fixture
def codec_folder(tmp_path: Path) -> Path:
    """The shipped codec's class with few coefficients, fitted to noise."""
    return save_codec(tmp_path / "codec")


@pytest.fixture(scope="session")
def trained_once(mini_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as monkeypatch:
        put_fake_text(monkeypatch)
        data, folder = str(mini_corpus), str(root / "image")
        image.train(image.ImageConfig(data=data, out=folder, max_steps=1, sample_steps=2, **TINY))
        prepare.prepare(
            prepare.PrepareConfig(
                data=data,
                out=str(root / "prepared"),
                vae=str(save_codec(root / "codec")),
                image_unet=str(root / "image/export"),
                num_inversion_steps=2,
                batch_size=4,
            )
        )
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path, fake_text: None) -> Path:
    """A codec, the export of an untrained image UNet, and prepared data: a copy of the test's own."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    return tmp_path
