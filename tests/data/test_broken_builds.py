"""Corpora that were broken off, cut short or written by strangers: told in words, and nothing leaves its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from melfusion_core.cli import main
from melfusion_core.data import triplets
from melfusion_core.data.corpus import CorpusError
from melfusion_core.data.listening_page import write_listening_page
from melfusion_core.data.marker import MarkerError, read_marker, write_marker
from melfusion_core.data.renderer import RendererError, check_renderer
from melfusion_core.data.score_corpus import ScoreCorpusSpec, build_score_corpus
from melfusion_core.data.triplets import CorpusSpec, build_corpus
from tests.system import require_program


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 500, b"RIFF\xff\xff\0\0sfbk" + b"x" * 90, b"RIFF\x04\0\0\0WAVE", b"RIFF"]
)
def test_a_font_that_is_none_is_refused_before_anything_is_written(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("melfusion_core.data.renderer.shutil.which", lambda name: "/bin/true")
    font = tmp_path / "bad.sf2"
    font.write_bytes(data)
    with pytest.raises(RendererError, match="bad.sf2 is no whole SoundFont"):
        check_renderer(font)
    out = tmp_path / "corpus"
    assert main(["corpus", "build", "--clips", "1", "--soundfont", str(font), "--out", str(out)]) == 1
    assert "bad.sf2 is no whole SoundFont" in capsys.readouterr().err and not out.exists()


def test_a_record_is_whole_or_told_by_its_file(tmp_path, monkeypatch, capsys):
    marker = tmp_path / "spec.json"
    assert read_marker(marker) is None
    write_marker(marker, {"a": 1})
    assert read_marker(marker) == {"a": 1} and list(tmp_path.iterdir()) == [marker]
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        write_marker(marker, {"a": 2})
    monkeypatch.undo()
    assert read_marker(marker) == {"a": 1} and list(tmp_path.iterdir()) == [marker]
    marker.write_text("")
    with pytest.raises(MarkerError, match=r"spec\.json is damaged"):
        build_score_corpus(tmp_path, ScoreCorpusSpec(2), progress=False)
    assert main(["corpus", "scores", "--sections", "2", "--out", str(tmp_path)]) == 1
    assert "spec.json is damaged" in capsys.readouterr().err


def test_clips_that_were_cut_short_are_made_again(tmp_path):
    require_program("fluidsynth")
    spec = CorpusSpec(clips=2, seed=3)
    build_corpus(tmp_path, spec, workers=1, progress=False)
    clip = tmp_path / "audio" / "000001.flac"
    whole = clip.read_bytes()
    for cut in (whole[: len(whole) // 2], whole[:60], b""):
        clip.write_bytes(cut)
        build_corpus(tmp_path, spec, workers=1, progress=False)
        assert clip.read_bytes() == whole
    assert not (tmp_path / triplets.SCRATCH).exists()


@pytest.fixture
def corpus(tmp_path) -> Path:
    root = tmp_path / "corpus"
    (root / "audio").mkdir(parents=True)
    soundfile.write(root / "audio" / "a.flac", 0.1 * np.sin(np.arange(32_000) / 9), 32_000)
    Image.new("RGB", (20, 20), "teal").save(root / "a.png")
    return root


def row(**changes: object) -> str:
    plain = {"id": "1", "split": "train", "audio": "audio/a.flac", "image": "a.png", "caption": "<b>Piano</b>\u2028x"}
    return json.dumps(plain | changes, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", ["../../../X", "/tmp/X", "a/b", "..", 'x" onload="alert(1)', "n\u2028n", "z\0"])
def test_an_id_names_no_file(name, corpus, tmp_path):
    (corpus / "metadata.jsonl").write_text(row(id=name), encoding="utf-8")
    before = {path for path in tmp_path.rglob("*")}
    page = write_listening_page(corpus, tmp_path / "page")
    new = {path for path in tmp_path.rglob("*")} - before
    assert all(path.is_relative_to(tmp_path / "page") for path in new)
    assert {path.name for path in (tmp_path / "page" / "media").iterdir()} == {
        "000000.flac", "000000.png", "000000-spectrogram.png",
    }  # fmt: skip
    assert "<b>Piano" not in page.read_text(encoding="utf-8") and '" onload="' not in page.read_text(encoding="utf-8")


def test_no_file_from_elsewhere_is_copied_into_the_page(corpus, tmp_path, capsys):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (9, 9), "red").save(secret)
    (corpus / "link.png").symlink_to(secret)
    for path in ("../secret.png", str(secret), "link.png"):
        (corpus / "metadata.jsonl").write_text(row(image=path), encoding="utf-8")
        with pytest.raises(CorpusError, match="lies outside the corpus"):
            write_listening_page(corpus, tmp_path / "page")
    assert main(["corpus", "listen", str(corpus), "--out", str(tmp_path / "page")]) == 1
    assert "lies outside the corpus." in capsys.readouterr().err
    (corpus / "text.png").write_text("no picture")
    (corpus / "metadata.jsonl").write_text(row(image="text.png"), encoding="utf-8")
    assert main(["corpus", "listen", str(corpus), "--out", str(tmp_path / "page")]) == 1
    assert "could not be read as a picture" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()
