"""The example pictures, as ``assets/examples/examples.json`` lists them, and their finished takes where there are any.

A picture ``lake.jpg`` has finished takes in ``lake-a.flac`` and ``lake-b.flac``; see :mod:`demo.render_examples`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from demo import words
from demo.takes import COMPARE, Engine, Result, Take
from melfusion_core.audio import load_audio
from melfusion_core.image import load_image
from melfusion_core.pipelines.rendering import TEXT_ONLY
from melfusion_core.recipe import read_from_file

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
    except json.JSONDecodeError as error:
        raise ValueError(f"{listing} is not valid JSON: {error}.") from error
    examples = []
    for row in rows:
        path = folder / row["file"]
        if not path.is_file():
            raise ValueError(f"{listing} names {row['file']}, which is not there.")
        takes = tuple(str(file) for file in take_files(path) if file.is_file())
        examples.append(Example(str(path), row["title"], row.get("caption", ""), takes if len(takes) == 2 else ()))
    return examples


def take_files(image_path: str | Path) -> tuple[Path, Path]:
    """Name the files of an example's finished takes.

    Args:
        image_path: Its picture.

    Returns:
        The file of the take with the picture, and of the one without.
    """
    path = Path(image_path)
    return path.with_name(f"{path.stem}-a.flac"), path.with_name(f"{path.stem}-b.flac")


def finished_result(example: Example, engine: Engine) -> Result | None:
    """Read an example's finished takes. They are drawn from their sound, at the model's own level.

    Args:
        example: The example.
        engine: What draws them.

    Returns:
        The result; ``None`` where there are no takes, or they have another sample rate than the model.

    Raises:
        ValueError: When a file is damaged or carries no recipe.
    """
    takes = []
    for path in example.takes:
        recipe = read_from_file(path)
        if recipe.sample_rate != engine.sample_rate:
            return None
        audio = load_audio(path, engine.sample_rate)[None]
        view = engine.look(audio * 10.0 ** (-recipe.gain_db / 20.0))
        alone = recipe.render == f"compare:{TEXT_ONLY}"
        title = words.TITLE_TEXT_ONLY if alone else words.TITLE_WITH_IMAGE
        image = load_image(example.image_path)
        takes.append(Take(title, path, view, recipe, audio.numpy(), None if alone else image, image))
    if not takes:
        return None
    return Result(tuple(takes), COMPARE, takes[0].recipe.seed, (words.EXAMPLE_NOTE,), "")
