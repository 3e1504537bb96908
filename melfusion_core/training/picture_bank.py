"""Pictures to train on: ``melfusion train pictures --encoder RUN/export --pictures FOLDER --out RUN``. Takes minutes.

Rated photographs and procedural scenes, with what an encoder reads of them once. A photograph counts more than a
scene, and is drawn in crops, mirrored, and in other colours, each time told what it was read as: so the eye and not
the palette is what later models learn to go by. Scenes that are not read are told the words of their caption and the
mood of their subject. And with pictures of anything a model may be told words: a simulated picture.

Shape legend: ``n`` pictures, ``dim`` numbers that the image model is told, ``text`` features of the caption encoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.data.associations import ASSOCIATIONS
from melfusion_core.data.picture_affect import picture_affect
from melfusion_core.data.pictures import SPLITS, TEST_ONLY_KINDS, load_rated_pictures, photo_caption, theme_split
from melfusion_core.data.scenes import SCENE_KINDS, render_scene
from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.models.picture_encoder import MOOD_AXES, PictureEncoder
from melfusion_core.training.config import use_threads
from melfusion_core.training.data import bytes_to_pixels, pixels_to_bytes
from melfusion_core.training.encoder_examples import SCENE_SIZE
from melfusion_core.training.encoder_fit import text_embedder
from melfusion_core.training.picture_views import random_views, recolour

ARRAYS, NOTES = "pictures.npz", "pictures.json"
PHOTOGRAPHS_WEIGHT = 1.0  # what all photographs count together; all scenes count 1
RECOLOURED = 0.5  # of the photographs that are drawn
OWN_MOOD = 0.5  # of simulated pictures keep the mood that was read with the picture whose pixels they lend


@dataclass(frozen=True)
class PictureBankConfig:
    """Gather pictures to train on, and read them.

    Args:
        encoder: Folder of the picture encoder.
        pictures: Folder with ``pictures.csv``: photographs with human ratings.
        out: Folder to write.
        scenes: Procedural scenes of each kind.
        scenes_read: Scenes of each kind that the encoder reads; the others are told the words of their caption.
        side: Side of the kept pictures in pixels, larger than what the image model sees by its smallest crop.
        seed: Seed of the scenes.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    encoder: str = ""
    pictures: str = ""
    out: str = ""
    scenes: int = 60
    scenes_read: int = 16
    side: int = 96
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.encoder or not self.pictures or not self.out:
            raise ValueError("encoder, pictures and out must name folders")
        if self.side < 8 or self.threads < 0 or not 0 <= self.scenes_read <= self.scenes:
            raise ValueError("side must be at least 8, threads not negative and scenes_read at most scenes")


@dataclass(frozen=True)
class PictureBank:
    """Pictures with what is known and what was read of them.

    Args:
        pictures: Of shape ``(n, 3, side, side)``, bytes.
        told: What the image model is told of them, of shape ``(n, dim)``: moods, then meanings.
        rated: Valence and arousal as z-scores, by people or by the painter, of shape ``(n, 2)``; not a number where
            unknown.
        captions: What each shows, in words.
        themes: What each shows, coarsely; folds and splits keep themes of photographs together.
        splits: One of "train", "validation" and "test" each.
        photographs: Which are photographs, of shape ``(n,)``.
    """

    pictures: torch.Tensor
    told: torch.Tensor
    rated: torch.Tensor
    captions: tuple[str, ...]
    themes: tuple[str, ...]
    splits: tuple[str, ...]
    photographs: torch.Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def moods(self) -> torch.Tensor:
        """Moods as they are told, of shape ``(n, 2)``."""
        return self.told[:, : len(MOOD_AXES)]

    @property
    def meanings(self) -> torch.Tensor:
        """Meanings as they are told, of shape ``(n, codes)``."""
        return self.told[:, len(MOOD_AXES) :]

    def part(self, split: str) -> PictureBank:
        """The pictures of a split.

        Args:
            split: "train", "validation" or "test".

        Returns:
            Those.

        Raises:
            ValueError: When there are none.
        """
        rows = [row for row, own in enumerate(self.splits) if own == split]
        if not rows:
            raise ValueError(f"there is no picture in split {split!r}")
        captions, themes, splits = (
            tuple(values[row] for row in rows) for values in (self.captions, self.themes, self.splits)
        )
        return PictureBank(
            self.pictures[rows], self.told[rows], self.rated[rows], captions, themes, splits, self.photographs[rows]
        )

    def draw(
        self, count: int, size: int, smallest_crop: float, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw pictures in random crops, half of them mirrored, photographs often in other colours.

        Args:
            count: How many.
            size: Side of the result in pixels.
            smallest_crop: Side of the smallest crop relative to the picture's, in (0, 1].
            generator: CPU generator.

        Returns:
            Pixels of shape ``(count, 3, size, size)`` in [-1, 1], and the row of each.
        """
        weights = torch.where(self.photographs, PHOTOGRAPHS_WEIGHT / max(int(self.photographs.sum()), 1), 0.0)
        weights = torch.where(self.photographs, weights, 1.0 / max(int((~self.photographs).sum()), 1))
        rows = torch.multinomial(weights, count, replacement=True, generator=generator)
        pixels = random_views(bytes_to_pixels(self.pictures[rows]), size, smallest_crop, generator)
        changed = self.photographs[rows] & (torch.rand(count, generator=generator) < RECOLOURED)
        return torch.where(changed[:, None, None, None], recolour(pixels, generator), pixels), rows

    def save(self, folder: str | Path) -> None:
        """Write the pictures.

        Args:
            folder: Where to; made where there is none.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name).numpy() for name in ("pictures", "told", "rated", "photographs")}
        np.savez(folder / ARRAYS, **arrays)
        notes = {name: list(getattr(self, name)) for name in ("captions", "themes", "splits")}
        (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> PictureBank:
        """Read what :meth:`save` wrote.

        Args:
            folder: The folder.

        Returns:
            The pictures.
        """
        notes = json.loads((Path(folder) / NOTES).read_text(encoding="utf-8"))
        fields: dict[str, Any] = {name: tuple(values) for name, values in notes.items()}
        with np.load(Path(folder) / ARRAYS, allow_pickle=False) as arrays:
            fields |= {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        return cls(**fields)


def is_picture_bank(folder: str | Path) -> bool:
    """Whether a folder holds a bank of pictures.

    Args:
        folder: The folder.

    Returns:
        Whether it does.
    """
    return (Path(folder) / NOTES).is_file()


def simulate(
    encoder: PictureEncoder, bank: PictureBank, count: int, embed: Callable[[Sequence[str]], np.ndarray], seed: int
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """What is told of pictures that are not there: words of the table of associations, with moods.

    A simulated picture lends its pixels from any other. A model that sees such pairs learns to go by what is told, and
    meets scenes of which there are few pictures.

    Args:
        encoder: The encoder.
        bank: Half of the moods are drawn from its pictures, the others evenly.
        count: How many.
        embed: Embeds texts by the caption encoder, to an array of shape ``(texts, text)``.
        seed: Seed of the draw.

    Returns:
        Of shape ``(count, dim)``, and the words of each.
    """
    rng = np.random.default_rng(seed)
    words = [scene for row in ASSOCIATIONS for scene in row.scenes]
    meanings = encoder.meaning_of(torch.from_numpy(embed(words)).float())
    chosen = rng.integers(len(words), size=count)
    moods = torch.from_numpy(rng.normal(size=(count, len(MOOD_AXES)))).float()
    own = torch.from_numpy(rng.random(count) < OWN_MOOD)
    moods[own] = bank.moods[torch.from_numpy(rng.integers(len(bank), size=count))][own]
    # No picture says one word alone: a second one, further off, and less loud.
    second = torch.from_numpy(rng.integers(len(words), size=count))
    share = torch.from_numpy(rng.uniform(0.0, 0.35, size=(count, 1))).float()
    said = (1.0 - share) * meanings[torch.from_numpy(chosen)] + share * meanings[second]
    loudness = torch.from_numpy(rng.uniform(0.5, 1.2, size=(count, 1))).float()
    return encoder.tell(moods, loudness * said), tuple(words[place] for place in chosen)


def train(config: PictureBankConfig) -> dict[str, int]:
    """Gather, read and write.

    Args:
        config: What.

    Returns:
        How many photographs and scenes; the bank is in ``out``.
    """
    use_threads(config.threads)
    encoder = PictureEncoder.from_pretrained(config.encoder, torch_dtype=torch.float32).eval().requires_grad_(False)
    bank = gather(encoder, config)
    bank.save(config.out)
    photographs = int(bank.photographs.sum())
    return {"photographs": photographs, "scenes": len(bank) - photographs, "told": bank.told.shape[1]}


def gather(encoder: PictureEncoder, config: PictureBankConfig) -> PictureBank:
    """Make a bank of pictures.

    Args:
        encoder: Reads them.
        config: Which.

    Returns:
        The bank.
    """
    pictures, told, rated, captions, themes, splits = [], [], [], [], [], []
    ratings = load_rated_pictures(config.pictures)
    known = np.array([[each.valence or np.nan, each.arousal or np.nan] for each in ratings])
    known = (known - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0)
    for photograph, mood in zip(tqdm(ratings, desc="photographs", mininterval=5.0), known, strict=True):
        image = load_image(photograph.path)
        pictures.append(pixels_to_bytes(image_to_tensor(image, config.side)))
        told.append(encoder(image_to_tensor(image, encoder.size)[None]))
        rated.append(list(mood))
        captions.append(photo_caption(photograph.theme))
        themes.append(photograph.theme)
        splits.append(theme_split(photograph.theme))
    embed, scenes = text_embedder(), []
    for number in tqdm(range(config.scenes), desc="scenes of each kind", mininterval=5.0):
        read = number < config.scenes_read
        for place, kind in enumerate(SCENE_KINDS):
            scene = render_scene(
                np.random.default_rng([config.seed, number, place]), SCENE_SIZE if read else config.side, kind
            )
            mood = picture_affect(scene.image, (scene.semantics_valence, scene.semantics_arousal))
            pictures.append(pixels_to_bytes(image_to_tensor(scene.image, config.side)))
            told.append(encoder(image_to_tensor(scene.image, encoder.size)[None]) if read else None)
            rated.append(list(mood))
            captions.append(scene.caption)
            themes.append(scene.theme)
            splits.append(
                SPLITS[2] if kind in TEST_ONLY_KINDS else SPLITS[(0, 0, 0, 0, 0, 0, 0, 0, 1, 2)[number % 10]]
            )
            scenes.append(len(told) - 1)
    unread = [row for row in scenes if told[row] is None]
    if unread:
        meanings = encoder.meaning_of(torch.from_numpy(embed([captions[row] for row in unread])).float())
        moods = torch.tensor([rated[row] for row in unread])
        for row, said in zip(unread, encoder.tell(moods, meanings), strict=True):
            told[row] = said[None]
    photographs = torch.arange(len(told)) < len(ratings)
    return PictureBank(
        torch.stack(pictures), torch.cat(told), torch.tensor(rated, dtype=torch.float32), tuple(captions),
        tuple(themes), tuple(splits), photographs,
    )  # fmt: skip
