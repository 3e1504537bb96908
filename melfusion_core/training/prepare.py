"""Encode a corpus once for the music trainer: latents, caption states, picture features.

``python -m melfusion_core.training.prepare --data CORPUS --out PREPARED --vae RUN/export --image-unet RUN/export``
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from melfusion_core.mel import MelConfig, MelSpectrogram
from melfusion_core.models.features import ImageFeatures, picture_size
from melfusion_core.models.latents import encode_mel, load_codec
from melfusion_core.models.synapse import capture_image_features
from melfusion_core.models.text import encode_text, load_minilm
from melfusion_core.training.captions import CaptionStore, encode_captions
from melfusion_core.training.config import parse_config, use_threads
from melfusion_core.training.data import Clip, bytes_to_pixels, load_pictures, read_corpus, read_crop, select

PARTS = ("captions", "latents", "features")


@dataclass(frozen=True)
class PrepareConfig:
    """Encode a corpus for the music trainer.

    Args:
        data: Corpus folder with ``metadata.jsonl``.
        out: Folder to write to.
        vae: Folder of the trained music VAE; needed for the part ``latents``.
        image_unet: Folder of the trained image UNet with its ``scheduler`` inside; needed for the part ``features``.
        parts: What to encode: ``captions``, ``latents``, ``features``. Parts may run at the same time in several
            processes.
        splits: Splits to encode.
        key_timesteps: Image-model timesteps whose features are kept.
        num_inversion_steps: Even steps of the pictures' inversion.
        batch_size: Clips or pictures at a time.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves PyTorch's choice.
        limit: Use only this many clips of each split; 0 for all.
    """

    data: str = ""
    out: str = ""
    vae: str = ""
    image_unet: str = ""
    parts: tuple[str, ...] = PARTS
    splits: tuple[str, ...] = ("train", "validation")
    key_timesteps: tuple[int, ...] = (100, 500)
    num_inversion_steps: int = 5
    batch_size: int = 8
    device: str = "cpu"
    threads: int = 1
    limit: int = 0

    def __post_init__(self) -> None:
        if not self.data or not self.out:
            raise ValueError("data and out must name folders")
        unknown = set(self.parts) - set(PARTS)
        if unknown or not self.parts:
            raise ValueError(f"parts must be some of {PARTS}, got {self.parts}")
        for part, name in (("latents", "vae"), ("features", "image_unet")):
            if part in self.parts and not getattr(self, name):
                raise ValueError(f"the part {part} needs {name}")
        if self.batch_size < 1 or self.num_inversion_steps < 1 or not self.key_timesteps:
            raise ValueError("batch_size, num_inversion_steps and key_timesteps must be positive")


@dataclass(frozen=True)
class PreparedData:
    """What the music trainer reads.

    Args:
        clips: One entry per clip: ``id``, ``split``, ``captions`` (rows of the captions) and ``picture`` (row).
        latents: Raw latents of shape ``(clips, channels, time, frequency)``, float16.
        latents_mean: Mean of each channel over the training clips.
        latents_std: Standard deviation of each channel over the training clips.
        captions: Caption states; row 0 is the empty caption.
        features: Packed picture features of shape ``(pictures, timesteps, values)``, float16.
        key_timesteps: Image-model timesteps of the features.
        num_inversion_steps: Steps of the pictures' inversion.
        feature_shapes: ``(tokens, dim)`` of each connected layer.
    """

    clips: list[dict]
    latents: np.ndarray
    latents_mean: tuple[float, ...]
    latents_std: tuple[float, ...]
    captions: CaptionStore
    features: np.ndarray
    key_timesteps: tuple[int, ...]
    num_inversion_steps: int
    feature_shapes: tuple[tuple[int, int], ...]

    @classmethod
    def load(cls, folder: str | Path) -> PreparedData:
        """Open a prepared folder; arrays stay on disk.

        Args:
            folder: What :func:`prepare` wrote.

        Returns:
            The data.

        Raises:
            FileNotFoundError: When a part is missing.
            ValueError: When the parts come from different clips.
        """
        folder = Path(folder)
        notes = {part: json.loads((folder / f"{part}.json").read_text()) for part in PARTS}
        if len({note["clips_id"] for note in notes.values()}) != 1:
            raise ValueError(f"the parts in {folder} were made from different clips; prepare them again")
        rows = {path: row for row, path in enumerate(notes["features"]["pictures"])}
        clips = [{**clip, "picture": rows[clip["image"]]} for clip in notes["captions"]["clips"]]
        return cls(
            clips=clips,
            latents=np.load(folder / "latents.npy", mmap_mode="r"),
            latents_mean=tuple(notes["latents"]["mean"]),
            latents_std=tuple(notes["latents"]["std"]),
            captions=CaptionStore.load(folder, "captions"),
            features=np.load(folder / "features.npy", mmap_mode="r"),
            key_timesteps=tuple(notes["features"]["key_timesteps"]),
            num_inversion_steps=notes["features"]["num_inversion_steps"],
            feature_shapes=tuple((tokens, dim) for tokens, dim in notes["features"]["shapes"]),
        )

    def features_at(
        self, pictures: list[int], timesteps: torch.Tensor, device: torch.device | str = "cpu"
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Features of each picture at the key timestep nearest to its own timestep.

        Args:
            pictures: Row of each picture.
            timesteps: Of shape ``(batch,)``.
            device: Where to put them.

        Returns:
            For each layer ``(key, value)`` of shape ``(batch, tokens, dim)``, float32.
        """
        keys = torch.tensor(self.key_timesteps)
        nearest = (timesteps.cpu()[:, None] - keys).abs().argmin(dim=1).tolist()
        packed = np.stack([self.features[row, step] for row, step in zip(pictures, nearest, strict=True)])
        values = torch.from_numpy(packed).to(device).float()
        return list(ImageFeatures.unpack(values, (0,), self.feature_shapes).layers[0])


def prepare(config: PrepareConfig) -> None:
    """Encode the parts that the configuration names.

    Args:
        config: What to encode and with which models.
    """
    use_threads(config.threads)
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(config.data)
    clips = [clip for split in config.splits for clip in select(corpus, split, config.limit)]
    note = {"clips_id": _clips_id(clips)}
    steps: dict[str, Callable[[PrepareConfig, list[Clip], Path], dict]] = {
        "captions": _encode_captions,
        "latents": _encode_latents,
        "features": _encode_features,
    }
    for part in PARTS:
        if part in config.parts:
            result = steps[part](config, clips, folder)
            (folder / f"{part}.json").write_text(json.dumps(note | result) + "\n")
            print(f"prepare: {part} of {len(clips)} clips done", flush=True)


def train(config: PrepareConfig) -> None:
    """The same as :func:`prepare`, under the name that all trainers have.

    Args:
        config: What to encode and with which models.
    """
    prepare(config)


def _clips_id(clips: list[Clip]) -> str:
    return hashlib.sha256("\n".join(f"{clip.id} {clip.split}" for clip in clips).encode()).hexdigest()


def _encode_captions(config: PrepareConfig, clips: list[Clip], folder: Path) -> dict:
    texts = list(dict.fromkeys(["", *(caption for clip in clips for caption in clip.captions)]))
    rows = {text: row for row, text in enumerate(texts)}
    tokenizer, text_encoder = load_minilm()
    encode_captions(tokenizer, text_encoder.to(config.device), texts).save(folder, "captions")
    entries = [
        {
            "id": clip.id,
            "split": clip.split,
            "image": str(clip.image),
            "captions": [rows[text] for text in clip.captions],
        }
        for clip in clips
    ]
    return {"clips": entries, "texts": texts}


@torch.no_grad()
def _encode_latents(config: PrepareConfig, clips: list[Clip], folder: Path) -> dict:
    vae = load_codec(config.vae).to(config.device).eval()
    mel_config = MelConfig()
    mel = MelSpectrogram(mel_config).to(config.device)
    partial = folder / "latents.npy.partial"
    latents = None
    for start in range(0, len(clips), config.batch_size):
        batch = clips[start : start + config.batch_size]
        waveform = np.stack([read_crop(clip.audio, mel_config.sample_rate, 0, -1) for clip in batch])
        encoded = encode_mel(vae, mel(torch.from_numpy(waveform).to(config.device))).mode().cpu().numpy()
        if latents is None:
            shape = (len(clips), *encoded.shape[1:])
            latents = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        latents[start : start + len(batch)] = encoded
        _report("latents", start + len(batch), len(clips))
    latents.flush()
    if vae.config.latents_std is not None:  # the codec brings its own scales
        del latents
        os.replace(partial, folder / "latents.npy")
        return {"mean": list(vae.config.latents_mean), "std": list(vae.config.latents_std)}
    chosen = [row for row, clip in enumerate(clips) if clip.split == "train"] or list(range(len(clips)))
    total, squares = np.zeros(shape[1]), np.zeros(shape[1])
    for row in chosen:
        values = latents[row].astype(np.float64)
        total += values.mean(axis=(1, 2))
        squares += np.square(values).mean(axis=(1, 2))
    mean = total / len(chosen)
    std = np.sqrt(np.maximum(squares / len(chosen) - mean**2, 1e-8))
    del latents
    os.replace(partial, folder / "latents.npy")
    return {"mean": [round(float(v), 6) for v in mean], "std": [round(float(v), 6) for v in std]}


def _encode_features(config: PrepareConfig, clips: list[Clip], folder: Path) -> dict:
    image_unet = UNet2DConditionModel.from_pretrained(config.image_unet).to(config.device).eval()
    scheduler = DDIMScheduler.from_pretrained(config.image_unet, subfolder="scheduler")
    null_text = encode_text(*load_minilm(), [""])
    pictures, rows = load_pictures(clips, picture_size(image_unet))
    partial = folder / "features.npy.partial"
    features, captured = None, None
    for start in range(0, len(pictures), config.batch_size):
        pixels = bytes_to_pixels(pictures[start : start + config.batch_size]).to(config.device)
        captured = capture_image_features(
            image_unet, scheduler, pixels, null_text, config.key_timesteps, config.num_inversion_steps
        )
        packed = captured.pack().cpu().numpy().reshape(len(pixels), len(captured.timesteps), -1)
        if features is None:
            shape = (len(pictures), *packed.shape[1:])
            features = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        features[start : start + len(pixels)] = packed
        _report("features", start + len(pixels), len(pictures))
    features.flush()
    del features
    os.replace(partial, folder / "features.npy")
    return {
        "pictures": [str(path) for path in rows],
        "key_timesteps": list(captured.timesteps),
        "num_inversion_steps": config.num_inversion_steps,
        "shapes": [list(shape) for shape in captured.shapes],
    }


def _report(part: str, done: int, total: int) -> None:
    if done % 400 < 8 or done == total:
        print(f"prepare: {part} {done}/{total}", flush=True)


if __name__ == "__main__":
    prepare(parse_config(PrepareConfig, program="python -m melfusion_core.training.prepare"))
