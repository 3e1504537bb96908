"""A result as the listening room gets it: sound files without telling names, what they look like, words."""

from __future__ import annotations

import base64
import io
import secrets
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from PIL import Image

from demo import words
from demo.examples import Example, finished_result
from demo.faces import duration_s, faces
from demo.scripts import script
from demo.take_files import tag_take
from demo.takes import LETTERS, Result
from demo.votes import VoteBook
from melfusion_core.audio import save_audio
from melfusion_core.recipe import RecipeError

THUMBNAIL_SIDE = 160


class FinishedExamples:
    """The finished examples as the page shows them, each made once for all visitors; they are not voted on.

    Args:
        examples: The examples.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples
        self._made: dict[int, tuple[Result, dict[str, Any]] | None] = {}
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="melfusion-examples-")

    def result(self, index: int) -> Result | None:
        """Give an example's result.

        Args:
            index: Of the example.

        Returns:
            The result; ``None`` where there are no takes.

        Raises:
            ValueError: When a file is damaged or carries no recipe.
        """
        with self._lock:
            if index not in self._made:
                result = finished_result(self._examples[index])
                room = None if result is None else room_value(result, VoteBook(None), self._folder.name)
                self._made[index] = None if result is None else (result, room)
            made = self._made[index]
        return None if made is None else made[0]

    def room(self, index: int) -> dict[str, Any]:
        """Give the value of the player for an example that has a result.

        Args:
            index: Of the example.

        Returns:
            As :func:`room_value` gives it.
        """
        return self._made[index][1]


def listening_room(votes: VoteBook) -> gr.HTML:
    """Build the player: up to four takes that loop in step, with blind votes on pairs.

    Args:
        votes: Where votes go.

    Returns:
        The component; its value is what :func:`room_value` gives.
    """

    def cast_vote(vote: dict[str, Any]) -> dict[str, Any]:
        try:
            votes.cast(vote)
        except (ValueError, RecipeError) as error:
            return {"error": str(error)}
        return {"error": None}

    return gr.HTML(
        None,
        html_template="",
        js_on_load=script("plots", "voting", "keys", "player"),
        apply_default_css=False,
        words=words.PLAYER,
        server_functions=[cast_vote],
        elem_id="player",
    )


def room_value(
    result: Result, votes: VoteBook, folder: str | Path, known: bool = False, name: str | None = None
) -> dict[str, Any]:
    """Write the sounds of a result and say what the player shows.

    Args:
        result: From the service, or read back from files.
        votes: Where votes go.
        folder: Folder for the sound files, which may be gone once the page has the value.
        known: Whether the visitor has seen before which take is which.
        name: Of the result, under which the visitor's browser keeps it; ``None`` where it is not to be kept.

    Returns:
        Value for the player.
    """
    trial = votes.open(result, known)
    takes = []
    for letter, take in zip(LETTERS, result.takes, strict=False):
        # The name must not tell which take it is: in blind listening it is the only thing a browser shows.
        path = Path(folder) / f"{secrets.token_hex(8)}.flac"
        save_audio(path, take.samples, take.recipe.sample_rate)
        tag_take(path, take)
        audio = FileData(path=str(path), mime_type="audio/flac").model_dump()
        takes.append({"letter": letter, "title": take.title, "picture": _thumbnail(take.cover), "audio": audio})
    seconds = duration_s(result)
    return {
        "id": trial or secrets.token_hex(16),
        "mode": result.mode,
        "seconds": seconds,
        "takes": takes,
        "faces": faces(result),
        "votable": trial is not None,
        "leastListening": votes.wanted_s(seconds),
        "known": known,
        "keep": None if name is None else kept_value(name, result),
    }


def kept_value(name: str, result: Result) -> dict[str, Any]:
    """What the visitor's browser keeps of a result beside its sounds.

    Args:
        name: Of the result.
        result: From the service, or read back from files.

    Returns:
        Value that JSON can hold.
    """
    recipe, path = result.main.recipe, result.picture_path
    path = path if path is not None and Path(path).is_file() else None
    picture = None if path is None else FileData(path=path).model_dump()
    return {
        "id": name,
        "mode": result.mode,
        "title": recipe.prompt or words.TITLE_PICTURE_ALONE,
        "detail": words.HISTORY_DETAIL[result.mode].format(seed=recipe.seed, takes=len(result.takes)),
        "region": list(result.region),
        "picture": picture,
        "picture_name": None if path is None else Path(path).name,
    }


def _thumbnail(image: Image.Image | None) -> str | None:
    if image is None:
        return None
    small, buffer = image.copy(), io.BytesIO()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
