from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from melfusion_core.data.scenes import SCENE_KINDS, render_scene
from melfusion_core.data.scenes.canvas import disc, grade, vertical_gradient


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_every_kind_paints(kind: str) -> None:
    scene = render_scene(np.random.default_rng(3), size=32, kind=kind)
    assert scene.image.size == (32, 32) and scene.image.mode == "RGB"
    assert scene.kind == kind and scene.caption and scene.theme
    assert -1.1 <= scene.semantics_valence <= 1.1 and -1.1 <= scene.semantics_arousal <= 1.1
    again = render_scene(np.random.default_rng(3), size=32, kind=kind)
    assert again.image.tobytes() == scene.image.tobytes() and again.caption == scene.caption
    other = render_scene(np.random.default_rng(4), size=32, kind=kind)
    assert other.image.tobytes() != scene.image.tobytes()


def test_the_same_scene_at_two_sizes() -> None:
    small = render_scene(np.random.default_rng(5), size=32, kind="mountains")
    large = render_scene(np.random.default_rng(5), size=64, kind="mountains")
    assert small.semantics_valence == large.semantics_valence
    difference = np.asarray(large.image.resize((32, 32)), dtype=float) - np.asarray(small.image, dtype=float)
    assert np.abs(difference).mean() < 12


def test_moods_fill_the_plane() -> None:
    scenes = [render_scene(np.random.default_rng(i), 16) for i in range(150)]
    plane = np.array([[s.semantics_valence, s.semantics_arousal] for s in scenes])
    for sign_v in (-1, 1):
        for sign_a in (-1, 1):
            assert np.sum((plane[:, 0] * sign_v > 0.15) & (plane[:, 1] * sign_a > 0.15)) >= 8


def test_unknown_kind_and_size_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown scene kind"):
        render_scene(np.random.default_rng(0), kind="opera")
    with pytest.raises(ValueError, match="at least 8"):
        render_scene(np.random.default_rng(0), size=4)


def test_canvas_closed_forms() -> None:
    ramp = vertical_gradient(4, [(0.0, np.zeros(3)), (1.0, np.ones(3))])
    np.testing.assert_allclose(ramp[:, 0, 0], [0.125, 0.375, 0.625, 0.875])
    assert disc(200, (0.5, 0.5), 0.25).mean() == pytest.approx(np.pi * 0.25**2, rel=0.01)
    grey = np.full((2, 2, 3), 0.3, dtype=np.float32)
    np.testing.assert_allclose(grade(grey, saturation=2.0), grey, atol=1e-6)
    np.testing.assert_allclose(grade(grey, exposure=2.0), 2 * grey, atol=1e-6)


def test_example_pictures_are_our_own_scenes() -> None:
    folder = Path(__file__).resolve().parents[2] / "assets" / "examples"
    rows = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    assert len(rows) == 6 and {row["file"] for row in rows} == {path.name for path in folder.glob("*.jpg")}
    for row in rows:
        assert row["title"] and row["caption"]
        painted = render_scene(np.random.default_rng(row["seed"]), 64, row["kind"])
        assert painted.caption == row["picture"]
        with Image.open(folder / row["file"]) as image:
            assert image.size == (512, 512)
            shown = np.asarray(image.resize((64, 64)), dtype=float)
        assert np.abs(shown - np.asarray(painted.image, dtype=float)).mean() < 12
