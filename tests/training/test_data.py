from __future__ import annotations

import json

import pytest
import torch

from melfusion_core.training.data import (
    CorpusError,
    bytes_to_pixels,
    draw_crops,
    load_pictures,
    pixels_to_bytes,
    read_corpus,
    read_crop,
    select,
)


def test_corpus_is_read(mini_corpus):
    clips = read_corpus(mini_corpus)
    assert [clip.split for clip in clips] == ["train"] * 4 + ["validation"] * 2
    assert clips[0].captions == ("tone 0", "a tone")
    assert [clip.id for clip in select(clips, "train", limit=2)] == ["0", "2"]
    with pytest.raises(CorpusError, match="test"):
        select(clips, "test")


@pytest.mark.parametrize(
    "change", [{"split": "other"}, {"audio": "audio/none.flac"}, {"caption": None, "captions": 3}]
)
def test_bad_lines_are_named(mini_corpus, tmp_path, change):
    line = json.loads((mini_corpus / "metadata.jsonl").read_text().splitlines()[0]) | change
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    with pytest.raises(CorpusError, match="metadata.jsonl:1"):
        read_corpus(tmp_path)


def test_missing_manifest(tmp_path):
    with pytest.raises(CorpusError, match="does not exist"):
        read_corpus(tmp_path)


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
