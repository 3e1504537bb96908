from __future__ import annotations

import pytest
import torch

from melfusion_core.data.corpus import CorpusError, read_corpus
from melfusion_core.training.data import bytes_to_pixels, draw_crops, load_pictures, pixels_to_bytes, read_crop


def test_crops_start_on_the_grid_and_repeat_with_the_seed(mini_corpus):
    clips = read_corpus(mini_corpus)
    crops = [draw_crops(clips, torch.Generator().manual_seed(1), 3, 4096, 512, 32000) for _ in range(2)]
    assert crops[0].shape == (3, 4096)
    assert torch.equal(*crops)
    with pytest.raises(CorpusError, match="shorter"):
        draw_crops(clips, torch.Generator(), 1, 10**6, 512, 32000)


def test_wrong_rate_is_refused(mini_corpus):
    with pytest.raises(CorpusError, match="44100"):
        read_crop(mini_corpus / "audio/0.flac", 44100, 0, 10)


def test_pictures_are_kept_as_bytes(mini_corpus):
    pictures, rows = load_pictures(read_corpus(mini_corpus), 16)
    assert pictures.shape == (6, 3, 16, 16)
    assert len(rows) == 6
    assert torch.equal(pixels_to_bytes(bytes_to_pixels(pictures)), pictures)
