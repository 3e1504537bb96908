"""Building a corpus."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import soundfile

from melfusion_core.data import renderer
from melfusion_core.data.renderer import RendererError, check_renderer, level
from melfusion_core.data.triplets import CorpusSpec, build_corpus, corpus_stats, pair_by_affect, split_of
from tests.system import require_program


def digest(root):
    """Hash of every file of a corpus."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.glob("**/*")) if p.is_file()}


def test_small_corpus_is_complete_and_reproducible(tmp_path):
    require_program("fluidsynth")
    spec = CorpusSpec(clips=6, seed=3)
    build_corpus(tmp_path / "a", spec, workers=1, progress=False)
    build_corpus(tmp_path / "b", spec, workers=2, progress=False)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    rows = [json.loads(line) for line in (tmp_path / "a" / "metadata.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"{i:06d}" for i in range(6)]
    for row in rows:
        sound, rate = soundfile.read(tmp_path / "a" / row["audio"])
        assert rate == 32000 and sound.shape == (327680,) and 0.005 < np.abs(sound).max() <= 0.9
        assert (tmp_path / "a" / row["image"]).is_file()
    stats = corpus_stats(tmp_path / "a")
    assert stats["clips"] == 6 and sum(stats["splits"].values()) == 6
    with pytest.raises(ValueError, match="other settings"):
        build_corpus(tmp_path / "a", CorpusSpec(clips=7, seed=3), workers=1, progress=False)


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
