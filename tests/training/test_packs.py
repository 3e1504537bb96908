"""Packs: quantisation, damage, and the round trip from a corpus to a training step."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from melfusion_core.data.corpus import CorpusError, read_corpus
from melfusion_core.data.packs import PackError, Packs, PackWriter, dequantise, is_packs, quantise, write_pictures
from melfusion_core.training import image, music, packing, prepare
from melfusion_core.training.data import load_pictures, read_crop
from melfusion_core.training.packing import pack_corpus
from tests.training.conftest import TINY


@pytest.fixture
def corpus(mini_corpus, tmp_path):
    """The miniature corpus with subsets: clips 0, 2 and 4 are core."""
    root = tmp_path / "corpus"
    shutil.copytree(mini_corpus, root)
    lines = [json.loads(line) for line in (root / "metadata.jsonl").read_text().splitlines()]
    marked = [json.dumps(line | {"subset": "full" if int(line["id"]) % 2 else "core"}) for line in lines]
    (root / "metadata.jsonl").write_text("\n".join(marked))
    return root


@pytest.fixture
def packed(corpus, codec_folder, tmp_path, fake_text, monkeypatch):
    monkeypatch.setattr(packing, "load_minilm", prepare.load_minilm)
    pack_corpus(corpus, codec_folder, tmp_path / "packs", part_mb=0.004, batch_size=4)
    return tmp_path / "packs"


def test_quantisation_stays_within_half_a_step():
    latents = np.random.default_rng(0).normal(3, 2, (3, 4, 20, 16)).astype(np.float32)
    latents[0, 0] = 1.5
    codes, low, step = quantise(latents)
    error = np.abs(dequantise(codes, low, step) - latents)
    assert codes.dtype == np.uint8 and (error <= step[..., None, None] * 0.501 + 1e-6).all()
    assert error[0, 0].max() < 1e-6
    assert np.sqrt(np.square(error[:, 1:]).mean()) / 2 < 0.012


def test_pictures_fill_parts_up_to_the_limit(tmp_path):
    writer = PackWriter(tmp_path, part_mb=0.0015)
    files = [bytes([row]) * 300 for row in range(7)]
    write_pictures(writer, files)
    assert [part["count"] for part in writer.parts] == [3, 3, 1]
    with pytest.raises(PackError, match="part"):
        PackWriter(tmp_path / "other", part_mb=0)


def test_manifest_describes_the_parts(packed, corpus):
    packs = Packs(packed)
    manifest = packs.manifest
    assert manifest["clips"] == 6 and manifest["codec"]["_class_name"] == "PatchCodec"
    assert sum(part["count"] for part in manifest["parts"] if part["kind"] == "latents") == 6
    assert sum(part["kind"] == "latents" for part in manifest["parts"]) > 1
    assert 0 < manifest["latents"]["rms_error_in_std"] < 0.02
    assert packs.pictures() == [(corpus / f"images/{number}.jpg").read_bytes() for number in range(6)]
    assert packs.texts[0] == ""


def test_clips_of_packs_are_those_of_the_corpus(packed, corpus):
    ours, theirs = read_corpus(packed), read_corpus(corpus)
    assert [(c.id, c.split, c.captions, c.image_caption) for c in ours] == [
        (c.id, c.split, c.captions, c.image_caption) for c in theirs
    ]
    assert torch.equal(load_pictures(ours, 16)[0], load_pictures(theirs, 16)[0])
    assert [clip.id for clip in read_corpus(packed, "core")] == [clip.id for clip in read_corpus(corpus, "core")]
    with pytest.raises(CorpusError, match="hold no audio"):
        read_crop(ours[0].audio, 32000, 0, 10)
    with pytest.raises(CorpusError, match="subset"):
        read_corpus(packed, "other")


@pytest.mark.parametrize("harm", ["missing", "short", "changed", "version", "unreadable"])
def test_damage_is_named(packed, harm):
    part = next(p["file"] for p in json.loads((packed / "packs.json").read_text())["parts"] if p["kind"] == "latents")
    path = packed / part
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "short":
        path.write_bytes(content[:-1])
    elif harm == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "version":
        manifest = json.loads((packed / "packs.json").read_text())
        (packed / "packs.json").write_text(json.dumps(manifest | {"version": 99}))
    else:
        (packed / "packs.json").write_text("{")
    expected = {"missing": "missing", "short": "bytes", "changed": "damaged", "version": "99", "unreadable": "not a"}
    with pytest.raises(PackError, match=expected[harm]):
        Packs(packed)


def test_unfinished_packs_are_no_packs(packed, corpus, codec_folder):
    with pytest.raises(PackError, match="already"):
        pack_corpus(corpus, codec_folder, packed)
    (packed / "packs.json").unlink()
    assert not is_packs(packed)
    with pytest.raises(PackError, match="does not exist"):
        Packs(packed)


def test_round_trip_to_training(packed, corpus, codec_folder, tmp_path):
    """Packs and the corpus they come from prepare to the same data, up to the quantisation; two steps of training."""
    run = image.ImageConfig(data=str(packed), out=str(tmp_path / "image"), max_steps=1, sample_steps=2, **TINY)
    image.train(run)
    settings = {"image_unet": str(tmp_path / "image/export"), "num_inversion_steps": 2, "batch_size": 4}
    direct = prepare.PrepareConfig(data=str(corpus), out=str(tmp_path / "direct"), vae=str(codec_folder), **settings)
    prepare.prepare(direct)
    prepare.prepare(prepare.PrepareConfig(data=str(packed), out=str(tmp_path / "unpacked"), **settings))
    first, second = (prepare.PreparedData.load(tmp_path / name) for name in ("direct", "unpacked"))
    std = np.asarray(first.latents_std)[:, None, None]
    error = (first.latents.astype(np.float32) - second.latents.astype(np.float32)) / std
    stated = Packs(packed).manifest["latents"]
    assert np.abs(error).max() <= stated["largest_error_in_std"] + 5e-3  # float16 rounds as well
    assert first.latents_std == pytest.approx(second.latents_std, abs=1e-5)
    assert [clip["captions"] for clip in first.clips] == [clip["captions"] for clip in second.clips]
    assert np.array_equal(first.captions.states, second.captions.states)
    assert np.array_equal(first.features, second.features)
    shared = {"max_steps": 2, "crop_frames": 4, "validation_clips": 2, "sample_steps": 2, **TINY}
    result = music.train(music.MusicConfig(data=str(tmp_path / "unpacked"), out=str(tmp_path / "m"), **shared))
    assert result.finished and result.step == 2


def test_training_from_packs_in_one_go(packed, tmp_path, fake_text):
    image.train(image.ImageConfig(data=str(packed), out=str(tmp_path / "i"), max_steps=1, sample_steps=2, **TINY))
    config = music.MusicConfig(
        data=str(packed), out=str(tmp_path / "m"), image_unet=str(tmp_path / "i/export"), subset="core", max_steps=1,
        crop_frames=4, validation_clips=2, sample_steps=2, **TINY,
    )  # fmt: skip
    with pytest.raises(CorpusError, match="test"):  # the splits are those of the subset
        prepare.prepare(prepare.PrepareConfig(data=str(packed), out=str(tmp_path / "p"), splits=("test",),
                                              subset="core", image_unet="x"))  # fmt: skip
    task = music.MusicTask(config, torch.device("cpu"))
    assert [clip["id"] for clip in task.data.clips] == ["0", "2", "4"]
    assert (tmp_path / "m/prepared/latents.json").is_file()
