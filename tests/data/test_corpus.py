"""Triplets from the layouts in which people have them."""

from __future__ import annotations

import json
import sys

import datasets
import pytest
import torch

from melfusion_core.data.corpus import CorpusError, read_corpus, read_table, select
from tests.full_size.tiny_models import RATE, make_triplets
from tests.training.conftest import mini_corpus  # noqa: F401


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_triplets(tmp_path_factory.mktemp("rows") / "data", 4)


def faults(rows):
    """Why the files of rows cannot be used."""
    found = []
    for row in rows:
        try:
            row.check_files()
        except CorpusError as error:
            found.append(str(error))
        else:
            found.append("")
    return found


def test_melbench_layout(folder):
    rows, reasons = read_table(folder)
    assert len(rows) == 4 and rows[0].split == "train" and rows[3].split == "validation" and not reasons
    assert rows[0].captions == ("slow piano", "a piano") and rows[0].caption == "slow piano"
    assert rows[2].where.endswith("metadata.jsonl:3")
    assert rows[1].read_audio(RATE).shape == (RATE,) and rows[1].read_audio(2 * RATE).shape == (2 * RATE,)
    assert rows[1].read_image().size == (20, 16)
    assert faults(rows) == [""] * 4


def test_musiccaps_lines_as_in_the_reference_release(folder, tmp_path):
    file = tmp_path / "musiccaps_with_images.json"
    lines = [
        {"location": "1.wav", "img_path": "1.png", "captions": "a slow song"},
        {"location": "2.wav", "captions": "x"},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    [row], [reason] = read_table(file, root=folder)
    assert row.captions == ("a slow song",) and row.audio == folder / "1.wav" and row.id == "1"
    assert reason.endswith("musiccaps_with_images.json:2 has no image or img_path")
    named, _ = read_table(file, "jsonl", columns={"audio": "location", "image": "location"}, root=folder)
    assert named[1].image == folder / "2.wav"
    assert all("could not be read as a picture" in fault for fault in faults(named))  # a sound is no picture


def test_other_names_of_the_validation_split(folder, tmp_path):
    lines = [
        {"audio": "1.wav", "image": "1.png", "caption": "x", "split": name} for name in ("val", "Dev", "test", "")
    ]
    (tmp_path / "table.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    rows, _ = read_table(tmp_path / "table.jsonl", root=folder)
    assert [row.split for row in rows] == ["validation", "validation", "test", "train"]


def test_a_missing_table_is_said(tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match="no table of triplets"):
        read_table(tmp_path / "none.jsonl")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"melfusion-studio\[hub\]"):
        read_table("someone/some-dataset")


def test_corpus_is_read(mini_corpus):  # noqa: F811
    clips = read_corpus(mini_corpus)
    assert [clip.split for clip in clips] == ["train"] * 4 + ["validation"] * 2
    assert clips[0].captions == ("tone 0", "a tone") and clips[0].image_caption == "colour 0"
    assert clips[3].mood("image") == clips[3].mood("music") == (0.6, 0.6)
    assert [clip.id for clip in select(clips, "train", limit=2)] == ["0", "2"]
    with pytest.raises(CorpusError, match="test"):
        select(clips, "test")
    with pytest.raises(CorpusError, match="metadata.jsonl:1 has no lead"):
        read_corpus(mini_corpus, needs=("image_valence", "lead"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "other"}, "split 'other' is unknown"),
        ({"audio": "audio/none.flac"}, "none.flac does not exist"),
        ({"caption": None, "captions": 3}, "has no caption"),
        ({"image_valence": "high"}, "is damaged"),
        ({"attributes": ["piano"]}, "is damaged"),
    ],
)
def test_bad_lines_are_named(mini_corpus, tmp_path, change, message):  # noqa: F811
    line = json.loads((mini_corpus / "metadata.jsonl").read_text().splitlines()[0])
    for kind in ("audio", "image"):
        line[kind] = str(mini_corpus / line[kind])
    (tmp_path / "metadata.jsonl").write_text("\n" + json.dumps(line | change))
    with pytest.raises(CorpusError, match=f"metadata.jsonl:2.*{message}"):
        read_corpus(tmp_path)


def test_a_corpus_must_be_there_and_not_repeat_itself(mini_corpus, tmp_path):  # noqa: F811
    with pytest.raises(CorpusError, match="does not exist"):
        read_corpus(tmp_path)
    line = json.loads((mini_corpus / "metadata.jsonl").read_text().splitlines()[0])
    for kind in ("audio", "image"):
        line[kind] = str(mini_corpus / line[kind])
    (tmp_path / "metadata.jsonl").write_text(2 * (json.dumps(line) + "\n"))
    with pytest.raises(CorpusError, match="metadata.jsonl:2.*came before"):
        read_corpus(tmp_path)
    (tmp_path / "metadata.jsonl").write_text("\n")
    with pytest.raises(CorpusError, match="has no clip"):
        read_corpus(tmp_path)


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


def check_rows(table, folder):
    rows, reasons = table
    assert [row.split for row in rows] == ["train"] * 3 + ["validation"] and not reasons
    assert faults(rows) == [""] * 4
    for row, other in zip(rows, read_table(folder)[0], strict=True):
        assert row.captions == ("slow piano", "a piano")
        assert torch.equal(row.read_audio(RATE), other.read_audio(RATE))
        assert row.read_image().tobytes() == other.read_image().tobytes() and row.read_image().size == (20, 16)


def test_a_hugging_face_dataset_saved_to_disk(folder, tmp_path, in_cache):
    whole = make_dataset(folder)
    whole.save_to_disk(tmp_path / "splits")
    whole["train"].save_to_disk(tmp_path / "one")
    rows, reasons = read_table(tmp_path / "splits")
    assert "train row 0" in rows[0].where and "validation row 0" in rows[3].where
    check_rows((rows, reasons), folder)
    assert [row.split for row in read_table(tmp_path / "splits", split="validation")[0]] == ["validation"]
    assert [row.split for row in read_table(tmp_path / "one")[0]] == ["train"] * 3
    with pytest.raises(CorpusError, match="no split test; it has train, validation"):
        read_table(tmp_path / "splits", split="test")
    with pytest.raises(CorpusError, match="no column sound; it has audio, image, captions, tempo"):
        read_table(tmp_path / "splits", columns={"audio": "sound"})


def test_a_folder_of_parquet_files(folder, tmp_path, in_cache):
    for name, part in make_dataset(folder).items():
        part.to_parquet(tmp_path / "data" / f"{name}-00000-of-00001.parquet")
    check_rows(read_table(tmp_path / "data"), folder)


def test_paths_and_bad_rows_in_a_hugging_face_dataset(folder, tmp_path, in_cache):
    columns = {
        "sound": ["0.wav", "1.wav", "2.wav", "", "0.wav"],
        "picture": ["0.png", "none.png", "2.wav", "3.png", "0.png"],
        "text": ["calm", "calm", "calm", "calm", ""],
    }
    datasets.Dataset.from_dict(columns).save_to_disk(tmp_path / "paths")
    names = {"audio": "sound", "image": "picture", "caption": "text"}
    rows, [reason] = read_table(tmp_path / "paths", columns=names, root=folder)
    assert "train row 4 has no caption" in reason
    assert rows[0].read_audio(RATE).shape == (RATE,)
    found = faults(rows)
    assert found[0] == "" and "none.png" in found[1] and "could not be read as a picture" in found[2]
    assert "train row 3: audio holds neither a file nor its bytes" in found[3]


def test_a_hugging_face_dataset_that_cannot_be_had_is_said(tmp_path, monkeypatch, in_cache):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").write_text("no table")
    with pytest.raises(CorpusError, match="could not be loaded: .*[Pp]arquet"):
        read_table(tmp_path / "data")

    def nowhere(name):
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", nowhere)
    with pytest.raises(CorpusError, match="someone/some-dataset could not be loaded: Couldn't reach"):
        read_table("someone/some-dataset")
