"""Building a corpus."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import soundfile

from melfusion_core.data import renderer, triplets
from melfusion_core.data.corpus_stats import corpus_stats, plot_stats
from melfusion_core.data.fingerprint import folder_fingerprint
from melfusion_core.data.listening_page import write_listening_page
from melfusion_core.data.renderer import RendererError, check_renderer, level
from melfusion_core.data.triplets import (
    SCORES,
    CorpusBuildError,
    CorpusSpec,
    build_corpus,
    pair_by_affect,
    soundfont_of,
    split_of,
)
from melfusion_core.score.score import Score
from tests.system import require_program

SMALL = CorpusSpec(clips=6, seed=3)
"""Clip 1 is for testing, clip 3 for validation."""


def digest(root):
    """Hash of every file of a corpus."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.glob("**/*")) if p.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A corpus of `SMALL`."""
    require_program("fluidsynth")
    root = tmp_path_factory.mktemp("corpora") / "small"
    build_corpus(root, SMALL, workers=1, progress=False)
    return root


def test_small_corpus_is_complete_and_reproducible(small, tmp_path):
    spec = SMALL
    shutil.copytree(small, tmp_path / "a")
    build_corpus(tmp_path / "b", spec, workers=2, progress=False)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    rows = [json.loads(line) for line in (tmp_path / "a" / "metadata.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"{i:06d}" for i in range(6)]
    for row in rows:
        sound, rate = soundfile.read(tmp_path / "a" / row["audio"])
        assert rate == 32000 and sound.shape == (327680,) and 0.005 < np.abs(sound).max() <= 0.9
        assert (tmp_path / "a" / row["image"]).is_file()
        assert row["subset"] in ("core", "full") and len(row["captions"]) == 8
        assert row["attributes"]["soundfont"] == "FluidR3_GM"
    for row, line in zip(rows, (tmp_path / "a" / SCORES).read_text().splitlines(), strict=True):
        kept = json.loads(line)
        assert kept.pop("id") == row["id"]
        score = Score.from_dict(kept)
        assert score.tempo_bpm == pytest.approx(row["attributes"]["tempo_bpm"], abs=0.01)
        assert score.lead.instrument == row["attributes"]["lead"]
        assert json.loads(json.dumps(score.to_dict())) == kept
    stats = corpus_stats(tmp_path / "a")
    assert stats["clips"] == 6 and sum(stats["splits"].values()) == 6 == sum(stats["subsets"].values())
    assert stats["works_in_two_splits"] == 0 and stats["captions"]["vocabulary"] > 30
    plots = plot_stats(tmp_path / "a", tmp_path / "plots")
    assert [path.name for path in plots] == ["music.png", "instruments.png", "affect.png", "captions_and_sources.png"]
    page = write_listening_page(tmp_path / "a", tmp_path / "page", n=2, seed=1)
    text = page.read_text()
    assert text.count("<article") == text.count("<audio") == 2 and "http" not in text
    media = set(re.findall(r'src="([^"]+)"', text))
    assert len(media) == 6 and all((page.parent / name).stat().st_size > 500 for name in media)
    clip = tmp_path / "a/audio/000003.flac"
    whole = clip.read_bytes()
    clip.unlink()  # an interrupted build goes on to the same result
    (tmp_path / "a/metadata.jsonl").unlink()
    build_corpus(tmp_path / "a", spec, workers=1, progress=False)
    assert clip.read_bytes() == whole and digest(tmp_path / "a") == digest(tmp_path / "b")
    with pytest.raises(CorpusBuildError, match="other settings.*clips"):
        build_corpus(tmp_path / "a", CorpusSpec(clips=7, seed=3), workers=1, progress=False)


def test_one_split_is_that_of_the_whole_corpus(small, tmp_path):
    spec = SMALL
    rows = [json.loads(line) for line in (small / "metadata.jsonl").read_text().splitlines()]
    part = tmp_path / "part"
    for split, described in (("test", [rows[1]]), ("validation", [rows[1], rows[3]])):  # the second adds to the first
        metadata = build_corpus(part, spec, workers=1, progress=False, splits=(split,))
        assert [json.loads(line) for line in metadata.read_text().splitlines()] == described
        names = {Path(row[name]).name for row in described for name in ("audio", "image")}
        assert {path.name for path in part.glob("*/*")} == names
    picture = rows[1]["image"]
    assert (part / picture).read_bytes() == (small / picture).read_bytes()
    whole, alone = (soundfile.read(root / rows[1]["audio"])[0] for root in (small, part))
    assert np.square(whole - alone).sum() < 1e-2 * np.square(whole).sum()
    build_corpus(part, spec, workers=1, progress=False)
    assert digest(part) == digest(small)
    with pytest.raises(ValueError, match="splits must be some of"):
        build_corpus(part, spec, splits=("dev",))
    with pytest.raises(CorpusBuildError, match="none of 1 clips is in validation"):
        build_corpus(tmp_path / "none", CorpusSpec(clips=1, seed=3), progress=False, splits=("validation",))


def test_missing_programs_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(renderer.shutil, "which", lambda name: None)
    with pytest.raises(RendererError, match="FluidSynth is not installed"):
        check_renderer(tmp_path / "x.sf2")
    monkeypatch.setattr(renderer.shutil, "which", lambda name: "/bin/true")
    with pytest.raises(RendererError, match="No SoundFont at"):
        check_renderer(tmp_path / "x.sf2")


def test_level_follows_arousal():
    tone = 0.1 * np.sin(np.arange(64000) * 2 * np.pi * 440 / 32000).astype(np.float32)
    calm, wild = level(tone, 0.0), level(tone, 1.0)
    assert 20 * np.log10(np.abs(wild).max() / np.abs(calm).max()) == pytest.approx(10.0, abs=0.01)
    click = np.zeros(64000, np.float32)
    click[::3200] = 1.0
    assert np.abs(level(click, 1.0)).max() <= 0.89 + 1e-6
    with pytest.raises(RendererError, match="silent"):
        level(np.zeros(64000, np.float32), 0.5)


def test_pairing_is_one_to_one_and_near():
    rng = np.random.default_rng(0)
    music, pictures = rng.random((200, 2)), rng.random((260, 2))
    chosen = pair_by_affect(np.random.default_rng(1), music, pictures, 0.05)
    assert len(set(chosen)) == 200
    for axis in range(2):
        assert np.corrcoef(music[:, axis], pictures[chosen][:, axis])[0, 1] > 0.8
    with pytest.raises(ValueError, match="too few"):
        pair_by_affect(rng, music, pictures[:10], 0.05)


def test_splits_hold_whole_pieces():
    splits = [split_of(f"piece-{i}", 0) for i in range(3000)]
    assert 0.85 < splits.count("train") / 3000 < 0.91
    assert 0.06 < splits.count("test") / 3000 < 0.10
    assert split_of("piece-1", 0) == splits[1]


@pytest.mark.parametrize(("field", "value"), [("clips", 0), ("score_share", 1.5), ("pairing_noise", -0.1)])
def test_bad_specs_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        CorpusSpec(**{"clips": 4, field: value})


def test_other_source_folders_are_noticed(tmp_path):
    (tmp_path / "s/sub").mkdir(parents=True)
    (tmp_path / "s/sub/a.mid").write_bytes(b"12")
    first = folder_fingerprint(tmp_path / "s")
    assert first.startswith("1 files") and folder_fingerprint(tmp_path / "s") == first
    (tmp_path / "s/sub/a.mid").write_bytes(b"123")
    assert folder_fingerprint(tmp_path / "s") != first


def test_each_clip_draws_a_soundfont():
    both = CorpusSpec(clips=100, soundfonts=("a.sf2", "b.sf2"))
    drawn = [soundfont_of(both, index) for index in range(100)]
    assert 30 < drawn.count("a.sf2") < 70 and drawn == [soundfont_of(both, index) for index in range(100)]
    assert soundfont_of(CorpusSpec(clips=1, soundfonts=("a.sf2",)), 0) == "a.sf2"


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    font = tmp_path / "x.sf2"
    font.write_bytes(b"1")
    monkeypatch.setattr(triplets, "check_renderer", lambda font: "fluidsynth")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(triplets.shutil, "disk_usage", lambda path: usage(10, 9, 1000))
    with pytest.raises(CorpusBuildError, match="only 0 MB are free"):
        build_corpus(tmp_path / "c", CorpusSpec(clips=3, soundfonts=(str(font),)), workers=1, progress=False)
    with pytest.raises(CorpusBuildError, match="is full"), triplets._full_disk_named(tmp_path):
        raise OSError(28, "No space left on device")
