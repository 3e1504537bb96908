from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from melfusion_core.data import pictures
from melfusion_core.data.pictures import (
    SPLITS,
    TEST_ONLY_KINDS,
    PictureSource,
    crop_photo,
    draw_regrade,
    load_rated_pictures,
    photo_caption,
    rank_normalise,
    regrade,
    theme_split,
)

HEADER = "file,theme,category,valence_1_7,arousal_1_7,person,source\n"


def draw_pool(source, rng, split, count):
    """Several pictures, each from its own stream."""
    return [source.draw(stream, split) for stream in rng.spawn(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(tmp_path / f"p{i}.jpg")
        rows.append(f"p{i}.jpg,Theme{i % 12},Scene,{1 + i / 4:.2f},{2 + i / 8:.2f},{i % 2},someone\n")
    Image.new("RGB", (40, 40), (90, 20, 20)).save(tmp_path / "u.jpg")
    rows.append("u.jpg,Budgie ocean-waves,Scene,,,0,someone\n")
    (tmp_path / "pictures.csv").write_text(HEADER + "".join(rows))
    return tmp_path


def test_load_rated_pictures(folder: Path) -> None:
    loaded = load_rated_pictures(folder)
    assert len(loaded) == 25
    assert (loaded[1].theme, loaded[1].valence, loaded[1].person) == ("theme1", 1.25, True)
    assert loaded[-1].theme == "ocean waves" and loaded[-1].valence is None


def test_bad_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no table"):
        load_rated_pictures(tmp_path)
    (tmp_path / "pictures.csv").write_text("file,theme\nx.jpg,Beach\n")
    with pytest.raises(ValueError, match="columns"):
        load_rated_pictures(tmp_path)
    (tmp_path / "pictures.csv").write_text(HEADER + "x.jpg,Beach,Scene,4,4,0,me\n")
    with pytest.raises(FileNotFoundError, match="x.jpg"):
        load_rated_pictures(tmp_path)


def test_captions() -> None:
    assert photo_caption("beach") == "a photo of a beach"
    assert photo_caption("elephant") == "a photo of an elephant"
    assert photo_caption("flowers") == "a photo of flowers"
    assert photo_caption("dancing") == "a photo of dancing"
    assert photo_caption("the spices of life") == "a photo of colourful spices"


def test_splits_by_theme_have_the_shares() -> None:
    counts = np.array([[theme_split(f"theme {i}") == split for split in SPLITS] for i in range(3000)]).mean(0)
    np.testing.assert_allclose(counts, [0.70, 0.12, 0.18], atol=0.03)


def test_no_theme_is_in_two_splits(folder: Path) -> None:
    source = PictureSource(folder, size=16)
    themes = {}
    for split in SPLITS:
        pool = draw_pool(source, np.random.default_rng(1), split, 40)
        themes[split] = {p.theme for p in pool if p.kind != "scene"}
        assert all(theme_split(theme) == split for theme in themes[split])
    assert themes["train"]


def test_pool_is_deterministic_and_mixed(folder: Path) -> None:
    first = draw_pool(PictureSource(folder, size=16), np.random.default_rng(2), "train", 60)
    second = draw_pool(PictureSource(folder, size=16), np.random.default_rng(2), "train", 60)
    assert [p.image.tobytes() for p in first] == [p.image.tobytes() for p in second]
    assert {p.kind for p in first} == {"photo", "regraded", "scene"}
    assert all(np.isfinite([p.valence, p.arousal]).all() and p.image.size == (16, 16) for p in first)


def test_human_ratings_win_where_colours_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PHOTO_SHARE", 1.0)
    monkeypatch.setattr(pictures, "REGRADE_SHARE", 0.0)
    ratings = {(p.valence, p.arousal) for p in load_rated_pictures(folder) if p.valence}
    expected = {
        (
            round((v - pictures.RATING_MEAN[0]) / pictures.RATING_STD[0], 6),
            round((a - pictures.RATING_MEAN[1]) / pictures.RATING_STD[1], 6),
        )
        for v, a in ratings
    }
    for picture in draw_pool(PictureSource(folder, size=16), np.random.default_rng(3), "train", 20):
        if picture.theme != "ocean waves":
            assert (round(picture.valence, 6), round(picture.arousal, 6)) in expected


def test_without_photographs_there_are_scenes_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        source = PictureSource(None, size=16)
    assert "scenes only" in caplog.text
    assert {p.kind for p in draw_pool(source, np.random.default_rng(0), "validation", 8)} == {"scene"}
    with pytest.raises(ValueError, match="unknown split"):
        source.draw(np.random.default_rng(0), "dev")


def test_held_out_kinds_appear_in_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    real = pictures.render_scene

    def spy(rng: np.random.Generator, size: int, kind: str) -> object:
        drawn.append(kind)
        return real(rng, size, kind)

    monkeypatch.setattr(pictures, "render_scene", spy)
    source = PictureSource(None, size=8)
    draw_pool(source, np.random.default_rng(0), "train", 150)
    assert not set(drawn) & set(TEST_ONLY_KINDS)
    drawn.clear()
    draw_pool(source, np.random.default_rng(0), "test", 150)
    assert set(TEST_ONLY_KINDS) <= set(drawn)


def test_crops_keep_colours_and_regrades_move_them() -> None:
    image = Image.new("RGB", (90, 60), (100, 120, 140))
    crop = crop_photo(np.random.default_rng(0), image, 24)
    assert crop.size == (24, 24) and crop.getpixel((5, 5)) == (100, 120, 140)
    changes = [draw_regrade(np.random.default_rng(i)) for i in range(30)]
    assert min(change.saturation for change in changes) < 0.5 < 1.3 < max(change.saturation for change in changes)
    assert all(regrade(crop, change).getpixel((5, 5)) != (100, 120, 140) for change in changes)


def test_a_whole_photograph_is_its_centre_square() -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200
    whole = crop_photo(np.random.default_rng(0), Image.fromarray(pixels), 20, whole=True)
    assert np.asarray(whole).min() == 200


def test_rank_normalise() -> None:
    np.testing.assert_allclose(rank_normalise([10.0, -3.0, 4.0]), [1.0, 0.0, 0.5])
    np.testing.assert_allclose(rank_normalise([1.0, 1.0, 2.0]), [0.25, 0.25, 1.0])
    np.testing.assert_allclose(rank_normalise([7.0]), [0.5])
