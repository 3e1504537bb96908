"""Hugging Face datasets as triplets (the optional package `datasets`).

A folder that `save_to_disk` wrote, a folder of parquet files, or a repository's name; columns `audio`, `image`,
`caption` or `captions`. Sounds and pictures are decoded by the same code as files, so that torchcodec is not
needed, and only when they are asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from melfusion_core.data.corpus import OTHER_SPLITS, CorpusError, Triplet, make_triplet

COLUMNS = {"audio": ("audio", "location"), "image": ("image", "img_path"), "caption": ("captions", "caption")}


def dataset_rows(data: str, split: str, columns: Mapping[str, str], root: Path) -> list[Callable[[], Triplet]]:
    """The rows of a dataset.

    Args:
        data: Folder, or a repository's name.
        split: Which split; with `train` the rows of `validation` follow.
        columns: Names of the columns `audio`, `image` and `caption` where they are not the usual ones.
        root: Folder that relative paths are below.

    Returns:
        For each row a function that gives its triplet.

    Raises:
        CorpusError: When the dataset cannot be had, or lacks the split or a column.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise CorpusError(
            f"{data} is neither a corpus folder nor a file of JSON lines; for Hugging Face datasets install the "
            "package of that name: pip install 'melfusion-studio[hub]'"
        ) from error
    try:
        saved = any((Path(data) / name).is_file() for name in ("dataset_info.json", "dataset_dict.json"))
        loaded = datasets.load_from_disk(data) if saved else datasets.load_dataset(data)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        # "An error occurred while generating the dataset" says nothing: its cause does.
        cause = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else None
        raise CorpusError(f"the dataset {data} could not be loaded: {cause or error}") from error
    parts = {split: loaded}
    if isinstance(loaded, dict):
        loaded = {OTHER_SPLITS.get(name, name): part for name, part in loaded.items()}
        if split not in loaded:
            raise CorpusError(f"the dataset {data} has no split {split}; it has {', '.join(loaded)}")
        parts = {
            name: loaded[name]
            for name in dict.fromkeys((split, "validation" if split == "train" else split))
            if name in loaded
        }
    rows = []
    for name, part in parts.items():
        table, names = _undecoded(datasets, data, part, columns)
        captions = list(table[names["caption"]])
        rows += [
            partial(_triplet, table, names, index, captions[index], f"{data} {name} row {index}", name, root)
            for index in range(len(table))
        ]
    return rows


def _undecoded(datasets: Any, data: str, table: Any, columns: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    names = {}
    for role, usual in COLUMNS.items():
        wanted = (columns[role],) if columns.get(role) else usual
        present = [name for name in wanted if name in table.column_names]
        if not present:
            raise CorpusError(
                f"the dataset {data} has no column {' or '.join(wanted)}; it has {', '.join(table.column_names)}"
            )
        names[role] = present[0]
    table = table.select_columns(sorted(set(names.values())))  # others may need packages to be decoded
    for role, feature in (("audio", datasets.Audio), ("image", datasets.Image)):
        found = table.features[names[role]]
        if isinstance(found, feature) and found.decode:
            table = table.cast_column(names[role], feature(decode=False))
    return table, names


def _triplet(
    table: Any, names: Mapping[str, str], index: int, captions: Any, where: str, split: str, root: Path
) -> Triplet:
    def stored(role: str) -> bytes:
        value = table[index][names[role]]
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str) or not value:
            raise CorpusError(f"{where}: {role} holds neither a file nor its bytes")
        try:
            return (root / value).read_bytes()
        except OSError as error:
            raise CorpusError(f"{where}: {root / value} could not be read: {error}") from error

    fields = {"id": where, "captions": captions, "audio": f"{where} audio", "image": f"{where} image"}
    return make_triplet(fields, where, Path(), split, stored=stored)
