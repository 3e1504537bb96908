"""Files to take home and back, what the browser remembers, finished examples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mutagen.mp4
import numpy as np
import pytest
import soundfile

from demo import exports
from demo.examples import finished_result, load_examples
from demo.exports import export_take
from demo.keep import take_choices
from demo.render_examples import render
from demo.service import StudioService
from demo.take_files import read_take
from demo.take_store import TakeStore
from demo.takes import Result, StudioError
from melfusion_core.audio import integrated_lufs
from tests import system
from tests.demo.fakes import FakeEngine, wish

SHORT = {"num_inference_steps": 1, "duration_s": 2.56}
RATE = FakeEngine().sample_rate


@pytest.fixture(scope="module")
def result(pictures) -> Result:
    request = wish(str(pictures[0]), "Ünder the $(sea)", seed=3, negative_prompt="drums", **SHORT)
    *_, result = StudioService(FakeEngine()).compose(request)
    return result


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_sound_files_carry_recipe_and_cover(result, tmp_path, kind):
    for take in result.takes:
        path = export_take(take, result.mode, kind, tmp_path)
        assert path.name.startswith("under-the-sea-seed3-") and path.suffix == f".{kind.lower()}"
        recipe, cover = read_take(path)
        assert recipe == take.recipe
        assert max(cover.size) <= 512, "the twin from the words alone carries the picture of the comparison as well"
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        assert integrated_lufs(samples, rate) == pytest.approx(integrated_lufs(take.samples, rate), abs=0.2)
        if kind != "MP3":
            assert np.abs(samples - take.samples).max() < 1e-4


def test_the_video_carries_recipe_cover_picture_and_sound(result, tmp_path):
    system.require_program("ffmpeg")
    for take in result.takes:
        path = export_take(take, result.mode, "MP4", tmp_path)
        recipe, cover = read_take(path)
        assert recipe == take.recipe and max(cover.size) <= 512
        video = mutagen.mp4.MP4(path)
        assert video.info.length == pytest.approx(2.56, abs=0.15) and video["covr"]


def test_without_ffmpeg_it_is_said(result, tmp_path, monkeypatch):
    monkeypatch.setattr(exports.shutil, "which", lambda name: None)
    with pytest.raises(StudioError, match="ffmpeg, which is not installed"):
        export_take(result.main, result.mode, "MP4", tmp_path)
    with pytest.raises(StudioError, match="OGG is not a kind"):
        export_take(result.main, result.mode, "OGG", tmp_path)


def test_recipe_and_spectrogram_are_files_too(result, tmp_path):
    recipe, cover = read_take(export_take(result.main, result.mode, "JSON", tmp_path))
    assert recipe == result.main.recipe and cover is None
    assert export_take(result.main, result.mode, "PNG", tmp_path).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["other.wav", "other.mp4", "other.json", "other.txt"])
def test_files_without_a_recipe_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of ours")
    with pytest.raises(StudioError, match=f"{name} cannot be opened here"):
        read_take(tmp_path / name)


def test_takes_are_named_for_the_downloads(result):
    assert take_choices(result) == [("A · Picture and words", 0), ("B · Words alone", 1)]


def test_the_server_keeps_what_there_is_room_for(result):
    size = sum(take.view.nbytes + take.samples.nbytes for take in result.takes) + 4 * 64 * 48
    store = TakeStore(max_bytes=2 * size + 1)
    for name in ("a", "b"):
        store.keep(name, result)
    assert store.find("a") is result, "asked for, so now newer than b"
    store.keep("c", result)
    assert store.find("b") is None and store.find("a") and store.find("c") and store.find(None) is None
    for _ in range(5):
        store.keep("a", result)
    assert store.find("c"), "the same name takes no more room"


def test_examples_are_rendered_once_and_read_without_an_engine(pictures, tmp_path):
    shutil.copy(pictures[1], tmp_path / "checkers.jpg")
    rows = [{"file": "checkers.jpg", "title": "Checkers", "caption": "A quick flute"}]
    (tmp_path / "examples.json").write_text(json.dumps(rows))
    [bare] = load_examples(tmp_path)
    assert finished_result(bare) is None
    assert render(StudioService(FakeEngine()), tmp_path, steps=1, seed=5) == 0
    [example] = load_examples(tmp_path)
    assert [Path(path).name for path in example.takes] == ["checkers-a.flac", "checkers-b.flac"]
    found = finished_result(example)
    *_, made = StudioService(FakeEngine()).compose(
        wish(example.image_path, example.caption, seed=5, num_inference_steps=1)
    )
    for read, fresh in zip(found.takes, made.takes, strict=True):
        assert read.title == fresh.title and (read.image is None) == (fresh.image is None)
        assert np.abs(read.samples - fresh.samples).max() < 1e-4
        seen, expected = read.view.mel_db, fresh.view.mel_db
        loud = expected > -40
        assert np.abs(seen[: len(expected)] - expected)[loud[: len(seen)]].mean() < 3.0
    assert found.seed == 5
