"""Figures of mels: one scale for a pair, and no global matplotlib state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from melfusion_core import spectrogram
from melfusion_core.mel import MelConfig, MelSpectrogram, SlaneyMelConfig, mel_to_db

CONFIG = MelConfig()


def tone_mel(frequency_hz: float, config: MelConfig = CONFIG) -> torch.Tensor:
    time_s = torch.arange(32 * config.hop_length) / config.sample_rate
    waveform = 0.5 * torch.sin(2 * torch.pi * frequency_hz * time_s)
    return mel_to_db(MelSpectrogram(config)(waveform[None]), config)[0, 0]


@pytest.mark.parametrize("config", [CONFIG, SlaneyMelConfig()], ids=["htk", "slaney"])
@pytest.mark.parametrize("frequency_hz", [250.0, 1000.0, 4000.0])
def test_mel_bin_is_where_a_tone_is_loudest(frequency_hz, config):
    loudest = int(tone_mel(frequency_hz, config)[16].argmax())
    assert abs(spectrogram.mel_bin(frequency_hz, config) - loudest) <= 1.0


def test_the_scale_follows_what_is_shown():
    mel = tone_mel(1000.0)
    low, high = spectrogram.level_range(mel)
    assert low < np.percentile(mel, 99.9) <= high <= np.ceil(20 * np.log10(CONFIG.n_fft / 2))
    assert spectrogram.level_range(mel - 30.0) == (low - 30.0, high - 30.0), "quiet takes use all colours too"
    assert spectrogram.level_range(mel, mel - 30.0)[1] == high, "one scale for both"
    assert spectrogram.level_range(np.zeros((4, 8))) == (-spectrogram.NARROWEST_DB, 0.0), "silence is no noise"


def test_colourise_puts_low_frequencies_at_the_bottom():
    mel = torch.full((5, 8), -100.0)
    mel[:, 0] = 100.0
    pixels = spectrogram.colourise(mel, -80.0, 40.0)
    assert pixels.shape == (8, 5, 3)
    assert pixels.dtype == np.uint8
    assert pixels[-1].min() > pixels[0].max()
    with pytest.raises(ValueError, match="must lie above"):
        spectrogram.colourise(mel, db_min=3.0, db_max=3.0)


def test_pair_shares_one_scale_and_shows_the_difference(tmp_path):
    first, second = tone_mel(500.0), tone_mel(2000.0)
    figure = spectrogram.plot_pair(first, second, CONFIG, titles=("A $x", "B"))
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 3
    assert images[0].get_clim() == images[1].get_clim() == spectrogram.level_range(first, second)
    assert images[2].get_clim() == (-spectrogram.DB_DIFFERENCE, spectrogram.DB_DIFFERENCE)
    difference = np.asarray(images[2].get_array())
    assert difference.max() > 10.0 > -10.0 > difference.min()
    path = spectrogram.save_figure(figure, tmp_path / "pair.png")
    with Image.open(path) as image:
        assert image.size == (1080, 960)
    again = spectrogram.save_figure(spectrogram.plot_pair(first, second, CONFIG, titles=("A $x", "B")), tmp_path / "2")
    assert path.read_bytes() == again.read_bytes()


def test_one_mel(tmp_path):
    path = spectrogram.save_figure(spectrogram.plot_mel(tone_mel(500.0), CONFIG, "One"), tmp_path / "one.png", dpi=60)
    with Image.open(path) as image:
        assert image.size == (540, 180)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(frames, n_mels\)"):
        spectrogram.plot_mel(torch.zeros(1, 1, 4, 4), CONFIG)
    with pytest.raises(ValueError, match="only at one shape"):
        spectrogram.plot_pair(torch.zeros(4, 128), torch.zeros(5, 128), CONFIG)
