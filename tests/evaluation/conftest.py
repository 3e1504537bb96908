"""A tiny corpus on disk, two instruments that differ at once and pictures of known mood, and an untrained judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from melfusion_core.evaluation.judging import Judge
from melfusion_core.models.judge import MelFusionJudge

RATE = 8000
SAMPLES = 4096
TINY_MEL = {"sample_rate": RATE, "n_fft": 512, "hop_length": 128, "n_mels": 32, "fmin": 20.0, "fmax": 4000.0}


def tone(lead: str, arousal: float, seed: int) -> np.ndarray:
    time = np.arange(SAMPLES) / RATE
    rng = np.random.default_rng(seed)
    frequency = (200 if lead == "tuba" else 1500) * rng.uniform(0.9, 1.1)
    pulses = (np.floor(time * (2 + 12 * arousal)) % 2).astype(float)
    return ((0.05 + 0.4 * arousal) * pulses * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for folder in ("audio", "images"):
        (root / folder).mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for index in range(56):
        name, lead, arousal = f"{index:06d}", ("tuba", "flute")[index % 2], float(rng.random())
        soundfile.write(root / "audio" / f"{name}.flac", tone(lead, arousal, index), RATE)
        Image.new("RGB", (16, 16), (int(255 * arousal), 40, 40)).save(root / "images" / f"{name}.jpg")
        row = {
            "id": name,
            "split": "train" if index < 28 else "test",
            "audio": f"audio/{name}.flac",
            "image": f"images/{name}.jpg",
            "caption": f"a piece with {lead}",
            "image_valence": float(rng.random()),
            "image_arousal": arousal,
            "image_kind": "photo" if index % 4 < 2 else "scene",
            "theme": f"theme {index % 7}",
            "music_valence": float(rng.random()),
            "music_arousal": arousal,
            "attributes": {
                "lead": lead,
                "instruments": [lead, "drums"] if index % 3 else [lead],
                "style": ("march", "waltz")[index % 2],
                "mode": ("major", "minor")[index % 2],
                "tempo_word": ("slow", "fast")[index % 2],
                "tempo_bpm": (60.0, 120.0)[index % 2],
                "onset_rate_hz": 1.0 + arousal,
            },
        }
        lines.append(json.dumps(row))
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def make_network(mel: dict) -> MelFusionJudge:
    torch.manual_seed(0)
    sizes = {"channels": (4, 8), "picture_channels": (4, 8), "hidden_dim": 8, "embedding_dim": 4, "joint_dim": 4}
    return MelFusionJudge(
        ("flute", "tuba"), ("drums", "flute", "tuba"), ("march", "waltz"), ("fast", "slow"), ("major", "minor"),
        mel=mel, pitch_n_fft=4 * mel["n_fft"], pitch_hop=4 * mel["hop_length"], pitch_octaves=2, **sizes,
    ).eval()  # fmt: skip


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Untrained, at 8 kHz."""
    return Judge(make_network(TINY_MEL), "tiny judge")
