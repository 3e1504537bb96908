"""Triplets of picture, caption and music from the layouts in which people have them.

* MeLBench's layout, which ``melfusion corpus`` writes too: a folder with ``metadata.jsonl`` and fields ``audio``,
  ``image``, ``caption`` or ``captions``, ``split``.
* MusicCaps with images as the reference release lists it: a file of JSON lines with ``location`` (audio), ``img_path``
  and ``captions``. The columns' names can be given.
* Hugging Face datasets (the optional package of that name): a folder that ``save_to_disk`` wrote, a folder of parquet
  files, or a repository's name; columns ``audio``, ``image``, ``caption`` or ``captions``. Sounds and pictures are
  decoded here, by the same code as files, so that torchcodec is not needed.

A bad row is reported with its file and the reason, and left out; nothing is put in its place.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
from PIL import Image

from melfusion_core.audio import AudioError, load_audio, resample
from melfusion_core.image import ImageError, load_image

FORMATS = ("auto", "melbench", "jsonl", "datasets")
COLUMNS = {  # audio, image, caption: names tried in order
    "audio": ("audio", "location"),
    "image": ("image", "img_path"),
    "caption": ("captions", "caption"),
}
SPLITS = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "validation"}  # other names


class RowError(ValueError):
    """A row, or a whole table, cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Row:
    """One triplet.

    Args:
        where: Table and line, for messages.
        split: ``train``, ``validation`` (also ``val``, ``valid``, ``dev`` or ``eval`` in the table) or ``test``.
        captions: At least one.
        audio: File, or the bytes of one.
        image: File, or the bytes of one.
    """

    where: str
    split: str
    captions: tuple[str, ...]
    audio: Path | bytes
    image: Path | bytes

    def check(self) -> None:
        """Look at both files' headers.

        Raises:
            RowError: When a file is missing, or is no audio or no picture.
        """
        try:
            info = soundfile.info(_opened(self.audio))
            if not info.frames:
                raise RowError(f"{self.where}: {_named(self.audio)} has no audio")
        except (soundfile.LibsndfileError, OSError) as error:
            raise RowError(f"{self.where}: {_named(self.audio)} could not be read as audio: {error}") from error
        try:
            with Image.open(_opened(self.image)) as image:
                image.verify()
        except (OSError, SyntaxError, ValueError) as error:
            raise RowError(f"{self.where}: {_named(self.image)} could not be read as a picture: {error}") from error

    def read_audio(self, sample_rate: int) -> torch.Tensor:
        """Read the music.

        Args:
            sample_rate: Wanted sample rate in Hz.

        Returns:
            Waveform of shape ``(samples,)``.

        Raises:
            RowError: When it cannot be read.
        """
        try:
            if isinstance(self.audio, Path):
                return load_audio(self.audio, sample_rate)
            samples, rate = soundfile.read(io.BytesIO(self.audio), dtype="float32", always_2d=True)
            waveform = torch.from_numpy(samples.mean(axis=1))
            return waveform if rate == sample_rate else resample(waveform, rate, sample_rate)
        except (AudioError, soundfile.LibsndfileError) as error:
            raise RowError(f"{self.where}: {error}") from error

    def read_image(self) -> Image.Image:
        """Read the picture.

        Returns:
            RGB picture.

        Raises:
            RowError: When it cannot be read.
        """
        try:
            return load_image(self.image if isinstance(self.image, Path) else Image.open(io.BytesIO(self.image)))
        except (ImageError, OSError) as error:
            raise RowError(f"{self.where}: {error}") from error


@dataclass(frozen=True)
class BadRow:
    """A row that was left out.

    Args:
        reason: Where and why.
    """

    reason: str


class Table(Sequence[Row | BadRow]):
    """Rows that are made when asked for, so that a large dataset is not held in memory.

    Args:
        length: Number of rows.
        make: Function from a number to a row; raises :class:`RowError` for a bad one.
    """

    def __init__(self, length: int, make: Any) -> None:
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Row | BadRow:
        if not 0 <= index < self._length:
            raise IndexError(index)
        try:
            return self._make(index)
        except RowError as error:
            return BadRow(str(error))


def open_table(
    data: str, data_format: str = "auto", split: str = "train", columns: dict[str, str] | None = None, root: str = ""
) -> Table:
    """Open a table of triplets.

    Args:
        data: Folder, file, or name of a dataset on the Hub.
        data_format: One of ``FORMATS``; ``auto`` looks at what ``data`` is.
        split: Split that rows without one belong to, and that is taken of a Hugging Face dataset that has splits; with
            ``train`` its rows of ``validation`` follow.
        columns: Names of the columns ``audio``, ``image`` and ``caption`` where they are not the usual ones.
        root: Folder that relative paths are below; empty for the table's own.

    Returns:
        The table.

    Raises:
        RowError: When there is no such table.
    """
    path = Path(data)
    if data_format == "auto":
        if (path / "metadata.jsonl").is_file():
            data_format = "melbench"
        else:
            data_format = "jsonl" if path.suffix in (".json", ".jsonl") else "datasets"
    if data_format == "datasets":
        return _open_datasets(data, split, columns or {}, Path(root))
    file = path / "metadata.jsonl" if data_format == "melbench" else path
    if not file.is_file():
        raise RowError(f"there is no table of triplets at {file}")
    lines = file.read_text(encoding="utf-8").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    folder = Path(root) if root else file.parent

    def make(index: int) -> Row:
        number, line = numbered[index]
        where = f"{file.name} line {number}"
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise RowError(f"{where} is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise RowError(f"{where} is not an object")
        values = {name: _field(fields, name, columns or {}, where) for name in COLUMNS}
        for name in ("audio", "image"):
            if not isinstance(values[name], str):
                raise RowError(f"{where}: {name} is not a path")
        captions = _captions(values["caption"], where)
        given = str(fields.get("split") or split).lower()
        return Row(where, SPLITS.get(given, given), captions, folder / values["audio"], folder / values["image"])

    return Table(len(numbered), make)


def _open_datasets(data: str, split: str, columns: dict[str, str], root: Path) -> Table:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise RowError(
            f"{data} is neither a corpus folder nor a file of JSON lines; for Hugging Face datasets install the "
            "package of that name: pip install 'melfusion-studio[hub]'"
        ) from error
    try:
        folder = Path(data)
        saved = any((folder / name).is_file() for name in ("dataset_info.json", "dataset_dict.json"))
        loaded = datasets.load_from_disk(data) if saved else datasets.load_dataset(data)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        # "An error occurred while generating the dataset" says nothing: its cause does.
        cause = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else None
        raise RowError(f"the dataset {data} could not be loaded: {cause or error}") from error
    parts = {split: loaded}
    if isinstance(loaded, dict):
        loaded = {SPLITS.get(name, name): part for name, part in loaded.items()}
        if split not in loaded:
            raise RowError(f"the dataset {data} has no split {split}; it has {', '.join(loaded)}")
        wanted = ("train", "validation") if split == "train" else (split,)
        parts = {name: loaded[name] for name in wanted if name in loaded}
    tables = [(name, *_undecoded(datasets, data, part, columns)) for name, part in parts.items()]

    def make(index: int) -> Row:
        part = 0
        while index >= len(tables[part][1]):
            index -= len(tables[part][1])
            part += 1
        name, table, names = tables[part]
        fields, where = table[index], f"{data} {name} row {index}"
        audio, image = (_file(fields[names[role]], role, where, root) for role in ("audio", "image"))
        return Row(where, name, _captions(fields[names["caption"]], where), audio, image)

    return Table(sum(len(table) for _, table, _ in tables), make)


def _undecoded(datasets: Any, data: str, table: Any, columns: dict[str, str]) -> tuple[Any, dict[str, str]]:
    names = {}
    for role, usual in COLUMNS.items():
        wanted = (columns[role],) if columns.get(role) else usual
        present = [name for name in wanted if name in table.column_names]
        if not present:
            raise RowError(
                f"the dataset {data} has no column {' or '.join(wanted)}; it has {', '.join(table.column_names)}"
            )
        names[role] = present[0]
    table = table.select_columns(sorted(set(names.values())))  # others may need packages to be decoded
    for role, feature in (("audio", datasets.Audio), ("image", datasets.Image)):
        found = table.features[names[role]]
        if isinstance(found, feature) and found.decode:
            table = table.cast_column(names[role], feature(decode=False))
    return table, names


def _file(value: Any, role: str, where: str, root: Path) -> Path | bytes:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value:
        return root / value
    raise RowError(f"{where}: {role} holds neither a file nor its bytes")


def _field(fields: dict[str, Any], role: str, columns: dict[str, str], where: str) -> Any:
    wanted = (columns[role],) if columns.get(role) else COLUMNS[role]
    for name in wanted:
        if fields.get(name):
            return fields[name]
    raise RowError(f"{where} has no {' or '.join(wanted)}")


def _captions(value: Any, where: str) -> tuple[str, ...]:
    captions = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    captions = tuple(caption.strip() for caption in captions if isinstance(caption, str) and caption.strip())
    if not captions:
        raise RowError(f"{where} has no caption")
    return captions


def check_table(table: Table, indices: Iterable[int] | None = None) -> Iterator[tuple[int, str, str]]:
    """Look at rows and at both their files' headers.

    Args:
        table: The table.
        indices: Numbers of the rows to look at; None for all.

    Yields:
        Number of the row, its split, and the reason why it is left out; the reason is empty for a good row.
    """
    for index in range(len(table)) if indices is None else indices:
        row = table[index]
        if isinstance(row, BadRow):
            yield index, "", row.reason
            continue
        try:
            row.check()
        except RowError as error:
            yield index, row.split, str(error)
        else:
            yield index, row.split, ""


def _opened(file: Path | bytes) -> Any:
    return str(file) if isinstance(file, Path) else io.BytesIO(file)


def _named(file: Path | bytes) -> str:
    return str(file) if isinstance(file, Path) else f"a file of {len(file)} bytes"
