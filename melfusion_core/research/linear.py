"""What linear regression knows of clips before any noise is removed: the yardstick for `melfusion_core.research.gain`.

`python -m melfusion_core.research.linear --data PREPARED`

At the last timestep the music model sees pure noise, so the best it can predict is the mean of all clips with that
caption and picture. Ridge regression predicts such means too, of each clip over time; a network that stays below it
leaves something unlearned, one that reaches it needs better captions or pictures rather than more training.

Shape legend: `n` clips, `d` inputs, `t` targets (channels x frequency).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melfusion_core.models.scenes import layer_statistics
from melfusion_core.training.prepare import PreparedData

BATCH = 64
PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
CAPTION, RATED, READ, SEEN = (
    "caption (pooled states)",
    "picture's mood as the corpus states it",
    "picture's mood as ridge regression reads it from the features",
    "picture's features (means and deviations over positions)",
)


def ridge(inputs: np.ndarray, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Predict by ridge regression; the penalty is the best of `PENALTIES` on the last fifth, then all are used.

    Args:
        inputs: Of shape `(n, d)`.
        targets: Of shape `(n, t)`.
        others: Inputs to predict for, of shape `(m, d)`.

    Returns:
        Predictions of shape `(m, t)`.
    """
    known, last = np.split(np.arange(len(inputs)), [len(inputs) * 4 // 5])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": PENALTIES},
        cv=[(known, last)],
        scoring="neg_mean_squared_error",
    )
    return search.fit(inputs, targets).predict(others)


def linear_gains(data: PreparedData) -> dict[str, float]:
    """By how many percent each knowledge lowers the error of held-out clips' latents, against the mean of all clips.

    Args:
        data: Prepared clips with moods of their pictures.

    Returns:
        Percent by knowledge, of the mean squared error of normalised latents (what changes within a clip included).

    Raises:
        ValueError: When there are fewer than ten training clips, no validation clips, or a mood is missing.
    """
    train, held_out = ([clip for clip in data.clips if clip["split"] == split] for split in ("train", "validation"))
    if len(train) < 10 or not held_out:
        raise ValueError("linear regression needs 10 training clips and a validation split")
    if any((clip.get("moods") or {}).get("image") is None for clip in (*train, *held_out)):
        raise ValueError("the prepared data lacks moods of its pictures")
    rows = {clip["id"]: row for row, clip in enumerate(data.clips)}
    means = [_means(data, [rows[clip["id"]] for clip in clips]) for clips in (train, held_out)]
    (targets, _), (truth, within) = means
    base = within + np.square(truth - targets.mean(axis=0)).mean()
    moods, features = ([make(data, clips) for clips in (train, held_out)] for make in (_moods, _features))
    read = [ridge(features[0], moods[0], each) for each in features]
    gains = {}
    for name, (known, asked) in {
        CAPTION: [_pooled(data, clips) for clips in (train, held_out)],
        RATED: [_cubic(each) for each in moods],
        READ: [_cubic(moods[0]), _cubic(read[1].clip(0, 1))],
        SEEN: features,
    }.items():
        error = within + np.square(truth - ridge(known, targets, asked)).mean()
        gains[name] = float(100 * (1 - error / base))
    return gains


def _means(data: PreparedData, rows: list[int]) -> tuple[np.ndarray, float]:
    """Means of normalised latents over time, of shape `(n, t)`, and the mean square of what changes within a clip."""
    mean, std = (np.array(each)[:, None, None] for each in (data.latents_mean, data.latents_std))
    means, within = [], 0.0
    for row in rows:
        latents = (np.asarray(data.latents[row], dtype=np.float32) - mean) / std
        means.append(latents.mean(axis=1).ravel())
        within += latents.var(axis=1).mean() / len(rows)
    return np.stack(means), float(within)


def _pooled(data: PreparedData, clips: list[dict]) -> np.ndarray:
    return np.stack([data.captions.pooled[clip["captions"][0]] for clip in clips]).astype(np.float64)


def _moods(data: PreparedData, clips: list[dict]) -> np.ndarray:
    return np.array([clip["moods"]["image"] for clip in clips])


def _cubic(moods: np.ndarray) -> np.ndarray:
    valence, arousal = (moods - 0.5).T
    powers = [(i, j) for i in range(4) for j in range(4) if 0 < i + j < 4]
    return np.stack([valence**i * arousal**j for i, j in powers], axis=1)


def _features(data: PreparedData, clips: list[dict]) -> np.ndarray:
    found = []
    for start in range(0, len(clips), BATCH):
        pictures = [clip["picture"] for clip in clips[start : start + BATCH]]
        layers = data.features_at(pictures, torch.full((len(pictures),), data.key_timesteps[0]))
        found.append(torch.cat([layer_statistics(pair) for pair in layers], dim=1))
    return torch.cat(found).double().numpy()


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table.

    Args:
        argv: Command line; None takes the process's.
    """
    parser = argparse.ArgumentParser(description="Print what linear regression knows of clips before any denoising.")
    parser.add_argument("--data", required=True, help="folder of `melfusion train prepare`")
    args = parser.parse_args(argv)
    try:
        gains = linear_gains(PreparedData.load(args.data))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print("| known | lowers the error by |\n|---|---|")
    for name, gain in gains.items():
        print(f"| {name} | {gain:.1f} % |")


if __name__ == "__main__":
    main()
