"""A tiny full-size model and triplets for its trainer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from melfusion_core.audio import load_audio
from melfusion_core.full_size.build import assemble_full
from melfusion_core.full_size.presets import TABLE
from melfusion_core.full_size.sources import find_sources
from melfusion_core.mel import MelSpectrogram
from tests.full_size import public_folders

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


def make_small_model(folder: Path, sounds: Path, **synapse: Any) -> Path:
    """A model of the paper's kind with two connected layers, whose latents have mean 0 and variance 1.

    Real VAEs have such latents; an untrained one says nearly the same of every sound.
    """
    public_folders.make_image_folder(folder / "image")
    public_folders.make_audio_folder(folder / "audio")
    public_folders.make_text_folder(folder / "text")
    public_folders.make_tango_folder(folder / "music", "diffusers")
    blocks = {
        "block_out_channels": (16, 16),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 2,
    }
    for role, channels, width in (("image", 4, 12), ("music", 8, 16)):
        torch.manual_seed(len(role))
        sizes = {"sample_size": 8, "in_channels": channels, "out_channels": channels, "cross_attention_dim": width}
        UNet2DConditionModel(**blocks, **sizes).save_pretrained(folder / role / "unet")
    preset = dataclasses.replace(TABLE["paper"], key_timesteps=(1, 501), num_inversion_steps=1, max_caption_tokens=8)
    sources = find_sources(preset, {role: folder / role for role in ("image", "audio", "text", "music")})
    pipe = assemble_full(preset, sources, **synapse)
    mels = MelSpectrogram(pipe.engine.mel_config)
    waves = [load_audio(file, RATE) for file in sorted(sounds.glob("*.wav"))]
    with torch.no_grad():
        found = torch.cat([pipe.engine.vae.encode(mels(wave[None])).latent_dist.mode() for wave in waves])
    mean, std = found.mean(dim=(0, 2, 3)), found.std(dim=(0, 2, 3))
    pipe.engine.vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist(), scaling_factor=1.0)
    pipe.save_pretrained(folder / "model")
    return folder / "model"


def make_pairs(folder: Path) -> Path:
    """32 triplets of four very different pictures with a sound each; the caption says nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = np.arange(128) / RATE
    draw = np.random.default_rng(0)
    sounds = (
        0.5 * np.sin(2 * np.pi * 50 * seconds),
        0.002 * draw.standard_normal(128),
        0.2 * draw.standard_normal(128).clip(-2, 2),
        0.5 * np.sin(2 * np.pi * 300 * seconds) * np.exp(-60 * seconds),
    )
    rows, columns = np.indices((32, 32))
    chequers = (rows // 4 + columns // 4) % 2
    pictures = (
        np.full((32, 32, 3), 10),
        np.full((32, 32, 3), 245),
        chequers[..., None] * np.array([255, 255, 0]),
        np.stack([8 * columns, 0 * columns, 255 - 8 * columns], axis=-1),
    )
    for number, (sound, picture) in enumerate(zip(sounds, pictures, strict=True)):
        soundfile.write(folder / f"{number}.wav", sound, RATE, subtype="FLOAT")
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
    lines = [
        {"audio": f"{n % 4}.wav", "image": f"{n % 4}.png", "caption": "music", "split": "train"} for n in range(32)
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


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
