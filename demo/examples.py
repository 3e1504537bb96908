"""The example pictures, as ``assets/examples/examples.json`` lists them, and their finished takes where there are any.

A picture ``lake.jpg`` has finished takes in ``lake-a.flac`` and ``lake-b.flac``; see :mod:`demo.render_examples`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from demo import words
from demo.take_files import open_take
from demo.takes import COMPARE, Result
from melfusion_core.image import load_image

EXAMPLES_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """A picture to begin with.

    Attributes:
        image_path: Its file.
        title: Short name of what it shows.
        caption: Words that go with it; may be empty.
        takes: Files of its finished takes, with the picture and without; empty where there are none.
    """

    image_path: str
    title: str
    caption: str
    takes: tuple[str, ...] = ()


def load_examples(folder: str | Path = EXAMPLES_FOLDER) -> list[Example]:
    """Read the list of example pictures.

    Args:
        folder: Folder with ``examples.json`` and the pictures it names.

    Returns:
        The examples in order; none where the folder has no list.

    Raises:
        ValueError: When the list is damaged or names a picture that is not there.
    """
    folder = Path(folder)
    listing = folder / "examples.json"
    if not listing.is_file():
        return []
    try:
        rows = json.loads(listing.read_text(encoding="utf-8"))
        return [_example(folder, row) for row in rows]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{listing} is not valid JSON: {error}.") from error
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{listing} does not list pictures with their titles.") from error


def _example(folder: Path, row: dict[str, str]) -> Example:
    path = folder / row["file"]
    if not path.is_file():
        raise ValueError(f"{folder / 'examples.json'} names {row['file']}, which is not there.")
    takes = tuple(str(file) for file in take_files(path) if file.is_file())
    return Example(str(path), str(row["title"]), str(row.get("caption", "")), takes if len(takes) == 2 else ())


def take_files(image_path: str | Path) -> tuple[Path, Path]:
    """Name the files of an example's finished takes.

    Args:
        image_path: Its picture.

    Returns:
        The file of the take with the picture, and of the one without.
    """
    path = Path(image_path)
    return path.with_name(f"{path.stem}-a.flac"), path.with_name(f"{path.stem}-b.flac")


def finished_result(example: Example) -> Result | None:
    """Read an example's finished takes.

    Args:
        example: The example.

    Returns:
        The result; ``None`` where there are no takes.

    Raises:
        StudioError: When a file is damaged or carries no recipe.
    """
    if not example.takes:
        return None
    image = load_image(example.image_path)
    takes = tuple(open_take(path, COMPARE, index, image) for index, path in enumerate(example.takes))
    notes = (words.EXAMPLE_NOTE,)
    return Result(takes, COMPARE, takes[0].recipe.seed, notes, picture_path=example.image_path)
