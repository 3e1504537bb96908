"""Tiny CLAP and CLIP of the public classes, for tests."""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from transformers import ClapFeatureExtractor

from melfusion_core.full_size.joint_embedders import Clap, OpenClip
from tests.full_size import public_folders

RATE = 16000


def make_clap(folder: Path) -> Clap:
    """CLAP from a folder of its layout."""
    torch.manual_seed(0)
    public_folders.clap_model().save_pretrained(folder)
    public_folders.roberta_tokenizer().save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=RATE,
        hop_length=160,
        max_length_s=1,
        fft_window_size=512,
        truncation="rand_trunc",
        frequency_max=8000,
    ).save_pretrained(folder)
    return Clap(folder)


def make_clip() -> OpenClip:
    """open_clip's CLIP with one layer, untrained."""
    torch.manual_seed(0)
    clip = OpenClip.__new__(OpenClip)
    clip.name, clip.device = "tiny CLIP", torch.device("cpu")
    clip.model = open_clip.CLIP(
        8,
        {"layers": 1, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 32},
        {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
    ).eval()
    clip.transform = open_clip.image_transform(32, is_train=False)
    clip.tokenizer = open_clip.SimpleTokenizer(context_length=16)
    return clip
