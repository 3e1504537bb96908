"""Portable training data: latents, captions and pictures in a few files, for a machine without network.

A pack folder holds `packs.json` (written last; format version, codec, statistics, and name, size and SHA-256 of
every other file) and parts of bounded size:

- `latents-000.safetensors` ...: `latents` uint8 `(clips, channels, time, frequency)`, with `low` and `step`
  float32 `(clips, channels)`: value = low + step * code. One range per clip and channel: on the linear codec the
  error is about 0.01 standard deviations of a channel (the manifest states it), at half the size of float16.
- `pictures-000.safetensors` ...: `bytes` uint8 (JPEG files one after the other) and `offsets` int64. A JPEG of
  128 pixels is smaller than 64 x 64 raw pixels and leaves room for random crops.
- `clips.json`: texts, and one entry per clip. `codec/`, and on request `text_encoder/` in half precision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

MANIFEST = "packs.json"
FORMAT, VERSION = "melfusion-packs", 1
MAX_PART_MB = 60


class PackError(ValueError):
    """A pack folder that cannot be used; the message names the file."""


def is_packs(folder: str | Path) -> bool:
    """Whether a folder holds packs.

    Args:
        folder: Any folder.
    """
    return (Path(folder) / MANIFEST).is_file()


def quantise(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents to 8 bits, with one range per clip and channel.

    Args:
        latents: Of shape `(clips, channels, time, frequency)`, float32.

    Returns:
        Codes, uint8, same shape; lowest value and step, float32, of shape `(clips, channels)`.
    """
    low, high = latents.min(axis=(2, 3)), latents.max(axis=(2, 3))
    step = np.maximum((high - low) / 255.0, 1e-12).astype(np.float32)
    codes = np.rint((latents - low[..., None, None]) / step[..., None, None])
    return np.clip(codes, 0, 255).astype(np.uint8), low.astype(np.float32), step


def dequantise(codes: np.ndarray, low: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Undo `quantise`, up to half a step.

    Args:
        codes: Of shape `(clips, channels, time, frequency)`, uint8.
        low: Lowest values, of shape `(clips, channels)`.
        step: Steps, of shape `(clips, channels)`.

    Returns:
        Latents, float32, same shape as the codes.
    """
    return low[..., None, None] + step[..., None, None] * codes.astype(np.float32)


class PackWriter:
    """Writes the parts of a pack folder, and its manifest at the end.

    Args:
        folder: Folder to write; it must not hold a manifest yet.
        part_mb: Largest size of a part in megabytes.

    Raises:
        PackError: When the folder already holds packs, or the size is out of range.
    """

    def __init__(self, folder: str | Path, part_mb: float = MAX_PART_MB) -> None:
        self.folder = Path(folder)
        if is_packs(self.folder):
            raise PackError(f"{self.folder} already holds packs; choose another folder")
        if not 0 < part_mb <= 2000:
            raise PackError(f"the size of a part must lie in (0, 2000] MB, got {part_mb}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limit = int(part_mb * 1_000_000)
        self.parts: list[dict] = []

    def add_arrays(self, name: str, kind: str, arrays: dict[str, np.ndarray], first: int, count: int) -> None:
        """Write one safetensors part.

        Args:
            name: File name.
            kind: What it holds: `latents` or `pictures`.
            arrays: The arrays by name.
            first: Row of its first clip or picture.
            count: Number of rows.
        """
        arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        save_file(arrays, self.folder / name)
        self.register(name, kind, first=first, count=count)

    def register(self, name: str, kind: str, **more: int) -> None:
        """Note a file that lies in the folder.

        Args:
            name: File name relative to the folder.
            kind: What it holds.
            more: Further notes.

        Raises:
            PackError: When it is larger than a part may be.
        """
        path = self.folder / name
        size = path.stat().st_size
        if size > max(self.limit, 1_000_000):
            raise PackError(f"{name} has {size / 1e6:.1f} MB, more than a part may have; raise the size of a part")
        self.parts.append({"file": name, "kind": kind, "bytes": size, "sha256": _sha256(path), **more})

    def finish(self, notes: dict) -> dict:
        """Write the manifest.

        Args:
            notes: What else it says.

        Returns:
            The manifest.
        """
        manifest = {"format": FORMAT, "version": VERSION, **notes, "parts": self.parts}
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        return manifest


def write_pictures(writer: PackWriter, pictures: Sequence[bytes]) -> None:
    """Write files such as JPEGs into parts.

    Args:
        writer: Where to.
        pictures: Content of each file.
    """
    first, size = 0, 0
    bounds = []
    for row, content in enumerate(pictures):
        if row > first and size + len(content) + 8 * (row - first + 2) + 512 > writer.limit:
            bounds.append((first, row))
            first, size = row, 0
        size += len(content)
    bounds.append((first, len(pictures)))
    for number, (begin, end) in enumerate(bounds):
        offsets = np.cumsum([0, *(len(content) for content in pictures[begin:end])], dtype=np.int64)
        joined = np.frombuffer(b"".join(pictures[begin:end]), dtype=np.uint8)
        arrays = {"bytes": joined, "offsets": offsets}
        writer.add_arrays(f"pictures-{number:03d}.safetensors", "pictures", arrays, begin, end - begin)


class Packs:
    """A pack folder, checked and opened.

    Args:
        folder: The folder with `packs.json`.
        verify: Whether to compare every file's SHA-256 with the manifest.

    Raises:
        PackError: When the manifest is missing, unreadable or of another version, or a part is missing or damaged.
    """

    def __init__(self, folder: str | Path, verify: bool = True) -> None:
        self.folder = Path(folder)
        path = self.folder / MANIFEST
        if not path.is_file():
            raise PackError(f"{path} does not exist: {self.folder} holds no (or not all) packs")
        try:
            self.manifest = json.loads(path.read_text(encoding="utf-8"))
            parts, found = self.manifest["parts"], (self.manifest["format"], self.manifest["version"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise PackError(f"{path} is not a manifest of packs ({error!r})") from error
        if found != (FORMAT, VERSION):
            raise PackError(f"{path}: format {found[0]!r} version {found[1]}, this program reads {FORMAT!r} {VERSION}")
        for part in parts:
            self._check(part, verify)
        content = json.loads((self.folder / self._files("clips")[0]["file"]).read_text(encoding="utf-8"))
        self.clips: list[dict] = content["clips"]
        self.texts: list[str] = content["texts"]

    def _check(self, part: dict, verify: bool) -> None:
        path = self.folder / part["file"]
        if not path.is_file():
            raise PackError(f"the part {part['file']} is missing in {self.folder}")
        if path.stat().st_size != part["bytes"]:
            raise PackError(
                f"the part {path} has {path.stat().st_size} bytes, expected {part['bytes']}: copy it again"
            )
        if verify and _sha256(path) != part["sha256"]:
            raise PackError(f"the part {path} is damaged (its SHA-256 differs from the manifest): copy it again")

    def _files(self, kind: str) -> list[dict]:
        found = [part for part in self.manifest["parts"] if part["kind"] == kind]
        if not found:
            raise PackError(f"{self.folder} has no part of kind {kind!r}")
        return found

    def _load(self, part: dict) -> dict[str, np.ndarray]:
        try:
            return load_file(self.folder / part["file"])
        except SafetensorError as error:
            raise PackError(f"the part {self.folder / part['file']} cannot be read: {error}") from error

    def latents(self) -> Iterator[tuple[int, np.ndarray]]:
        """Raw latents, part by part.

        Yields:
            Row of the part's first clip, and latents of shape `(clips, channels, time, frequency)`, float32.
        """
        for part in self._files("latents"):
            arrays = self._load(part)
            yield part["first"], dequantise(arrays["latents"], arrays["low"], arrays["step"])

    def pictures(self) -> list[bytes]:
        """Content of every picture file, by row."""
        found = []
        for part in self._files("pictures"):
            arrays = self._load(part)
            joined, offsets = arrays["bytes"].tobytes(), arrays["offsets"].tolist()
            found += [joined[begin:end] for begin, end in zip(offsets, offsets[1:], strict=False)]
        return found

    @property
    def text_encoder(self) -> Path | None:
        """Folder of the text encoder, or None when the packs do not carry it."""
        folder = self.folder / "text_encoder"
        return folder if any(part["kind"] == "text_encoder" for part in self.manifest["parts"]) else None

    @property
    def codec(self) -> Path:
        """Folder of the codec that made the latents."""
        return self.folder / "codec"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
