"""What linear regression knows of clips."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.research import linear
from melfusion_core.training.captions import CaptionStore
from melfusion_core.training.prepare import PreparedData

SHAPES = ((4, 2),)


def prepared(count: int = 300, seed: int = 0) -> PreparedData:
    """Clips whose level follows the picture's mood, which its features show; captions say nothing of either."""
    rng = np.random.default_rng(seed)
    moods = rng.random((count, 2))
    level = (2 * moods - 1).sum(axis=1)[:, None, None, None]
    latents = (level + 0.5 * rng.standard_normal((count, 2, 4, 1))).astype(np.float16)
    tokens = moods[:, None, :] + 0.05 * rng.standard_normal((count, 8, 2))  # four keys, four values
    pooled = rng.standard_normal((count, 3)).astype(np.float32)
    clips = [
        {
            "id": str(row),
            "split": "validation" if row % 4 == 0 else "train",
            "captions": [row],
            "picture": row,
            "moods": {"image": list(mood), "music": list(mood)},
        }
        for row, mood in enumerate(moods)
    ]
    captions = CaptionStore(np.zeros((count, 1), np.float16), np.arange(count + 1), pooled)
    features = tokens.reshape(count, 1, -1).astype(np.float16)
    return PreparedData(clips, latents, (0.0, 0.0), (1.0, 1.0), captions, features, (100,), 1, SHAPES)


def test_who_knows_the_mood_knows_the_music():
    data = prepared()
    gains = linear.linear_gains(data)
    assert set(gains) == {linear.CAPTION, linear.RATED, linear.READ, linear.SEEN}
    moods = np.array([clip["moods"]["image"] for clip in data.clips if clip["split"] == "validation"])
    signal, noise = (2 * moods).sum(axis=1).var(), 0.25  # variances of the level and within a clip
    assert gains[linear.RATED] == pytest.approx(100 * signal / (signal + noise), abs=3)
    assert gains[linear.READ] == pytest.approx(gains[linear.RATED], abs=2)
    assert gains[linear.SEEN] == pytest.approx(gains[linear.RATED], abs=2)
    assert -5 < gains[linear.CAPTION] < 2


def test_the_penalty_fits_the_data():
    rng = np.random.default_rng(0)
    inputs, weights = rng.standard_normal((400, 30)), rng.standard_normal((30, 2))
    found = linear.ridge(inputs, inputs @ weights + 3.0, inputs[:5])
    assert found == pytest.approx(inputs[:5] @ weights + 3.0, abs=0.1)
    noise = linear.ridge(inputs, rng.standard_normal((400, 2)), rng.standard_normal((200, 30)))
    assert np.square(noise).mean() < 0.02  # about the mean of the targets, nothing learned by heart


def test_what_it_cannot_use_is_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        linear.main(["--data", str(tmp_path)])
    monkeypatch.setattr(linear.PreparedData, "load", lambda folder: prepared(8))
    with pytest.raises(SystemExit):
        linear.main(["--data", "somewhere"])
    assert "10 training clips" in capsys.readouterr().err
    data = prepared()
    data.clips[3]["moods"]["image"] = None
    with pytest.raises(ValueError, match="moods"):
        linear.linear_gains(data)


def test_command_prints_a_table(monkeypatch, capsys):
    monkeypatch.setattr(linear.PreparedData, "load", lambda folder: prepared())
    linear.main(["--data", "somewhere"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| known") and len(lines) == 6 and all(line.endswith("% |") for line in lines[2:])
