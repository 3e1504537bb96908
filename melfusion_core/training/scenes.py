"""Fit the scene classifier: `melfusion train scenes --image-unet DIR --data CORPUS --out RUN`. Takes minutes.

The procedural scenes of the corpus give the words. Its photographs are one silent kind: with words of their own they
were told right in 4 of 10 cases at any threshold (folds over themes), so the classifier learns to keep quiet on them.
The validation split, and photographs of the train split as predicted by folds that had not seen their themes, choose
the threshold. The test split, whose themes of photographs occur nowhere else, is measured once.

Shape legend: `n` pictures, `features` statistics of a picture.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from tqdm.auto import tqdm

from melfusion_core.data.corpus import SCENE, CorpusError, Triplet, read_corpus, select
from melfusion_core.models.features import picture_size
from melfusion_core.models.inversion import load_image_scheduler
from melfusion_core.models.picture_encoder import load_picture_encoder
from melfusion_core.models.scenes import SceneClassifier, attention_norms, picture_features, token_statistics
from melfusion_core.models.text import encode_text, load_minilm
from melfusion_core.training.config import use_threads
from melfusion_core.training.data import bytes_to_pixels, load_pictures
from melfusion_core.training.told import tell_clips

PHOTOGRAPH = "a photograph"
WORDS = {
    "abstract": "abstract shapes", "texture": "abstract shapes", "palette": "abstract shapes", "party": "a party",
    "sky": "the sky", "sea": "the sea", "desolation": "a desolate place", "city": "a city", "fire": "fire",
    "rain": "rain", "snow": "snow", "mountains": "mountains", "desert": "a desert", "night": "a night sky",
    "forest": "a forest", "storm": "a thunderstorm", "lake": "a lake", "beach": "a beach", "meadow": "a meadow",
}  # fmt: skip
"""What is said of each theme of the procedural scenes."""
TRUE_OF_PHOTOGRAPHS = {
    "abstract spiral": ("abstract shapes",), "beach": ("a beach", "the sea"), "boat": ("the sea",),
    "dock": ("the sea", "a lake"), "building": ("a city",), "casa mila": ("a city",),
    "piazza gae aulenti": ("a city",), "street": ("a city",),
    "singaporean cityscape": ("a city",), "roman colosseum": ("a city",), "cemetery": ("a desolate place",),
    "desert": ("a desert",), "extreme desert hike": ("a desert",), "lava": ("fire",), "volcano": ("fire", "mountains"),
    "lake": ("a lake", "mountains"), "lake sherburne": ("a lake", "mountains"), "ocean waves": ("the sea",),
    "waves midnight": ("the sea", "a night sky"), "sunset": ("the sky",), "beacon street sunset": ("the sky",),
    "sun": ("the sky",), "rainbow": ("the sky",), "lightning": ("a thunderstorm",),
    "tornado": ("a thunderstorm", "the sky"),
    "flowers": ("a meadow",), "blue periwinkle": ("a meadow",), "tea gardens": ("a meadow",), "grass": ("a meadow",),
    "nature": ("a forest", "a meadow", "mountains", "a lake"), "path": ("a forest", "a meadow"),
    "high trestle trail": ("a forest", "a meadow"), "waterfall": ("a forest",), "woods": ("a forest",),
    "galaxy": ("a night sky", "the sky"), "saturnian profile": ("a night sky",), "satellite": ("a night sky",),
    "valley midnight": ("a night sky", "mountains", "the sky"), "cold": ("snow",), "flood": ("rain", "a thunderstorm"),
    "party": ("a party",), "parade": ("a party",), "parachuting": ("the sky",), "skydiving": ("the sky",),
}  # fmt: skip
"""Words that would be true of photographs, by theme; only used to count how often what is said of them is right."""


@dataclass(frozen=True)
class SceneConfig:
    """Fit the scene classifier to an image model and a corpus.

    Args:
        data: Corpus folder with `metadata.jsonl`.
        out: Run folder; the classifier is written to `out/export`.
        image_unet: Export of the image model's trainer, with its scheduler.
        pictures: Pictures of the train split, evenly spread; 0 for all.
        held_out_pictures: Pictures of the validation and of the test split each; 0 for all.
        key_timestep: Timestep of the image model that is read.
        num_inversion_steps: Steps of the inversion up to there.
        penalty: Weight of the squared weights in the loss.
        precision: Share of what is said of held-out scenes that must be right.
        spoken_photographs: Largest share of held-out photographs of which anything is said.
        folds: Folds over the themes of the photographs.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    data: str = ""
    out: str = ""
    image_unet: str = ""
    pictures: int = 2400
    held_out_pictures: int = 800
    key_timestep: int = 100
    num_inversion_steps: int = 1
    penalty: float = 3e-3
    precision: float = 0.85
    spoken_photographs: float = 0.01
    folds: int = 5
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.data or not self.out or not self.image_unet:
            raise ValueError("data, out and image_unet must name folders")
        if min(self.pictures, self.held_out_pictures, self.key_timestep) < 0 or self.num_inversion_steps < 1:
            raise ValueError("counts must not be negative, and num_inversion_steps at least 1")
        if self.penalty <= 0 or self.folds < 2:
            raise ValueError("penalty must be positive, and folds at least 2")
        if not 0 < self.precision <= 1 or not 0 <= self.spoken_photographs < 1:
            raise ValueError("precision must be in (0, 1], and spoken_photographs in [0, 1)")


@dataclass(frozen=True)
class ScenePictures:
    """Pictures as the classifier sees them.

    Args:
        statistics: Of shape `(n, features)`.
        words: The word of each scene, or `PHOTOGRAPH`.
        themes: Theme of each picture.
    """

    statistics: torch.Tensor
    words: list[str]
    themes: list[str]

    @property
    def photographs(self) -> torch.Tensor:
        """Which of them are photographs, of shape `(n,)`."""
        return torch.tensor([word == PHOTOGRAPH for word in self.words], dtype=torch.bool)

    def index(self, rows: torch.Tensor) -> ScenePictures:
        """Pick pictures.

        Args:
            rows: Boolean mask of shape `(n,)`.

        Returns:
            Those pictures.
        """
        chosen = rows.nonzero().flatten().tolist()
        return ScenePictures(
            self.statistics[rows], [self.words[row] for row in chosen], [self.themes[row] for row in chosen]
        )


def _scene_word(clip: Triplet) -> str:
    """What is to be said of a clip's picture."""
    if clip.kind != SCENE:
        return PHOTOGRAPH
    if clip.theme not in WORDS:
        raise CorpusError(f"{clip.where}: there is no word for scenes of the theme {clip.theme!r}")
    return WORDS[clip.theme]


def fit(classifier: SceneClassifier, pictures: ScenePictures, penalty: float, iterations: int = 1000) -> None:
    """Fit a classifier of three labels or more: standardisation, then multinomial logistic regression.

    Args:
        classifier: To fit, in place.
        pictures: What to fit it to.
        penalty: Weight of the squared weights in the mean loss.
        iterations: Most iterations.

    Raises:
        CorpusError: When no picture has one of the labels.
    """
    from sklearn.linear_model import LogisticRegression

    statistics, labels = pictures.statistics, list(classifier.config.labels)
    lacking = sorted(set(labels) - set(pictures.words))
    if lacking:
        raise CorpusError(f"no picture to learn {', '.join(lacking)} from")
    classifier.mean.copy_(statistics.mean(0))
    classifier.std.copy_(statistics.std(0).clamp_min(1e-6))
    standard = (statistics - classifier.mean) / classifier.std
    fitted = LogisticRegression(C=1.0 / (2.0 * penalty * len(standard)), max_iter=iterations)
    fitted.fit(standard.double().numpy(), [labels.index(word) for word in pictures.words])
    with torch.no_grad():
        classifier.linear.weight.copy_(torch.from_numpy(fitted.coef_))
        classifier.linear.bias.copy_(torch.from_numpy(fitted.intercept_))


def choose_threshold(
    confidence: Sequence[float],
    spoken: Sequence[bool],
    right: Sequence[bool],
    photographs: Sequence[bool],
    precision: float,
    spoken_photographs: float,
) -> float:
    """Find the smallest threshold that is good enough on held-out pictures.

    Args:
        confidence: Probability of the likeliest label of each picture.
        spoken: Whether that label may be said at all.
        right: Whether it is right.
        photographs: Whether the picture is a photograph.
        precision: Share of what is said of scenes that must be right.
        spoken_photographs: Largest share of photographs of which anything is said.

    Returns:
        The threshold, rounded up to a hundredth; 1.01, which is never reached, where none is good enough.
    """
    rows = list(zip(confidence, spoken, right, photographs, strict=True))
    number = max(1, sum(photograph for *_, photograph in rows))
    for hundredths in range(20, 101):
        threshold = hundredths / 100
        said = [(correct, photograph) for share, may, correct, photograph in rows if may and share >= threshold]
        scenes = [correct for correct, photograph in said if not photograph]
        if (
            scenes
            and sum(scenes) >= precision * len(scenes)
            and len(said) - len(scenes) <= spoken_photographs * number
        ):
            return threshold
    return 1.01


@torch.no_grad()
def measure(classifier: SceneClassifier, pictures: ScenePictures) -> dict[str, dict[str, float | int]]:
    """Measure a classifier, separately on scenes and on photographs.

    Args:
        classifier: With its threshold.
        pictures: Held-out pictures.

    Returns:
        By `scenes` and `photographs`: `n`; `accuracy` of the likeliest label; `coverage`, the share of
        pictures of which a word is said; `said`; `right`, how many of those words are true; `precision`, their
        share, which is missing where nothing is said.
    """
    shares, best = classifier(pictures.statistics).max(dim=1)
    labels = [classifier.config.labels[index] for index in best.tolist()]
    result: dict[str, dict[str, float | int]] = {}
    for name, rows in (("scenes", ~pictures.photographs), ("photographs", pictures.photographs)):
        chosen = rows.nonzero().flatten().tolist()
        said = [row for row in chosen if classifier.says(labels[row], float(shares[row]))]
        right = [row for row in said if labels[row] in _true_words(pictures, row)]
        exact = sum(labels[row] == pictures.words[row] for row in chosen)
        result[name] = {"n": len(chosen), "said": len(said), "right": len(right)}
        if chosen:
            result[name] |= {"accuracy": round(exact / len(chosen), 4), "coverage": round(len(said) / len(chosen), 4)}
        if said:
            result[name]["precision"] = round(len(right) / len(said), 4)
    return result


def train(config: SceneConfig) -> dict[str, Any]:
    """Fit, choose the threshold, measure and save.

    Args:
        config: What to do.

    Returns:
        The threshold, and what `measure` says on the validation and the test split; also in `summary.json`.

    Raises:
        CorpusError: When the train split lacks scenes or photographs, or a scene has a theme without a word.
    """
    use_threads(config.threads)
    unet = UNet2DConditionModel.from_pretrained(config.image_unet).float().eval()
    scheduler = load_image_scheduler(config.image_unet)
    encoder = load_picture_encoder(config.image_unet, unet)
    clips = read_corpus(config.data)
    limits = {"train": config.pictures, "validation": config.held_out_pictures, "test": config.held_out_pictures}
    chosen = {split: select(clips, split, limit) for split, limit in limits.items()}
    labels = sorted({_scene_word(clip) for clip in chosen["train"]})
    if PHOTOGRAPH not in labels or len(labels) < 3:
        raise CorpusError("the train split needs photographs and scenes of several kinds")
    settings = {
        "labels": labels,
        "silent": [PHOTOGRAPH],
        "key_timestep": config.key_timestep,
        "num_inversion_steps": config.num_inversion_steps,
        "image_norms": attention_norms(unet),
    }
    null_text = encode_text(*load_minilm(), [""])
    sets = {}
    for split, part in chosen.items():
        pixels, rows = load_pictures(part, picture_size(unet))
        places, told = SceneClassifier(**settings), tell_clips(encoder, part)
        parts = [None] * len(pixels.split(16)) if told is None else told.split(16)
        found = [
            token_statistics(
                picture_features(places, unet, scheduler, bytes_to_pixels(batch), null_text, said),
                config.key_timestep,
            )
            for batch, said in zip(
                tqdm(pixels.split(16), desc=f"features, {split}", mininterval=5.0), parts, strict=True
            )
        ]
        order = [rows[clip.image] for clip in part]
        words, themes = [_scene_word(clip) for clip in part], [clip.theme or clip.id for clip in part]
        sets[split] = ScenePictures(torch.cat(found)[order], words, themes)
    settings["features"] = sets["train"].statistics.shape[1]
    return _fit_and_measure(config, settings, sets)


def _fit_and_measure(config: SceneConfig, settings: dict[str, Any], sets: dict[str, ScenePictures]) -> dict[str, Any]:
    rows: list[tuple[float, bool, bool, bool]] = []
    for kept, asked in _theme_folds(sets["train"], config.folds):
        classifier = SceneClassifier(**settings)
        fit(classifier, sets["train"].index(kept), config.penalty)
        rows += _judged(classifier, sets["train"].index(asked))
    classifier = SceneClassifier(**settings)
    fit(classifier, sets["train"], config.penalty)
    rows += _judged(classifier, sets["validation"])
    threshold = choose_threshold(*zip(*rows, strict=True), config.precision, config.spoken_photographs)
    weights = classifier.state_dict()
    classifier = SceneClassifier(**settings, threshold=threshold)
    classifier.load_state_dict(weights)
    result = {
        "threshold": threshold,
        "labels": settings["labels"],
        "train_pictures": len(sets["train"].words),
        "train_photographs": int(sets["train"].photographs.sum()),
        "validation": measure(classifier, sets["validation"]),
        "test": measure(classifier, sets["test"]),
    }
    folder = Path(config.out)
    classifier.half().save_pretrained(folder / "export")
    (folder / "summary.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _true_words(pictures: ScenePictures, row: int) -> tuple[str, ...]:
    """What may be said of a picture without being wrong."""
    word = pictures.words[row]
    return TRUE_OF_PHOTOGRAPHS.get(pictures.themes[row], ()) if word == PHOTOGRAPH else (word,)


def _theme_folds(pictures: ScenePictures, folds: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Masks of what is fitted to and of the photographs that are asked about, by folds over their themes."""
    from sklearn.model_selection import GroupKFold

    rows = pictures.photographs.nonzero().flatten()
    themes = [pictures.themes[row] for row in rows.tolist()]
    splits = []
    for _, held in GroupKFold(min(folds, len(set(themes)))).split(rows, groups=themes):
        asked = torch.zeros(len(pictures.themes), dtype=torch.bool)
        asked[rows[torch.from_numpy(held)]] = True
        splits.append((~asked, asked))
    return splits


@torch.no_grad()
def _judged(classifier: SceneClassifier, pictures: ScenePictures) -> list[tuple[float, bool, bool, bool]]:
    shares, best = classifier(pictures.statistics).max(dim=1)
    labels = [classifier.config.labels[index] for index in best.tolist()]
    return [
        (share, label not in classifier.config.silent, label == word, word == PHOTOGRAPH)
        for share, label, word in zip(shares.tolist(), labels, pictures.words, strict=True)
    ]
