"""The corpus's pictures: rated photographs, regraded photographs and procedural scenes, with affect and split."""

from __future__ import annotations

import csv
import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import rankdata

from melfusion_core.data.picture_affect import colour_affect, picture_affect, picture_features
from melfusion_core.data.scenes import SCENE_KINDS, render_scene
from melfusion_core.data.scenes.canvas import grade, to_pil

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
THEME_SHARES = (0.70, 0.12, 0.18)
TEST_ONLY_KINDS = ("aurora", "volcano")
PHOTO_SHARE = 0.42
REGRADE_SHARE = 0.35  # of the photographs; their affect is the human rating moved by the colour model
WHOLE_SHARE = 0.25  # of the photographs that keep their colours; the others are cropped and mirrored

# Mean and standard deviation of the human ratings (1 to 7) over the 356 rated photographs of pictures.csv.
RATING_MEAN = (4.719, 3.493)
RATING_STD = (0.995, 0.764)
REGRADE_GAIN = 0.6  # z-scores of human affect per z-score of the colour model, for regrades

_MASS = (
    "alcohol", "archery", "bark", "biking", "billiards", "boxing", "camping", "dancing", "grass", "horse racing",
    "lava", "lightning", "money", "motocross", "nature", "paper", "parachuting", "pollution", "research", "roofing",
    "rugby", "skydiving", "soccer", "soup", "swimming", "toast", "yoga",
)  # fmt: skip
_REWORDED = {
    "beacon street sunset": "a street at sunset",
    "blue periwinkle": "a blue flower",
    "canyon wren": "a small bird",
    "casa mila": "a curved building",
    "clean": "cleaning",
    "cold": "a cold winter day",
    "extreme desert hike": "a desert",
    "high trestle trail": "a bridge with lights",
    "intensity": "an intense moment",
    "lake sherburne": "a mountain lake",
    "oakland zoo otters": "otters",
    "perched osprey": "a perched bird",
    "piazza gae aulenti": "a modern city square",
    "roman colosseum": "the colosseum in Rome",
    "running away": "someone running away",
    "saturnian profile": "the planet Saturn",
    "singaporean cityscape": "a city by the water",
    "sun": "the sun",
    "surprise": "a surprised person",
    "the spices of life": "colourful spices",
    "valley midnight": "a valley at midnight",
    "waves midnight": "waves at midnight",
    "woods": "the woods",
}


@dataclass(frozen=True)
class RatedPicture:
    """One photograph of a folder with ratings.

    Attributes:
        path: The file.
        theme: What it shows, such as "beach"; the unit that is held out.
        category: Coarse class, such as "Scene".
        valence: Mean human rating, 1 to 7, or None when unrated.
        arousal: Mean human rating, 1 to 7, or None when unrated.
        person: Whether a person is in it.
    """

    path: Path
    theme: str
    category: str
    valence: float | None
    arousal: float | None
    person: bool


@dataclass(frozen=True)
class Picture:
    """A picture of the corpus.

    Attributes:
        image: Square RGB picture.
        caption: What it shows, in words.
        theme: What it shows, coarsely.
        valence: How pleasant it is, as a z-score.
        arousal: How exciting it is, as a z-score.
        kind: "photo", "regraded" or "scene".
    """

    image: Image.Image
    caption: str
    theme: str
    valence: float
    arousal: float
    kind: str


@dataclass(frozen=True)
class Regrade:
    """How the colours of a photograph were changed; see `scenes.canvas.grade`.

    Attributes:
        saturation: Factor on the distance from grey.
        exposure: Factor on the light.
        contrast: Factor on the distance from middle grey.
        warmth: Added to red and taken from blue.
    """

    saturation: float
    exposure: float
    contrast: float
    warmth: float


def load_rated_pictures(folder: Path | str) -> list[RatedPicture]:
    """Read `pictures.csv` (file, theme, category, valence_1_7, arousal_1_7, person, source).

    Args:
        folder: Folder with the table and the pictures.

    Returns:
        One entry per row, in the table's order.

    Raises:
        FileNotFoundError: If the table or one of its pictures is missing.
        ValueError: If the table lacks a column or has no rows.
    """
    folder = Path(folder)
    table = folder / "pictures.csv"
    if not table.is_file():
        raise FileNotFoundError(f"no table of ratings at {table}")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = {"file", "theme", "category", "valence_1_7", "arousal_1_7", "person"}
    if not rows or not wanted <= set(rows[0]):
        raise ValueError(f"{table} needs rows with the columns {', '.join(sorted(wanted))}")
    pictures = []
    for row in rows:
        path = folder / row["file"]
        if not path.is_file():
            raise FileNotFoundError(f"{table} names {row['file']}, which is not in the folder")
        theme = row["theme"].removeprefix("Budgie ").replace("-", " ").strip().lower()
        valence, arousal = (float(row[key]) if row[key] else None for key in ("valence_1_7", "arousal_1_7"))
        pictures.append(RatedPicture(path, theme, row["category"], valence, arousal, row["person"] == "1"))
    return pictures


def photo_caption(theme: str) -> str:
    """Say what a photograph shows.

    Args:
        theme: Theme in lower case, such as "beach".

    Returns:
        A caption such as "a photo of a beach".
    """
    if theme in _REWORDED:
        return f"a photo of {_REWORDED[theme]}"
    plural = theme.endswith("s") and not theme.endswith("ss")
    article = "" if plural or theme in _MASS else ("an " if theme[0] in "aeiou" else "a ")
    return f"a photo of {article}{theme}"


def theme_split(theme: str) -> str:
    """Assign a theme to a split by its hash, about 70 / 12 / 18 %.

    Args:
        theme: Theme in lower case.

    Returns:
        "train", "validation" or "test".
    """
    place = int.from_bytes(hashlib.sha256(theme.encode()).digest()[:8], "big") / 2**64
    if place < THEME_SHARES[0]:
        return SPLITS[0]
    return SPLITS[1] if place < THEME_SHARES[0] + THEME_SHARES[1] else SPLITS[2]


def draw_regrade(rng: np.random.Generator) -> Regrade:
    """Draw one of six changes of colours that clearly move the mood.

    Args:
        rng: Random generator.

    Returns:
        The change.
    """
    looks = (
        (1.7, 1.15, 1.05, 0.04),  # vivid and warm
        (0.25, 0.6, 1.0, -0.03),  # grey and dark
        (1.8, 0.75, 1.45, 0.14),  # red, dark, hard
        (0.6, 1.2, 0.7, -0.02),  # pale and soft
        (0.8, 0.5, 1.2, -0.12),  # blue night
        (1.4, 1.3, 0.9, 0.08),  # golden
    )
    base = looks[int(rng.integers(len(looks)))]
    degree = rng.uniform(0.6, 1.15)
    saturation, exposure, contrast = (1.0 + (value - 1.0) * degree for value in base[:3])
    return Regrade(float(saturation), float(exposure), float(contrast), float(base[3] * degree))


def crop_photo(rng: np.random.Generator, image: Image.Image, size: int = 128, whole: bool = False) -> Image.Image:
    """Cut a square from a photograph, half of the time mirrored; colours stay as they are.

    Args:
        rng: Random generator.
        image: Photograph.
        size: Side of the result in pixels.
        whole: Whether to take the largest centred square, not mirrored.

    Returns:
        The square RGB picture.
    """
    least = min(image.size)
    side = least if whole else rng.uniform(0.78, 1.0) * least  # at least 60 % of the area of a square picture
    room = image.width - side, image.height - side
    left, top = (room[0] / 2, room[1] / 2) if whole else (rng.uniform(0, room[0]), rng.uniform(0, room[1]))
    box = (left, top, left + side, top + side)
    crop = image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS, box=box)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if not whole and rng.random() < 0.5 else crop


def regrade(image: Image.Image, change: Regrade) -> Image.Image:
    """Change a picture's colours.

    Args:
        image: RGB picture.
        change: The change.

    Returns:
        The changed picture.
    """
    rgb = np.asarray(image, dtype=np.float32) / 255.0
    return to_pil(grade(rgb, change.saturation, change.exposure, change.contrast, change.warmth))


class PictureSource:
    """Draws pictures of a split from rated photographs and procedural scenes."""

    def __init__(self, pictures_folder: Path | str | None, size: int = 128) -> None:
        """Read the table of ratings; the photographs are opened when drawn.

        Args:
            pictures_folder: Folder with `pictures.csv`, or None for procedural scenes only.
            size: Side of the pictures in pixels.
        """
        self.size = size
        self._themes: dict[str, dict[str, list[RatedPicture]]] = {split: {} for split in SPLITS}
        if pictures_folder is None:
            logger.info("no folder of rated photographs: pictures are procedural scenes only")
            return
        for picture in load_rated_pictures(pictures_folder):
            self._themes[theme_split(picture.theme)].setdefault(picture.theme, []).append(picture)
        for split, themes in self._themes.items():
            if not themes:
                logger.info("no photograph's theme falls in split %s: its pictures are procedural scenes only", split)

    def draw(self, rng: np.random.Generator, split: str) -> Picture:
        """Draw one picture.

        Args:
            rng: Random generator.
            split: "train", "validation" or "test".

        Returns:
            A photograph (42 %, when the split has any) or a scene.

        Raises:
            ValueError: If `split` is unknown.
        """
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; choose from {', '.join(SPLITS)}")
        photo = rng.random() < PHOTO_SHARE
        if photo and self._themes[split]:
            return self._draw_photo(rng, split)
        return self._draw_scene(rng, split)

    def _draw_photo(self, rng: np.random.Generator, split: str) -> Picture:
        photos = [photo for theme in self._themes[split].values() for photo in theme]
        weights = np.asarray([_photo_weight(photo, len(self._themes[split][photo.theme])) for photo in photos])
        photo = photos[int(rng.choice(len(photos), p=weights / weights.sum()))]
        regraded = rng.random() < REGRADE_SHARE
        with Image.open(photo.path) as opened:
            original = crop_photo(rng, opened, self.size, whole=not regraded and rng.random() < WHOLE_SHARE)
        image = regrade(original, draw_regrade(rng)) if regraded else original
        if photo.valence is None or photo.arousal is None:
            valence, arousal = picture_affect(image)
        else:
            valence = (photo.valence - RATING_MEAN[0]) / RATING_STD[0]
            arousal = (photo.arousal - RATING_MEAN[1]) / RATING_STD[1]
            if regraded:
                before, after = colour_affect(picture_features(original)), colour_affect(picture_features(image))
                valence += REGRADE_GAIN * (after[0] - before[0])
                arousal += REGRADE_GAIN * (after[1] - before[1])
        kind = "regraded" if regraded else "photo"
        return Picture(image, photo_caption(photo.theme), photo.theme, valence, arousal, kind)

    def _draw_scene(self, rng: np.random.Generator, split: str) -> Picture:
        kinds = SCENE_KINDS if split == "test" else tuple(k for k in SCENE_KINDS if k not in TEST_ONLY_KINDS)
        kind = kinds[int(rng.integers(len(kinds)))]
        seed = int(rng.integers(2**40)) * len(SPLITS) + SPLITS.index(split)  # the remainder of a seed is its split
        scene = render_scene(np.random.default_rng(seed), self.size, kind)
        valence, arousal = picture_affect(scene.image, (scene.semantics_valence, scene.semantics_arousal))
        return Picture(scene.image, scene.caption, scene.theme, valence, arousal, "scene")


def _photo_weight(photo: RatedPicture, theme_size: int) -> float:
    """Draw weight: large themes count by their square root, unpleasant photographs up to three times."""
    unpleasant = 0.0 if photo.valence is None else (RATING_MEAN[0] - photo.valence) / RATING_STD[0]
    return (1.0 + min(max(unpleasant, 0.0), 2.0)) / math.sqrt(theme_size)


def rank_normalise(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Replace values by their ranks, spread evenly over [0, 1]; equal values share their mean rank.

    Args:
        values: Numbers of shape `(n,)`.

    Returns:
        Array of shape `(n,)`; 0.5 when there is one value.
    """
    ranks = rankdata(np.asarray(values, dtype=np.float64))
    return (ranks - 1.0) / (len(ranks) - 1.0) if len(ranks) > 1 else np.full(len(ranks), 0.5)
