"""A result as the listening room gets it: sound files without telling names, spectrograms, words."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import FileData

from demo import words
from demo.examples import Example, finished_result
from demo.mel_view import difference_legend, difference_source, frequency_marks, level_legend, mel_source
from demo.takes import LETTERS, Engine, Result
from demo.votes import VoteBook
from melfusion_core.audio import save_audio
from melfusion_core.recipe import RecipeError
from melfusion_core.spectrogram import DB_MIN

SCRIPT = Path(__file__).with_name("player.js")


class FinishedExamples:
    """The finished examples as the page shows them, each made once for all visitors; they are not voted on.

    Args:
        examples: The examples.
        engine: What draws them.
    """

    def __init__(self, examples: Sequence[Example], engine: Engine) -> None:
        self._examples = examples
        self._engine = engine
        self._made: dict[int, tuple[Result, dict[str, Any]] | None] = {}
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="melfusion-examples-")

    def result(self, index: int) -> Result | None:
        """Give an example's result.

        Args:
            index: Of the example.

        Returns:
            The result; ``None`` where there are no takes, or they have another sample rate than the model.

        Raises:
            ValueError: When a file is damaged or carries no recipe.
        """
        with self._lock:
            if index not in self._made:
                result = finished_result(self._examples[index], self._engine)
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
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        apply_default_css=False,
        words=words.PLAYER,
        server_functions=[cast_vote],
        elem_id="player",
    )


def room_value(result: Result, votes: VoteBook, folder: str | Path, known: bool = False) -> dict[str, Any]:
    """Write the sounds of a result and say what the player shows.

    Args:
        result: From the service.
        votes: Where votes go.
        folder: Folder for the sound files, which may be gone once the page has the value.
        known: Whether the visitor has seen before which take is which.

    Returns:
        Value for the player.
    """
    trial, views = votes.open(result, known), [take.view for take in result.takes]
    sample_rate = result.main.recipe.sample_rate
    # Takes run in step, so a shorter one is silent to the end of the longest.
    samples = _to_one_length([take.samples for take in result.takes])
    mels = _to_one_length([view.mel_db.T for view in views], DB_MIN)
    takes = []
    for letter, take, sound, mel_db in zip(LETTERS, result.takes, samples, mels, strict=False):
        # The name must not tell which take it is: in blind listening it is the only thing a browser shows.
        path = Path(folder) / f"{secrets.token_hex(8)}.flac"
        save_audio(path, sound, sample_rate)
        alt = words.ALT_TAKE.format(letter=letter, title=take.title.lower())
        takes.append(
            {
                "letter": letter,
                "title": take.title,
                "mel": mel_source(mel_db.T),
                "alt": alt,
                "audio": FileData(path=str(path), mime_type="audio/flac").model_dump(),
            }
        )
    seconds = samples[0].shape[-1] / sample_rate
    difference = None
    if len(takes) == 2:
        difference = {
            "title": words.DIFFERENCE_TITLE,
            "mel": difference_source(*(mel_db.T for mel_db in mels)),
            "alt": words.ALT_DIFFERENCE,
            "legend": difference_legend(),
        }
    return {
        "id": trial or secrets.token_hex(16),
        "mode": result.mode,
        "seconds": seconds,
        "takes": takes,
        "difference": difference,
        "hz": frequency_marks(views[0].config),
        "legend": level_legend(),
        "votable": trial is not None,
        "leastListening": votes.wanted_s(seconds),
        "known": known,
    }


def _to_one_length(arrays: list[np.ndarray], fill: float = 0.0) -> list[np.ndarray]:
    """Lengthen the last axis of shorter arrays to that of the longest."""
    longest = max(array.shape[-1] for array in arrays)
    return [
        np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, longest - array.shape[-1])], constant_values=fill)
        for array in arrays
    ]
