"""The example pictures, as ``assets/examples/examples.json`` lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

EXAMPLES_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """A picture to begin with.

    Attributes:
        image_path: Its file.
        title: Short name of what it shows.
        caption: Words that go with it; may be empty.
    """

    image_path: str
    title: str
    caption: str


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
        examples.append(Example(str(path), row["title"], row.get("caption", "")))
    return examples
