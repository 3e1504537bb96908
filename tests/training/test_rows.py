"""Triplets from the layouts in which people have them."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from melfusion_core.training.rows import BadRow, RowError, check_table, open_table
from tests.training.full_size import RATE, make_triplets


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


def test_a_missing_table_is_said(tmp_path, monkeypatch):
    with pytest.raises(RowError, match="no table of triplets"):
        open_table(str(tmp_path / "none.jsonl"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RowError, match=r"melfusion-studio\[hub\]"):
        open_table("someone/some-dataset")


class Features(ModuleType):
    """What this project uses of the package `datasets`."""

    class Audio:
        def __init__(self, decode=True):
            self.decode = decode

    class Image(Audio):
        pass

    class Table(list):
        column_names = ["audio", "image", "caption"]

        def cast_column(self, name, feature):
            assert not feature.decode
            return self


def test_hugging_face_datasets_give_bytes(folder, monkeypatch):
    package = Features("datasets")
    table = Features.Table(
        {
            "audio": {"bytes": (folder / f"{number}.wav").read_bytes(), "path": None},
            "image": {"bytes": (folder / f"{number}.png").read_bytes(), "path": None},
            "caption": "calm",
        }
        for number in range(2)
    )
    table.append({"audio": {"bytes": None, "path": None}, "image": {"bytes": b"no picture"}, "caption": "calm"})
    table.features = {"audio": Features.Audio(), "image": Features.Image(), "caption": None}
    package.load_dataset = lambda name: {"train": table}
    monkeypatch.setitem(sys.modules, "datasets", package)
    rows = open_table("someone/some-dataset")
    assert len(rows) == 3 and rows[0].captions == ("calm",)
    assert rows[0].read_audio(RATE).shape == (RATE,) and rows[1].read_image().size == (20, 16)
    reasons = [reason for _, _, reason in check_table(rows)]
    assert reasons[:2] == ["", ""] and "row 2: audio holds neither" in reasons[2]
    with pytest.raises(RowError, match="no column sound"):
        open_table("someone/some-dataset", columns={"audio": "sound"})
    with pytest.raises(RowError, match="split test"):
        open_table("someone/some-dataset", split="test")
