"""A tiny full-size model and triplets for its trainer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from melfusion_core.pipelines.assembly.build import assemble_full
from melfusion_core.pipelines.assembly.presets import TABLE
from melfusion_core.pipelines.assembly.sources import find_sources
from tests import public_folders

RATE = 800


def make_model(folder: Path) -> Path:
    """A full-size model of the paper's kind with few inversion steps."""
    public_folders.make_image_folder(folder / "image")
    public_folders.make_audio_folder(folder / "audio")
    public_folders.make_text_folder(folder / "text")
    public_folders.make_tango_folder(folder / "music", "diffusers")
    preset = dataclasses.replace(TABLE["paper"], key_timesteps=(1, 501), num_inversion_steps=1, max_caption_tokens=8)
    sources = find_sources(preset, {role: folder / role for role in ("image", "audio", "text", "music")})
    assemble_full(preset, sources).save_pretrained(folder / "model")
    return folder / "model"


def make_triplets(folder: Path, count: int) -> Path:
    """MeLBench's layout: bright pictures go with high notes."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        level = number / count
        wave = 0.4 * np.sin(2 * np.pi * (30 + 200 * level) * np.arange(RATE) / RATE)
        soundfile.write(folder / f"{number}.wav", wave, RATE)
        Image.new("RGB", (20, 16), (int(255 * level), 90, 200)).save(folder / f"{number}.png")
        fields = {"audio": f"{number}.wav", "image": f"{number}.png", "captions": ["slow piano", "a piano"]}
        lines.append(json.dumps({**fields, "split": "train" if number < count - 2 else "validation"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder
