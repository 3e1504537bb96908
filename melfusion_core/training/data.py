"""The corpus on disk as tensors: the manifest, audio crops, pictures."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image
from tqdm.auto import tqdm

from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.training.packs import Packs, is_packs

MANIFEST = "metadata.jsonl"
SPLITS = ("train", "validation", "test")
SUBSETS = ("all", "core", "full")


class CorpusError(ValueError):
    """A corpus that cannot be used; the message names the file or line."""


@dataclass(frozen=True)
class Clip:
    """One triplet of the corpus.

    Args:
        id: Unique name.
        split: ``train``, ``validation`` or ``test``.
        audio: Path of the audio file.
        image: Path of the picture.
        captions: Captions of the music, at least one.
        image_caption: Caption of the picture, may be empty.
        record: The whole line of the manifest.
        image_bytes: Content of the picture file where it comes from a pack.
    """

    id: str
    split: str
    audio: Path
    image: Path
    captions: tuple[str, ...]
    image_caption: str
    record: dict
    image_bytes: bytes | None = field(default=None, repr=False)


def read_corpus(root: str | Path, subset: str = "all") -> list[Clip]:
    """Read the clips of a corpus or of a pack folder.

    Args:
        root: Folder with ``metadata.jsonl``, or with ``packs.json`` (whose clips have pictures, but no audio).
        subset: ``core`` or ``full`` for the clips so marked, ``all`` for all clips.

    Returns:
        Its clips, in the order of the file.

    Raises:
        CorpusError: When the manifest is missing, empty, or has a bad line or a file that does not exist; when the
            subset is unknown or has no clip.
        PackError: When a part of the packs is missing or damaged.
    """
    if subset not in SUBSETS:
        raise CorpusError(f"the subset must be one of {SUBSETS}, got {subset!r}")
    root = Path(root)
    clips = clips_of_packs(Packs(root)) if is_packs(root) else _read_manifest(root)
    chosen = [clip for clip in clips if subset in ("all", clip.record.get("subset"))]
    if not chosen:
        raise CorpusError(f"{root} has no clip of the subset {subset!r}")
    return chosen


def clips_of_packs(packs: Packs) -> list[Clip]:
    """The clips of an opened pack folder; ``record["row"]`` is a clip's row in the packs.

    Args:
        packs: The packs.

    Returns:
        The clips; audio and image name files of the corpus that are not here.
    """
    pictures = packs.pictures()
    return [
        Clip(
            id=record["id"],
            split=record["split"],
            audio=packs.folder / record["audio"],
            image=packs.folder / record["image"],
            captions=tuple(packs.texts[row] for row in record["captions"]),
            image_caption=packs.texts[record["image_caption"]],
            record={**record, "row": row},
            image_bytes=pictures[record["picture"]],
        )
        for row, record in enumerate(packs.clips)
    ]


def _read_manifest(root: Path) -> list[Clip]:
    manifest = root / MANIFEST
    if not manifest.is_file():
        raise CorpusError(f"{manifest} does not exist")
    clips, seen = [], set()
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{manifest}:{number}"
        try:
            record = json.loads(line)
            captions = tuple(dict.fromkeys([record["caption"], *record.get("captions", [])]))
            clip = Clip(
                id=record["id"],
                split=record["split"],
                audio=root / record["audio"],
                image=root / record["image"],
                captions=captions,
                image_caption=record.get("image_caption") or "",
                record=record,
            )
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise CorpusError(f"{where}: {error!r}") from error
        if clip.split not in SPLITS or clip.id in seen:
            raise CorpusError(f"{where}: split {clip.split!r} is unknown, or id {clip.id!r} came before")
        for path in (clip.audio, clip.image):
            if not path.is_file():
                raise CorpusError(f"{where}: {path} does not exist")
        seen.add(clip.id)
        clips.append(clip)
    if not clips:
        raise CorpusError(f"{manifest} is empty")
    return clips


def select(clips: list[Clip], split: str, limit: int = 0) -> list[Clip]:
    """The clips of one split.

    Args:
        clips: Clips of a corpus.
        split: Which split.
        limit: At most this many, evenly spread; 0 for all.

    Returns:
        The clips.

    Raises:
        CorpusError: When there is none.
    """
    chosen = [clip for clip in clips if clip.split == split]
    if not chosen:
        raise CorpusError(f"the corpus has no clip in split {split!r}")
    if limit and limit < len(chosen):
        chosen = [chosen[i * len(chosen) // limit] for i in range(limit)]
    return chosen


def read_crop(path: Path, sample_rate: int, start: int, samples: int) -> np.ndarray:
    """Part of an audio file that already has the right sample rate.

    Args:
        path: Mono audio file.
        sample_rate: The rate it must have, in Hz.
        start: First sample.
        samples: Number of samples; -1 for all the rest.

    Returns:
        Float32 samples of shape ``(samples,)``.

    Raises:
        CorpusError: When the file is missing, has another rate, is not mono, or is too short.
    """
    if not path.is_file():
        raise CorpusError(f"{path} does not exist (packs hold no audio: this trainer needs the corpus itself)")
    with soundfile.SoundFile(str(path)) as file:
        if file.samplerate != sample_rate or file.channels != 1:
            raise CorpusError(f"{path}: {file.channels} channels at {file.samplerate} Hz, need mono at {sample_rate}")
        file.seek(start)
        crop = file.read(samples, dtype="float32")
    if samples >= 0 and len(crop) != samples:
        raise CorpusError(f"{path}: {len(crop)} samples from {start}, need {samples}")
    return crop


def draw_crops(clips: list[Clip], generator: torch.Generator, batch: int, samples: int, grid: int, rate: int):
    """Random crops of random clips.

    Args:
        clips: Clips to draw from, with replacement.
        generator: CPU generator.
        batch: Number of crops.
        samples: Length of a crop.
        grid: Crops start at multiples of this many samples.
        rate: Sample rate in Hz.

    Returns:
        Waveforms of shape ``(batch, samples)``.

    Raises:
        CorpusError: When a clip is too short.
    """
    rows = []
    for index in torch.randint(len(clips), (batch,), generator=generator).tolist():
        path = clips[index].audio
        places = (soundfile.info(str(path)).frames - samples) // grid + 1
        if places < 1:
            raise CorpusError(f"{path} is shorter than {samples} samples")
        start = int(torch.randint(places, (1,), generator=generator)) * grid
        rows.append(read_crop(path, rate, start, samples))
    return torch.from_numpy(np.stack(rows))


def fixed_crops(clips: list[Clip], count: int, samples: int, rate: int) -> torch.Tensor:
    """The beginnings of a few evenly spread clips, for validation and samples.

    Args:
        clips: Clips to choose from.
        count: Number of crops, at most as many as clips.
        samples: Length of a crop.
        rate: Sample rate in Hz.

    Returns:
        Waveforms of shape ``(count, samples)``.
    """
    count = min(count, len(clips))
    chosen = [clips[i * len(clips) // count] for i in range(count)]
    return torch.from_numpy(np.stack([read_crop(clip.audio, rate, 0, samples) for clip in chosen]))


def load_pictures(clips: list[Clip], size: int) -> tuple[torch.Tensor, dict[Path, int]]:
    """Every different picture of some clips, as bytes.

    Args:
        clips: The clips.
        size: Side in pixels.

    Returns:
        Pictures of shape ``(pictures, 3, size, size)`` uint8, and the row of each path.
    """
    rows: dict[Path, int] = {}
    sources: list[Clip] = []
    for clip in clips:
        if rows.setdefault(clip.image, len(rows)) == len(sources):
            sources.append(clip)
    pictures = torch.empty(len(rows), 3, size, size, dtype=torch.uint8)
    for row, clip in enumerate(tqdm(sources, desc="pictures", mininterval=5.0)):
        opened = Image.open(io.BytesIO(clip.image_bytes)) if clip.image_bytes is not None else clip.image
        pictures[row] = pixels_to_bytes(image_to_tensor(load_image(opened), size))
    return pictures, rows


def pixels_to_bytes(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels in [-1, 1] to 0..255.

    Args:
        pixels: Any shape.

    Returns:
        Same shape, uint8.
    """
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def bytes_to_pixels(values: torch.Tensor) -> torch.Tensor:
    """0..255 to pixels in [-1, 1].

    Args:
        values: Any shape, uint8.

    Returns:
        Same shape, float32.
    """
    return values.float() / 127.5 - 1
