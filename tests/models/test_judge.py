"""The judge network: shapes, invariances, saving."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from melfusion_core.models.judge import MelFusionJudge, clip_statistics, onset_autocorrelation

MEL = {"sample_rate": 8000, "n_fft": 512, "hop_length": 128, "n_mels": 32, "fmin": 20.0, "fmax": 4000.0}
SAMPLES = 8192


@pytest.fixture(scope="module")
def judge() -> MelFusionJudge:
    torch.manual_seed(0)
    sizes = {"channels": (4, 8), "picture_channels": (4, 8), "hidden_dim": 16, "embedding_dim": 6, "joint_dim": 5}
    names = (("flute", "tuba", "harp"), ("flute", "tuba"), ("waltz", "march"), ("slow", "fast"), ("major", "minor"))
    return MelFusionJudge(*names, mel=MEL, pitch_n_fft=2048, pitch_hop=512, pitch_octaves=3, **sizes).eval()


def test_shapes_and_unit_vectors(judge):
    waveforms = torch.randn(2, SAMPLES + 7, generator=torch.Generator().manual_seed(0)) * 0.1
    mel, pitch = judge.listen(waveforms)
    assert mel.shape == (2, 1, 64, 32) and pitch.shape == (2, 16, 36)
    heard = judge(mel, pitch)
    assert heard.lead.shape == (2, 3) and heard.instruments.shape == (2, 2) and heard.scalars.shape == (2, 4)
    assert heard.embedding.shape == (2, 6)
    seen, mood = judge.see(torch.zeros(2, 3, 64, 64))
    read = judge.read(torch.randn(2, 384))
    assert seen.shape == read.shape == heard.joint.shape == (2, 5) and mood.shape == (2, 2)
    for vectors in (seen, read, heard.joint):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match="at least"):
        judge.listen(waveforms[:, :600])


def test_saved_in_half_precision_and_loaded(judge, tmp_path):
    mel, pitch = judge.listen(torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(1)) * 0.1)
    before = judge(mel, pitch)
    judge.save_pretrained(tmp_path / "full")
    same = MelFusionJudge.from_pretrained(tmp_path / "full").eval()
    torch.testing.assert_close(same(mel, pitch).embedding, before.embedding)
    same.half().save_pretrained(tmp_path / "half")
    half = MelFusionJudge.from_pretrained(tmp_path / "half").float().eval()
    torch.testing.assert_close(half(mel, pitch).embedding, before.embedding, atol=2e-2, rtol=2e-2)
    assert list(half.config.leads) == ["flute", "tuba", "harp"] and half.mel_config == judge.mel_config


def test_pitch_spectrum_finds_the_semitone(judge):
    time = torch.arange(SAMPLES) / 8000
    _, pitch = judge.listen(0.5 * torch.sin(2 * torch.pi * 220.0 * time)[None])
    assert int(pitch[0].mean(0).argmax()) == 24  # two octaves above 55 Hz


def test_circle_does_not_know_the_key(judge):
    spectrum = torch.rand(1, 16, 36, generator=torch.Generator().manual_seed(2))
    moved = spectrum.unflatten(-1, (3, 12)).roll(5, dims=-1).flatten(-2)
    torch.testing.assert_close(judge.audio._circle(spectrum), judge.audio._circle(moved))


def test_statistics_and_lags_in_closed_form():
    bands = torch.zeros(1, 101, 4)
    bands[0, ::10] = 2.0
    statistics = clip_statistics(bands)
    assert statistics.shape == (1, 9, 4)
    np.testing.assert_allclose(statistics[0, :, 0][[1, 4, 6]], [2.0, 2.0, 0.2], atol=1e-6)
    lags = onset_autocorrelation(bands).unflatten(1, (4, 64))[0, 0]
    assert int(lags.argmax()) == 9 and lags[9] > 0.7  # lag 10 is the tenth


def test_the_grids_must_fit():
    with pytest.raises(ValueError, match="no multiple"):
        MelFusionJudge(("a", "b"), ("a",), ("a",), ("a",), ("a",), mel=MEL, pitch_hop=300)
