"""What the studio made, the command line makes again from the file's own recipe."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from demo.engine import PipelineEngine
from demo.exports import export_take
from demo.service import StudioService
from demo.takes import Result
from melfusion_core import ISTFTVocoder
from melfusion_core.cli import main
from tests import system
from tests.demo.fakes import wish


@pytest.fixture
def model_folder(make_tiny_pipeline, tmp_path):
    """A tiny untrained model at 8 kHz: the studio measures loudness, for which 800 Hz are too few."""
    pipe = make_tiny_pipeline()
    mel = {"sample_rate": 8000, "n_fft": 256, "hop_length": 64, "n_mels": 32, "fmin": 20.0, "fmax": 4000.0}
    torch.manual_seed(0)
    pipe.engine.vocoder = ISTFTVocoder(dim=8, num_layers=1, expansion=2, **mel)
    pipe.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_studio_file_is_made_again(model_folder, sunset: Image.Image, tmp_path, capsys):
    system.require_program("ffmpeg")
    sunset.save(tmp_path / "sunset.png")
    service = StudioService(PipelineEngine.from_folder(model_folder))
    request = wish(str(tmp_path / "sunset.png"), "slow piano", seed=5, duration_s=2.56, num_inference_steps=2)
    files = []
    for event in service.compose(request):
        if isinstance(event, Result):
            for name in ("with_image", "text_only"):
                files.append(tmp_path / f"{name}.wav")
                shutil.copy(getattr(event, name).path, files[-1])
            finished = [export_take(event.main, event.mode, k, tmp_path) for k in ("MP4", "MP3", "FLAC")]
    assert len(files) == 2
    for file in [*files, *finished]:
        command = ["generate", "--recipe", str(file), "--image", str(tmp_path / "sunset.png")]
        assert main([*command, "--model", str(model_folder), "--out", str(tmp_path / "again.wav"), "--force"]) == 0
        whole = file if file.suffix == ".wav" else files[0]  # the others round the samples otherwise, or lose some
        made, again = (soundfile.read(path, dtype="int16")[0] for path in (whole, tmp_path / "again.wav"))
        assert np.abs(made).max() > 100
        np.testing.assert_array_equal(made, again)
    # The cover is a small copy; it is never taken for the picture itself.
    (tmp_path / "sunset.png").unlink()
    assert main(["generate", "--recipe", str(finished[0]), "--model", str(model_folder)]) == 2
    assert "give it with --image" in capsys.readouterr().err
