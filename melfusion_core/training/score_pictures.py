"""Pictures as the score engine's trainer hears them: features of many views, and which music they go with.

``melfusion train score-pictures --bank PICTURES --encoder ENCODER --image-unet RUN/export --out FEATURES``

Shape legend: ``views`` pictures as they are seen, ``values`` of a view's packed features.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from tqdm.auto import tqdm

from melfusion_core.data.associations import Associations
from melfusion_core.data.pairing import MusicFacts, PictureChances, PicturePairing
from melfusion_core.data.pictures import rank_normalise
from melfusion_core.models.features import ImageFeatures, KeyValue, capture_image_features, picture_size
from melfusion_core.models.inversion import load_image_scheduler
from melfusion_core.models.picture_encoder import PictureEncoder
from melfusion_core.models.text import encode_text, load_minilm
from melfusion_core.training.config import use_threads
from melfusion_core.training.encoder_fit import text_embedder
from melfusion_core.training.picture_bank import PictureBank, simulate

_NOTES, _FEATURES, _FACTS = "pictures.json", "features.npy", "facts.npz"


@dataclass(frozen=True)
class ScorePicturesConfig:
    """What to prepare.

    Args:
        bank: Folder of ``melfusion train pictures``.
        encoder: Folder of the picture encoder.
        image_unet: Trained image model that is told what the encoder reads.
        out: Folder to write.
        views: Views to take of the bank's pictures, in random crops and colours.
        simulated: Views more whose meaning is told by words, and whose pixels are lent.
        smallest_crop: Side of the smallest crop relative to the picture's.
        key_timesteps: Image-model timesteps of the features.
        num_inversion_steps: Steps of the pictures' inversion.
        seed: Seed of the draws.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    bank: str = ""
    encoder: str = ""
    image_unet: str = ""
    out: str = ""
    views: int = 3000
    simulated: int = 1500
    smallest_crop: float = 0.7
    key_timesteps: tuple[int, ...] = (100,)
    num_inversion_steps: int = 1
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if not (self.bank and self.encoder and self.image_unet and self.out):
            raise ValueError("bank, encoder, image_unet and out must name folders")
        if self.views < 1 or self.simulated < 0 or not 0 < self.smallest_crop <= 1:
            raise ValueError("views must be positive, simulated not negative and smallest_crop in (0, 1]")


def prepare(config: ScorePicturesConfig) -> None:
    """Take the features of all views, and say which music each goes with.

    Args:
        config: What to do.
    """
    use_threads(config.threads)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = PictureEncoder.from_pretrained(config.encoder, torch_dtype=torch.float32).eval()
    unet = UNet2DConditionModel.from_pretrained(config.image_unet).eval().requires_grad_(False)
    scheduler = load_image_scheduler(config.image_unet)
    null = encode_text(*load_minilm(), [""])
    bank, embed = PictureBank.load(config.bank), text_embedder()
    parts = {split: bank.part(split) for split in ("train", "validation")}
    held_out = max(config.views // 10, 1)
    told, splits, packed, shapes = [], [], [], []
    for split, count, words in (
        ("train", config.views - held_out, 0),
        ("train", config.simulated, config.simulated),
        ("validation", held_out, 0),
    ):
        part, generator = parts[split], torch.Generator().manual_seed(config.seed + len(splits))
        spoken = simulate(encoder, part, words, embed, config.seed)[0] if words else None
        for first in tqdm(range(0, count, 32), desc=f"{split} views", mininterval=10.0):
            size = min(32, count - first)
            pixels, rows = part.draw(size, picture_size(unet), config.smallest_crop, generator)
            said = part.told[rows] if spoken is None else spoken[first : first + size]
            features = capture_image_features(
                unet, scheduler, pixels, null, config.key_timesteps, config.num_inversion_steps, embedding=said
            )
            shapes = list(features.shapes)
            packed.append(features.pack().half().numpy())
            told.append(said)
            splits += [split] * size
    every = torch.cat(told)

    def place(texts: Sequence[str]) -> np.ndarray:
        return encoder.locate(encoder.meaning_of(torch.from_numpy(embed(texts)).float())).numpy()

    moods = every[:, :2].numpy()
    styles, leads = Associations(place).chances(encoder.locate(every[:, 2:]).numpy())
    np.save(out / _FEATURES, np.concatenate(packed))
    np.savez(out / _FACTS, moods=np.stack([rank_normalise(m) for m in moods.T], axis=1), styles=styles, leads=leads)
    notes = {
        "splits": splits,
        "key_timesteps": list(config.key_timesteps),
        "num_inversion_steps": config.num_inversion_steps,
        "shapes": shapes,
    }
    (out / _NOTES).write_text(json.dumps(notes))


class PreparedPictures:
    """What :func:`prepare` wrote.

    Args:
        folder: Its folder.
        split: Which views to draw from.
        width: Deviation of the distance on each axis of mood at which pictures are drawn.
        meaning: Weight of what they show.
    """

    def __init__(self, folder: Path, split: str, width: float, meaning: float) -> None:
        notes = json.loads((folder / _NOTES).read_text())
        self.key_timesteps = tuple(notes["key_timesteps"])
        self.num_inversion_steps = int(notes["num_inversion_steps"])
        self.shapes = tuple((tokens, dim) for tokens, dim in notes["shapes"])
        self.rows = np.flatnonzero(np.array(notes["splits"]) == split)
        self._features = np.load(folder / _FEATURES, mmap_mode="r")
        with np.load(folder / _FACTS) as facts:
            chances = PictureChances(*(facts[name][self.rows] for name in ("moods", "styles", "leads")))
        self._pairing = PicturePairing(chances, width, meaning)

    def draw(self, music: MusicFacts, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a view for each of some pieces.

        Args:
            music: The pieces.
            rows: Which of them, of shape ``(n,)``.
            rng: Source of randomness.

        Returns:
            Numbers of the views, of shape ``(n,)``.
        """
        return self.rows[self._pairing.draw(music, rows, rng.random(len(rows)))]

    def features_at(self, views: np.ndarray, timesteps: torch.Tensor, device: torch.device) -> list[KeyValue]:
        """Features of views at the key timestep nearest to each one's own timestep.

        Args:
            views: Their numbers, of shape ``(batch,)``.
            timesteps: Of shape ``(batch,)``.
            device: Where to put them.

        Returns:
            For each layer ``(key, value)`` of shape ``(batch, tokens, dim)``, float32.
        """
        return self.features(views, device).at(timesteps.to(device))

    def features(self, views: np.ndarray, device: torch.device) -> ImageFeatures:
        """All features of views.

        Args:
            views: Their numbers, of shape ``(batch,)``.
            device: Where to put them.

        Returns:
            The features, float32.
        """
        packed = torch.from_numpy(self._features[views]).to(device).float()
        return ImageFeatures.unpack(packed, self.key_timesteps, self.shapes)


def music_facts(clips: list[dict]) -> MusicFacts:
    """What pairing needs to know of prepared passages.

    Args:
        clips: The passages.

    Returns:
        Their moods, styles and leads.
    """
    moods = np.array([[clip["valence"], clip["arousal"]] for clip in clips])
    leads = [next((name for name, role in clip["tracks"] if role == "lead"), "") for clip in clips]
    return MusicFacts.from_names(moods, [clip["style"] for clip in clips], leads)
