"""Triplets from the layouts in which people have them."""

from __future__ import annotations

import json
import sys

import datasets
import pytest
import torch

from melfusion_core.full_size.rows import BadRow, RowError, check_table, open_table
from tests.full_size.tiny_models import RATE, make_triplets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_triplets(tmp_path_factory.mktemp("rows") / "data", 4)


def test_melbench_layout(folder):
    table = open_table(str(folder))
    assert len(table) == 4 and table[0].split == "train" and table[3].split == "validation"
    assert table[0].captions == ("slow piano", "a piano") and table[2].where == "metadata.jsonl line 3"
    assert table[1].read_audio(RATE).shape == (RATE,) and table[1].read_audio(2 * RATE).shape == (2 * RATE,)
    assert table[1].read_image().size == (20, 16)
    assert [reason for _, _, reason in check_table(table)] == [""] * 4


def test_musiccaps_lines_as_in_the_reference_release(folder, tmp_path):
    file = tmp_path / "musiccaps_with_images.json"
    rows = [
        {"location": "1.wav", "img_path": "1.png", "captions": "a slow song"},
        {"location": "2.wav", "captions": "x"},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    table = open_table(str(file), root=str(folder))
    assert table[0].captions == ("a slow song",) and table[0].audio == folder / "1.wav"
    assert isinstance(table[1], BadRow) and "line 2 has no image or img_path" in table[1].reason
    named = open_table(str(file), "jsonl", columns={"audio": "location", "image": "location"}, root=str(folder))
    assert named[1].image == folder / "2.wav"
    assert [bool(reason) for _, _, reason in check_table(named)] == [True, True]  # a sound is no picture


def test_other_names_of_the_validation_split(folder, tmp_path):
    lines = [
        {"audio": "1.wav", "image": "1.png", "caption": "x", "split": name} for name in ("val", "Dev", "test", "")
    ]
    (tmp_path / "table.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    rows = open_table(str(tmp_path / "table.jsonl"), root=str(folder))
    assert [row.split for row in rows] == ["validation", "validation", "test", "train"]


def test_a_missing_table_is_said(tmp_path, monkeypatch):
    with pytest.raises(RowError, match="no table of triplets"):
        open_table(str(tmp_path / "none.jsonl"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RowError, match=r"melfusion-studio\[hub\]"):
        open_table("someone/some-dataset")


def make_dataset(folder):
    """The first three rows for training and the last for validation, as paths and as sounds and pictures."""
    paths = {
        "audio": [str(folder / f"{number}.wav") for number in range(4)],
        "image": [str(folder / f"{number}.png") for number in range(4)],
        "captions": [["slow piano", "a piano"]] * 4,
        "tempo": [90] * 4,
    }
    whole = datasets.Dataset.from_dict(paths)
    whole = whole.cast_column("audio", datasets.Audio()).cast_column("image", datasets.Image())
    return datasets.DatasetDict(train=whole.select(range(3)), validation=whole.select([3]))


@pytest.fixture
def in_cache(tmp_path, monkeypatch):
    """Nothing is written to the user's cache, and no progress bar drawn."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def check_rows(rows, folder):
    assert [row.split for row in rows] == ["train"] * 3 + ["validation"]
    assert [reason for _, _, reason in check_table(rows)] == [""] * 4
    plain = open_table(str(folder))
    for row, other in zip(rows, plain, strict=True):
        assert row.captions == ("slow piano", "a piano")
        assert torch.equal(row.read_audio(RATE), other.read_audio(RATE))
        assert row.read_image().tobytes() == other.read_image().tobytes() and row.read_image().size == (20, 16)


def test_a_hugging_face_dataset_saved_to_disk(folder, tmp_path, in_cache):
    whole = make_dataset(folder)
    whole.save_to_disk(tmp_path / "splits")
    whole["train"].save_to_disk(tmp_path / "one")
    rows = open_table(str(tmp_path / "splits"))
    assert isinstance(rows[0].audio, bytes) and "train row 0" in rows[0].where and "validation row 0" in rows[3].where
    check_rows(rows, folder)
    assert [row.split for row in open_table(str(tmp_path / "splits"), split="validation")] == ["validation"]
    assert [row.split for row in open_table(str(tmp_path / "one"))] == ["train"] * 3
    with pytest.raises(RowError, match="no split test; it has train, validation"):
        open_table(str(tmp_path / "splits"), split="test")
    with pytest.raises(RowError, match="no column sound; it has audio, image, captions, tempo"):
        open_table(str(tmp_path / "splits"), columns={"audio": "sound"})


def test_a_folder_of_parquet_files(folder, tmp_path, in_cache):
    for name, part in make_dataset(folder).items():
        part.to_parquet(tmp_path / "data" / f"{name}-00000-of-00001.parquet")
    check_rows(open_table(str(tmp_path / "data")), folder)


def test_paths_and_bad_rows_in_a_hugging_face_dataset(folder, tmp_path, in_cache):
    columns = {
        "sound": ["0.wav", "1.wav", "2.wav", ""],
        "picture": ["0.png", "none.png", "2.wav", "3.png"],
        "text": ["calm", "calm", "calm", "calm"],
    }
    datasets.Dataset.from_dict(columns).save_to_disk(tmp_path / "paths")
    names = {"audio": "sound", "image": "picture", "caption": "text"}
    rows = open_table(str(tmp_path / "paths"), columns=names, root=str(folder))
    assert rows[0].audio == folder / "0.wav" and rows[0].read_audio(RATE).shape == (RATE,)
    reasons = [reason for _, _, reason in check_table(rows)]
    assert reasons[0] == "" and "none.png" in reasons[1] and "2.wav could not be read as a picture" in reasons[2]
    assert "train row 3: audio holds neither a file nor its bytes" in reasons[3]


def test_a_hugging_face_dataset_that_cannot_be_had_is_said(tmp_path, monkeypatch, in_cache):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").write_text("no table")
    with pytest.raises(RowError, match="could not be loaded: .*[Pp]arquet"):
        open_table(str(tmp_path / "data"))

    def nowhere(name):
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", nowhere)
    with pytest.raises(RowError, match="someone/some-dataset could not be loaded: Couldn't reach"):
        open_table("someone/some-dataset")
