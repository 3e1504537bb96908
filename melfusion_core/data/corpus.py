"""Triplets of picture, caption and music, from the layouts in which people have them: one row, one reader.

* A corpus, in MeLBench's layout: a folder with `metadata.jsonl` and fields `audio`, `image`, `caption` or
  `captions`, `split`. `melfusion corpus build` writes it, with more fields.
* A file of JSON lines, such as MusicCaps with images as the reference release lists it: `location` (audio),
  `img_path` and `captions`. Other names of these columns can be given.
* Packs (`melfusion_core.data.packs`) and Hugging Face datasets (`melfusion_core.data.hub`).

A row that cannot be used is named by its file and line; nothing is put in its place.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
import torch
from PIL import Image

from melfusion_core.audio import AudioError, load_audio, resample
from melfusion_core.data.packs import Packs, is_packs
from melfusion_core.image import ImageError, load_image

MANIFEST = "metadata.jsonl"
SPLITS = ("train", "validation", "test")
SUBSETS = ("all", "core", "full")
FORMATS = ("auto", "melbench", "jsonl", "datasets")
PHOTO, SCENE = "photo", "scene"
"""Kinds of pictures: photographs whose mood people rated, in their own colours, and procedural scenes."""

_FILES = {"audio": ("audio", "location"), "image": ("image", "img_path")}  # names of the columns, tried in order
MOODS = tuple(f"{side}_{axis}" for side in ("image", "music") for axis in ("valence", "arousal"))
"""Fields that state moods."""

OTHER_SPLITS = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "validation"}


class CorpusError(ValueError):
    """A corpus, or a row of it, that cannot be used; the message names the file and line."""


@dataclass(frozen=True)
class Triplet:
    """One picture, its captions and one clip of music. What a table does not say is empty, or None for numbers.

    Args:
        where: Table and line, for messages.
        id: Name within the corpus.
        split: `train`, `validation` or `test`.
        audio: File of the music.
        image: File of the picture.
        captions: Captions of the music, at least one.
        image_caption: Caption of the picture.
        subset: `core` or `full`.
        kind: Kind of the picture, such as `photo`, `regraded` or `scene`.
        theme: What the picture shows, coarsely.
        image_valence: Valence of the picture as a rank, 0 to 1.
        image_arousal: Its arousal.
        music_valence: Valence of the music as a rank, 0 to 1.
        music_arousal: Its arousal.
        lead: Lead instrument.
        instruments: All instruments.
        style: Style of the music.
        mode: `major` or `minor`.
        key: Name of the key.
        tempo_word: Class of the tempo, such as `slow`.
        tempo_bpm: Quarter notes per minute.
        onset_rate_hz: Onsets of the score per second.
        beats_per_bar: Metre.
        piece: Work that the music is from.
        source: Where the work is from.
        soundfont: SoundFont that plays it.
        stored: Gives the bytes of `"audio"` or `"image"` where they are not in a file of their own.
    """

    where: str
    id: str
    split: str
    audio: Path
    image: Path
    captions: tuple[str, ...]
    image_caption: str = ""
    subset: str = ""
    kind: str = ""
    theme: str = ""
    image_valence: float | None = None
    image_arousal: float | None = None
    music_valence: float | None = None
    music_arousal: float | None = None
    lead: str = ""
    instruments: tuple[str, ...] = ()
    style: str = ""
    mode: str = ""
    key: str = ""
    tempo_word: str = ""
    tempo_bpm: float | None = None
    onset_rate_hz: float | None = None
    beats_per_bar: int | None = None
    piece: str = ""
    source: str = ""
    soundfont: str = ""
    stored: Callable[[str], bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def caption(self) -> str:
        """The first caption."""
        return self.captions[0]

    def mood(self, side: str) -> tuple[float, float] | None:
        """Valence and arousal as ranks from 0 to 1; None where the table does not state both.

        Args:
            side: `image` or `music`.
        """
        valence, arousal = getattr(self, f"{side}_valence"), getattr(self, f"{side}_arousal")
        return None if valence is None or arousal is None else (valence, arousal)

    def check_files(self) -> None:
        """Look at both files' headers.

        Raises:
            CorpusError: When a file is missing, or is no audio or no picture.
        """
        try:
            if not soundfile.info(self._open("audio")).frames:
                raise CorpusError(f"{self.where}: {self.audio} has no audio")
        except (soundfile.LibsndfileError, OSError) as error:
            raise CorpusError(f"{self.where}: {self.audio} could not be read as audio: {error}") from error
        try:
            with Image.open(self._open("image")) as image:
                image.verify()
        except (OSError, SyntaxError, ValueError) as error:
            raise CorpusError(f"{self.where}: {self.image} could not be read as a picture: {error}") from error

    def read_audio(self, sample_rate: int) -> torch.Tensor:
        """Read the music.

        Args:
            sample_rate: Wanted sample rate in Hz.

        Returns:
            Waveform of shape `(samples,)`.

        Raises:
            CorpusError: When it cannot be read.
        """
        try:
            if self.stored is None:
                return load_audio(self.audio, sample_rate)
            samples, rate = soundfile.read(self._open("audio"), dtype="float32", always_2d=True)
            waveform = torch.from_numpy(samples.mean(axis=1))
            return waveform if rate == sample_rate else resample(waveform, rate, sample_rate)
        except (AudioError, soundfile.LibsndfileError) as error:
            raise CorpusError(f"{self.where}: {error}") from error

    def read_image(self) -> Image.Image:
        """Read the picture.

        Returns:
            RGB picture.

        Raises:
            CorpusError: When it cannot be read.
        """
        try:
            return load_image(self.image if self.stored is None else Image.open(self._open("image")))
        except (ImageError, OSError) as error:
            raise CorpusError(f"{self.where}: {error}") from error

    def _open(self, role: str) -> Any:
        return str(getattr(self, role)) if self.stored is None else io.BytesIO(self.stored(role))


def read_corpus(root: str | Path | Packs, subset: str = "all", needs: Sequence[str] = ()) -> list[Triplet]:
    """Read a corpus or a folder of packs; the first bad row is an error.

    Args:
        root: Folder with `metadata.jsonl`, or with `packs.json` (whose clips have pictures, but no audio), or the
            packs themselves.
        subset: `core` or `full` for the clips so marked, `all` for all.
        needs: Fields that every row must state.

    Returns:
        Its triplets, in the order of the file.

    Raises:
        CorpusError: When the manifest is missing, empty, or has a bad line or a file that does not exist; when the
            subset is unknown or has no clip.
        PackError: When a part of the packs is missing or damaged.
    """
    if subset not in SUBSETS:
        raise CorpusError(f"the subset must be one of {SUBSETS}, got {subset!r}")
    if isinstance(root, Packs) or is_packs(root):
        triplets = _of_packs(root if isinstance(root, Packs) else Packs(root))
    else:
        triplets = [_parse(where, line, Path(root)) for where, line in _lines(Path(root) / MANIFEST)]
    seen: set[str] = set()
    for triplet in triplets:
        if triplet.split not in SPLITS or triplet.id in seen:
            raise CorpusError(f"{triplet.where}: split {triplet.split!r} is unknown, or id {triplet.id!r} came before")
        missing = [name for name in needs if getattr(triplet, name) in (None, "", ())]
        if missing:
            raise CorpusError(f"{triplet.where} has no {', '.join(missing)}")
        if triplet.stored is None:
            for path in (triplet.audio, triplet.image):
                if not path.is_file():
                    raise CorpusError(f"{triplet.where}: {path} does not exist")
        seen.add(triplet.id)
    triplets = [triplet for triplet in triplets if subset in ("all", triplet.subset)]
    if not triplets:
        name = root.folder if isinstance(root, Packs) else root
        raise CorpusError(f"{name} has no clip" + ("" if subset == "all" else f" of the subset {subset!r}"))
    return triplets


def select(triplets: Sequence[Triplet], split: str, limit: int = 0) -> list[Triplet]:
    """The triplets of one split.

    Args:
        triplets: Triplets of a corpus.
        split: Which split.
        limit: At most this many, evenly spread; 0 for all.

    Returns:
        The triplets.

    Raises:
        CorpusError: When there is none.
    """
    chosen = [triplet for triplet in triplets if triplet.split == split]
    if not chosen:
        raise CorpusError(f"the corpus has no clip in split {split!r}")
    if limit and limit < len(chosen):
        chosen = [chosen[i * len(chosen) // limit] for i in range(limit)]
    return chosen


def read_table(
    data: str | Path,
    data_format: str = "auto",
    split: str = "train",
    columns: Mapping[str, str] | None = None,
    root: str | Path = "",
) -> tuple[list[Triplet], list[str]]:
    """Read triplets of any layout; bad rows are left out, and said.

    Args:
        data: Folder, file, or name of a dataset on the Hub.
        data_format: One of `FORMATS`; `auto` looks at what `data` is.
        split: Split that rows without one belong to, and that is taken of a Hugging Face dataset that has splits; with
            `train` its rows of `validation` follow.
        columns: Names of the columns `audio`, `image` and `caption` where they are not the usual ones.
        root: Folder that relative paths are below; empty for the table's own.

    Returns:
        The good rows, and why each bad one is left out.

    Raises:
        CorpusError: When there is no such table.
    """
    path = Path(data)
    if data_format == "auto":
        if (path / MANIFEST).is_file():
            data_format = "melbench"
        else:
            data_format = "jsonl" if path.suffix in (".json", ".jsonl") else "datasets"
    if data_format == "datasets":
        from melfusion_core.data.hub import dataset_rows

        made = dataset_rows(str(data), split, columns or {}, Path(root))
    else:
        file = path / MANIFEST if data_format == "melbench" else path
        folder = Path(root) if root else file.parent
        made = [partial(_parse, where, line, folder, split, columns) for where, line in _lines(file)]
    triplets, reasons = [], []
    for make in made:
        try:
            triplets.append(make())
        except CorpusError as error:
            reasons.append(str(error))
    return triplets, reasons


def make_triplet(
    fields: Mapping[str, Any],
    where: str,
    folder: Path,
    split: str = "train",
    columns: Mapping[str, str] | None = None,
    stored: Callable[[str], bytes] | None = None,
) -> Triplet:
    """Make a triplet of what a table says.

    Args:
        fields: A row of the table by column.
        where: Table and line, for messages.
        folder: That relative paths are below.
        split: Of a row that states none.
        columns: Names of the columns `audio`, `image` and `caption` where they are not the usual ones.
        stored: Gives the bytes of `"audio"` or `"image"`; None where they are files.

    Returns:
        The triplet.

    Raises:
        CorpusError: When a field is missing or of another type.
    """
    columns = columns or {}
    attributes = fields.get("attributes") or {}
    try:
        numbers = {name: fields.get(name) for name in MOODS}
        numbers |= {name: attributes.get(name) for name in ("tempo_bpm", "onset_rate_hz")}
        words = {name: fields.get(name) for name in ("image_caption", "subset", "theme", "piece", "source")}
        words |= {name: attributes.get(name) for name in ("lead", "style", "mode", "key", "tempo_word", "soundfont")}
        audio, image = (_path(fields, name, columns, where) for name in _FILES)
        stated = str(fields.get("split") or split).lower()
        return Triplet(
            where=where,
            id=str(fields.get("id") or Path(audio).stem),
            split=OTHER_SPLITS.get(stated, stated),
            audio=folder / audio,
            image=folder / image,
            captions=_captions(fields, columns.get("caption"), where),
            kind=fields.get("image_kind") or "",
            instruments=tuple(attributes.get("instruments") or ()),
            beats_per_bar=attributes.get("beats_per_bar"),
            stored=stored,
            **{name: None if value is None else float(value) for name, value in numbers.items()},
            **{name: value or "" for name, value in words.items()},
        )
    except CorpusError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise CorpusError(f"{where} is damaged: {error}") from error


def _path(fields: Mapping[str, Any], role: str, columns: Mapping[str, str], where: str) -> str:
    wanted = (columns[role],) if columns.get(role) else _FILES[role]
    value = next((fields[name] for name in wanted if fields.get(name)), None)
    if value is None:
        raise CorpusError(f"{where} has no {' or '.join(wanted)}")
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {role} is not a path")
    return value


def _captions(fields: Mapping[str, Any], column: str | None, where: str) -> tuple[str, ...]:
    values = [fields.get(name) for name in ((column,) if column else ("caption", "captions"))]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    captions = tuple(dict.fromkeys(text.strip() for text in texts if isinstance(text, str) and text.strip()))
    if not captions:
        raise CorpusError(f"{where} has no caption")
    return captions


def _lines(file: Path) -> list[tuple[str, str]]:
    """The lines of a table, each with its place."""
    if not file.is_file():
        raise CorpusError(f"{file} does not exist: there is no table of triplets")
    lines = enumerate(file.read_text(encoding="utf-8").split("\n"), 1)  # captions may hold other line ends
    return [(f"{file}:{number}", line) for number, line in lines if line.strip()]


def _parse(
    where: str, line: str, folder: Path, split: str = "train", columns: Mapping[str, str] | None = None
) -> Triplet:
    try:
        fields = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CorpusError(f"{where} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise CorpusError(f"{where} is not an object")
    return make_triplet(fields, where, folder, split, columns)


def _of_packs(packs: Packs) -> list[Triplet]:
    pictures = packs.pictures()

    def stored(role: str, row: int) -> bytes:
        if role == "audio":
            raise CorpusError("packs hold no audio: this needs the corpus itself")
        return pictures[row]

    return [
        make_triplet(
            record
            | {"captions": [packs.texts[row] for row in record["captions"]]}
            | {"image_caption": packs.texts[record["image_caption"]]},
            f"{packs.folder}: clip {record['id']}",
            packs.folder,
            stored=partial(stored, row=record["picture"]),
        )
        for record in packs.clips
    ]
