"""Encode a corpus once for the music trainer: latents, caption states, picture features.

``melfusion train prepare --data CORPUS --out PREPARED --vae RUN/export --image-unet RUN/export``

The corpus may also be a folder of packs, which already hold the latents; then ``--vae`` is not needed.
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
from diffusers import UNet2DConditionModel
from tqdm.auto import tqdm
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from melfusion_core.data.corpus import SUBSETS, Triplet, read_corpus, select
from melfusion_core.data.packs import Packs, is_packs
from melfusion_core.engines.spectrogram.latents import load_codec
from melfusion_core.models.features import ImageFeatures, picture_size
from melfusion_core.models.inversion import load_image_scheduler
from melfusion_core.models.picture_encoder import load_picture_encoder
from melfusion_core.models.synapse import capture_image_features
from melfusion_core.models.text import TextCondition, TextEncoderError, encode_text, load_minilm
from melfusion_core.training.captions import CaptionStore, encode_captions
from melfusion_core.training.config import PRECISIONS, use_threads
from melfusion_core.training.data import bytes_to_pixels, load_pictures
from melfusion_core.training.encode import encode_clips, latent_scales
from melfusion_core.training.told import tell_clips

PARTS = ("captions", "latents", "features")


@dataclass(frozen=True)
class PrepareConfig:
    """Encode a corpus for the music trainer.

    Args:
        data: Corpus folder with ``metadata.jsonl``, or a folder of packs.
        out: Folder to write to.
        vae: Folder of the trained music VAE; needed for the part ``latents`` of a corpus.
        image_unet: Folder of the trained image UNet, of its trainer or of a model; needed for the part ``features``.
        parts: What to encode: ``captions``, ``latents``, ``features``. Parts may run at the same time in several
            processes.
        splits: Splits to encode.
        subset: Clips to encode: ``core``, ``full`` or ``all``.
        key_timesteps: Image-model timesteps whose features are kept.
        num_inversion_steps: Even steps of the pictures' inversion.
        batch_size: Clips or pictures at a time.
        precision: Autocast of the picture features: ``no`` or ``bf16`` (measured on a 2-core machine: 1.7 times as
            fast).
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
    subset: str = "all"
    key_timesteps: tuple[int, ...] = (100, 500)
    num_inversion_steps: int = 5
    batch_size: int = 8
    precision: str = "no"
    device: str = "cpu"
    threads: int = 1
    limit: int = 0

    def __post_init__(self) -> None:
        if not self.data or not self.out:
            raise ValueError("data and out must name folders")
        unknown = set(self.parts) - set(PARTS)
        if unknown or not self.parts:
            raise ValueError(f"parts must be some of {PARTS}, got {self.parts}")
        if self.subset not in SUBSETS:
            raise ValueError(f"subset must be one of {SUBSETS}, got {self.subset!r}")
        for part, name in (("latents", "vae"), ("features", "image_unet")):
            given = getattr(self, name) or part == "latents" and is_packs(self.data)
            if part in self.parts and not given:
                raise ValueError(f"the part {part} needs {name}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, got {self.precision!r}")
        if self.batch_size < 1 or self.num_inversion_steps < 1 or not self.key_timesteps:
            raise ValueError("batch_size, num_inversion_steps and key_timesteps must be positive")


@dataclass(frozen=True)
class PreparedData:
    """What the music trainer reads.

    Args:
        clips: One entry per clip: ``id``, ``split``, ``captions`` (rows of the captions), ``picture`` (row) and
            ``moods``: valence and arousal of its "music" and its "image" in [0, 1], None where the corpus has none.
        latents: Raw latents of shape ``(clips, channels, time, frequency)``, float16.
        latents_mean: Mean of each channel, as the codec states it.
        latents_std: Scale of each channel, as the codec states it.
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

    def all_features(self, pictures: list[int], device: torch.device | str = "cpu") -> ImageFeatures:
        """Features of each picture at all key timesteps.

        Args:
            pictures: Row of each picture.
            device: Where to put them.

        Returns:
            The features, float32.
        """
        values = torch.from_numpy(self.features[pictures].reshape(len(pictures), -1)).to(device).float()
        return ImageFeatures.unpack(values, self.key_timesteps, self.feature_shapes)


def prepare(config: PrepareConfig) -> None:
    """Encode the parts that the configuration names.

    Args:
        config: What to encode and with which models.

    Raises:
        CorpusError: When the corpus cannot be used.
        PackError: When a part of the packs is missing or damaged.
        ValueError: When the codec does not state the scales of its latents.
    """
    use_threads(config.threads)
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    packs = Packs(config.data) if is_packs(config.data) else None
    corpus = read_corpus(packs or config.data, config.subset)
    clips = [clip for split in config.splits for clip in select(corpus, split, config.limit)]
    note = {"clips_id": _clips_id(clips)}
    steps: dict[str, Callable[[PrepareConfig, list[Triplet], Path, Packs | None], dict]] = {
        "captions": _encode_captions,
        "latents": _encode_latents,
        "features": _encode_features,
    }
    for part in PARTS:
        if part in config.parts:
            result = steps[part](config, clips, folder, packs)
            (folder / f"{part}.json").write_text(json.dumps(note | result) + "\n")
            print(f"prepare: {part} of {len(clips)} clips done", flush=True)


def prepared_folder(config: PrepareConfig) -> Path:
    """Prepare, unless it is done already.

    Args:
        config: What to encode; its ``out`` is left as it is when every part is there.

    Returns:
        The folder, for :meth:`PreparedData.load`.
    """
    folder = Path(config.out)
    if not all((folder / f"{part}.json").is_file() for part in PARTS):
        prepare(config)
    return folder


def _load_text(packs: Packs | None) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The installed text encoder, or that of the packs where none is installed."""
    try:
        return load_minilm()
    except TextEncoderError:
        if packs is None or packs.text_encoder is None:
            raise
    print("prepare: the text encoder is not installed; that of the packs (half precision) is used", flush=True)
    model = AutoModel.from_pretrained(packs.text_encoder, local_files_only=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(packs.text_encoder, local_files_only=True)
    return tokenizer, model.eval().requires_grad_(False)


def _clips_id(clips: list[Triplet]) -> str:
    return hashlib.sha256("\n".join(f"{clip.id} {clip.split}" for clip in clips).encode()).hexdigest()


def _encode_captions(config: PrepareConfig, clips: list[Triplet], folder: Path, packs: Packs | None) -> dict:
    texts = list(dict.fromkeys(["", *(caption for clip in clips for caption in clip.captions)]))
    rows = {text: row for row, text in enumerate(texts)}
    tokenizer, text_encoder = _load_text(packs)
    encode_captions(tokenizer, text_encoder.to(config.device), texts).save(folder, "captions")
    entries = [
        {
            "id": clip.id,
            "split": clip.split,
            "image": str(clip.image),
            "captions": [rows[text] for text in clip.captions],
            "moods": {side: clip.mood(side) for side in ("music", "image")},
        }
        for clip in clips
    ]
    return {"clips": entries, "texts": texts}


def _encode_latents(config: PrepareConfig, clips: list[Triplet], folder: Path, packs: Packs | None) -> dict:
    partial = folder / "latents.npy.partial"
    if packs is not None:
        _unpack_latents(packs, clips, partial)
        scales = {name: packs.manifest["latents"][name] for name in ("mean", "std")}
    else:
        vae, latents = load_codec(config.vae), None
        scales = latent_scales(vae)
        for start, encoded in encode_clips(vae, clips, config.batch_size, config.device):
            if latents is None:
                shape = (len(clips), *encoded.shape[1:])
                latents = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
            latents[start : start + len(encoded)] = encoded
        latents.flush()
    os.replace(partial, folder / "latents.npy")
    return scales


def _unpack_latents(packs: Packs, clips: list[Triplet], path: Path) -> None:
    """Write the latents of some clips as float16, in the clips' order."""
    rows = {record["id"]: row for row, record in enumerate(packs.clips)}
    places = {rows[clip.id]: place for place, clip in enumerate(clips)}
    shape = (len(clips), *packs.manifest["latents"]["shape"])
    latents = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    for first, values in packs.latents():
        for row, value in enumerate(values, start=first):
            if row in places:
                latents[places[row]] = value
    latents.flush()


def _encode_features(config: PrepareConfig, clips: list[Triplet], folder: Path, packs: Packs | None) -> dict:
    image_unet = UNet2DConditionModel.from_pretrained(config.image_unet).to(config.device).eval()
    scheduler = load_image_scheduler(config.image_unet)
    encoder = load_picture_encoder(config.image_unet, image_unet)
    null_text: TextCondition = encode_text(*_load_text(packs), [""], max_length=2)  # its two special tokens
    pictures, rows = load_pictures(clips, picture_size(image_unet))
    told = tell_clips(encoder, clips)
    partial = folder / "features.npy.partial"
    features, captured = None, None
    for start in tqdm(range(0, len(pictures), config.batch_size), desc="features", mininterval=5.0):
        pixels = bytes_to_pixels(pictures[start : start + config.batch_size]).to(config.device)
        with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
            captured = capture_image_features(
                image_unet,
                scheduler,
                pixels,
                null_text,
                config.key_timesteps,
                config.num_inversion_steps,
                embedding=None if told is None else told[start : start + len(pixels)],
            )
        packed = captured.pack().cpu().numpy().reshape(len(pixels), len(captured.timesteps), -1)
        if features is None:
            shape = (len(pictures), *packed.shape[1:])
            features = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        features[start : start + len(pixels)] = packed
    features.flush()
    del features
    os.replace(partial, folder / "features.npy")
    return {
        "pictures": [str(path) for path in rows],
        "key_timesteps": list(captured.timesteps),
        "num_inversion_steps": config.num_inversion_steps,
        "shapes": [list(shape) for shape in captured.shapes],
    }
