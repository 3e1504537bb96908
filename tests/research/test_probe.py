"""Ridge regression against closed forms, and the probes of a tiny image model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from melfusion_core.cli.evaluate import colour_features
from melfusion_core.evaluation.ridge import class_groups, group_folds, ridge_cross_predict, ridge_path, ridge_predict
from melfusion_core.models.features import ImageFeatures
from melfusion_core.models.text import TextCondition
from melfusion_core.research.probe import ImageModel, ProbePicture, collect, probe, reconstruct, token_statistics
from tests.conftest import image_scheduler, make_image_unet, make_told_unet


def test_groups_are_never_cut():
    groups = [f"g{i % 7}" for i in range(50)]
    fold_of = group_folds(groups, 3)
    assert set(fold_of) == {0, 1, 2}
    assert all(len({f for f, g in zip(fold_of, groups, strict=True) if g == group}) == 1 for group in set(groups))
    with pytest.raises(ValueError, match="cannot be dealt"):
        group_folds(["a", "a"], 2)


@pytest.mark.parametrize("size", [6, 60])
def test_ridge_is_the_closed_form(size):
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(30, size)), rng.normal(size=(30, 2)), rng.normal(size=(5, size))
    [predicted] = ridge_path(x, y, z, [0.1])
    mean, std = x.mean(0), x.std(0)
    a, b = (x - mean) / std, (z - mean) / std
    weights = np.linalg.solve(a.T @ a + 3.0 * np.eye(size), a.T @ (y - y.mean(0)))
    np.testing.assert_allclose(predicted, b @ weights + y.mean(0), atol=1e-8)


def test_a_class_of_one_theme_is_not_held_out_whole():
    groups = class_groups(["sea", "photo", "sea", "photo"], ["sea", "dog", "sea", "cat"])
    assert groups.tolist() == ["sample 0", "dog", "sample 2", "cat"]


def test_ridge_finds_what_is_linear_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    x, groups = rng.normal(size=(200, 20)), [str(i % 40) for i in range(200)]
    y = np.stack([x[:, 0] - 2 * x[:, 3], rng.normal(size=200)], axis=1)
    crossed = ridge_cross_predict(x, y, groups)
    assert np.corrcoef(crossed[:, 0], y[:, 0])[0, 1] > 0.95 and abs(np.corrcoef(crossed[:, 1], y[:, 1])[0, 1]) < 0.3
    held = ridge_predict(x[:150], y[:150], groups[:150], x[150:])
    assert np.corrcoef(held[:, 0], y[150:, 0])[0, 1] > 0.95
    with pytest.raises(ValueError, match="at least two groups"):
        ridge_predict(x, y, ["a"] * 200, x)


def test_noise_is_not_anticorrelated_with_what_varies_between_groups():
    """Folds over groups that differ: the mean of the others is low where the held-out group is high."""
    correlations = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        groups = np.arange(200) // 10
        y = (rng.normal(size=20)[groups] + 0.3 * rng.normal(size=200))[:, None]
        crossed = ridge_cross_predict(rng.normal(size=(200, 8)), y, [str(group) for group in groups], seed=seed)
        correlations.append(np.corrcoef(crossed[:, 0], y[:, 0])[0, 1])
    assert abs(np.mean(correlations)) < 0.08


def test_statistics_over_tokens():
    key = torch.tensor([[[1.0, 2.0], [3.0, 2.0]]])
    [(place, values)] = token_statistics(ImageFeatures((100,), (((key, key * 2),),))).items()
    assert place == (100, 0)
    np.testing.assert_allclose(values, [[2, 2, 1, 0, 4, 4, 2, 0]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    null = TextCondition(torch.zeros(1, 4, 32), torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 32))
    return ImageModel(make_image_unet(), image_scheduler(), null)


def test_probes_of_a_tiny_model(model, tmp_path):
    rng = np.random.default_rng(0)
    pictures = []
    for index in range(48):
        path, red = tmp_path / f"{index}.png", int(rng.integers(256))
        Image.new("RGB", (24, 24), (red, 60, 255 - red)).save(path)
        kind = "warm" if red > 127 else "cold"
        pictures.append(ProbePicture(path, f"theme {index % 12}", kind, rng.random(), red / 255, index >= 32))
    rated = [ProbePicture(p.path, p.theme, "one kind", p.valence, p.arousal) for p in pictures]
    sets = {"corpus": pictures, "rated photographs": rated}
    report = probe(model, sets, colour_features, tmp_path / "out", (100, 500), 2, progress=False)
    corpus, crossed = report["sets"]["corpus"], report["sets"]["rated photographs"]
    assert (corpus["tested"], crossed["tested"]) == ("held-out pictures", "folds over themes")
    rows = corpus["probes"]
    assert rows["mean colour"]["arousal"]["value"] > 0.9 and rows["mean colour"]["n"] == 16
    assert rows["mean colour"]["kind"]["value"] > 0.7 >= rows["mean colour"]["kind"]["chance"]
    assert rows["t 100, layer 0"]["arousal"]["value"] > 0.5
    assert {"t 500, layer 1", "colour and texture"} <= set(rows) and crossed["probes"]["mean colour"]["n"] == 48
    assert crossed["classes"] == "theme"
    assert json.loads((tmp_path / "out" / "probe.json").read_text()) == report
    assert "| chance | 0 | 0 |" in (tmp_path / "out" / "probe.md").read_text()
    assert (tmp_path / "out" / "reconstructions.png").is_file() and (tmp_path / "out" / "probe-corpus.png").is_file()


def test_a_model_that_is_told_what_pictures_show(model, tmp_path):
    """The encoder reads mood, here redness, from the picture; what it says is probed too, and reaches the keys."""

    class Encoder(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.mean((2, 3))[:, :1]

    told = make_told_unet(1)
    pictures = []
    for red in range(0, 250, 25):
        path = tmp_path / f"{red}.png"
        Image.new("RGB", (16, 16), (red, 60, 60)).save(path)
        pictures.append(ProbePicture(path, "theme", "kind", 0.5, red / 250))
    features, _ = collect(ImageModel(told, model.scheduler, model.null_text, Encoder()), pictures, (100,), 1, False)
    reds = [picture.arousal for picture in pictures]
    assert np.corrcoef(features["told"][:, 0], reds)[0, 1] > 0.99
    assert set(features) == {"told", "t 100, layer 0", "t 100, layer 1"}


def test_reconstruction_is_near_with_many_steps(model):
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    errors = [float((reconstruct(model, pixels, steps, 300) - pixels).abs().mean()) for steps in (3, 60)]
    assert errors[1] < errors[0] and errors[1] < 0.1
