"""`melfusion assemble`: exports to a checkpoint that plays the same."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from melfusion_core import MelFusionPipeline
from melfusion_core.cli import main
from melfusion_core.training import prepare


@pytest.fixture
def exports(make_tiny_pipeline, minilm, tmp_path, monkeypatch):
    """Folders as the trainers leave them, and the pipeline whose parts they hold."""
    pipe = make_tiny_pipeline(text=minilm)
    stated = {name: tuple(pipe.engine.vae.config[name]) for name in ("latents_mean", "latents_std")}
    monkeypatch.setattr(prepare.PreparedData, "load", lambda _: SimpleNamespace(**stated))
    pipe.engine.vae.save_pretrained(tmp_path / "vae")
    pipe.engine.vocoder.save_pretrained(tmp_path / "vocoder")
    pipe.image_unet.save_pretrained(tmp_path / "image")
    pipe.image_scheduler.save_pretrained(tmp_path / "image" / "scheduler")
    for name in ("unet", "synapse", "scheduler"):
        getattr(pipe, name).save_pretrained(tmp_path / "music" / name)
    (tmp_path / "prepared").mkdir()
    flags = [
        word for name in ("vae", "vocoder", "image", "music", "prepared") for word in (f"--{name}", tmp_path / name)
    ]
    return pipe, [str(flag) for flag in flags]


def test_a_checkpoint_is_assembled_and_plays(exports, sunset, tmp_path):
    pipe, flags = exports
    out = tmp_path / "checkpoint"
    out.mkdir()
    (out / "model_index.json").write_text("{}")
    (out / "README.md").write_text("card")
    (out / "stale.safetensors").write_text("")
    assert main(["assemble", *flags, "--out", str(out)]) == 0
    assert (out / "README.md").read_text() == "card"
    assert not (out / "stale.safetensors").exists() and not (out / "text_encoder").exists()
    loaded = MelFusionPipeline.from_pretrained(out, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    assert list(loaded.engine.vae.config.latents_std) == list(pipe.engine.vae.config.latents_std)
    assert loaded.config.timestep_shift == 4.0 and pipe.config.timestep_shift == 1.0
    settings = {"duration_s": 1.28, "num_inference_steps": 2, "timestep_shift": 1.0, "output_type": "latent"}

    def take(one: MelFusionPipeline) -> torch.Tensor:
        return one("flute", sunset, generator=torch.Generator().manual_seed(0), **settings).audios

    torch.testing.assert_close(take(loaded), take(pipe), atol=0.05, rtol=0.05)


def test_eight_bit_is_smaller_and_scenes_are_shipped(exports, tmp_path, capsys):
    _, flags = exports
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "config.json").write_text("{}")
    more = ["--timestep-shift", "2.5", "--eight-bit", "vocoder", "--scenes", str(tmp_path / "scenes")]
    assert main(["assemble", *flags, "--out", str(tmp_path / "plain")]) == 0
    assert main(["assemble", *flags, *more, "--out", str(tmp_path / "small")]) == 0

    def size(folder: str) -> int:
        return (tmp_path / folder / "diffusion_pytorch_model.safetensors").stat().st_size

    assert size("small/engine/vocoder") < 0.8 * size("plain/engine/vocoder")
    assert size("small/image_unet") == size("plain/image_unet")
    assert (tmp_path / "small/scene_classifier/config.json").is_file()
    assert not (tmp_path / "plain/scene_classifier").exists()
    assert MelFusionPipeline.load_config(tmp_path / "small")["timestep_shift"] == 2.5
    assert main(["assemble", "--preset", "paper", *more[:2], "--out", str(tmp_path / "full")]) == 2
    assert "--timestep-shift" in capsys.readouterr().err
    assert main(["assemble", "--preset", "paper", *more[4:], "--out", str(tmp_path / "full")]) == 2
    assert "--scenes" in capsys.readouterr().err


def test_other_folders_are_left_alone(exports, tmp_path, capsys):
    _, flags = exports
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    assert main(["assemble", *flags, "--out", str(tmp_path / "mine")]) == 2
    assert "it is left alone" in capsys.readouterr().err
    assert main(["assemble", *flags[:-1], str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "does not exist" in capsys.readouterr().err
