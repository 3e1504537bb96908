"""Files to take home of what is on the stage."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from demo import words
from demo.controls import QUIET
from demo.exports import FORMATS, export_take
from demo.take_store import TakeStore
from demo.takes import LETTERS, Result, StudioError

# The link of a download button is there a moment after its value.
DOWNLOAD_JS = """() => { setTimeout(() => document.querySelector('#download-file')?.click(), 120); }"""


def build_downloads(
    current: gr.State, store: TakeStore
) -> tuple[gr.Column, gr.Radio, gr.JSON, Callable[[gr.Number], None]]:
    """Build the downloads.

    Args:
        current: Name of the result on the stage.
        store: Where it lies.

    Returns:
        The column, the choice of the take, the recipe, and a function that connects "Keep this seed" to the field
        where the seed of a take is kept for the next.
    """
    with gr.Column(visible=False, elem_id="keep") as box:
        with gr.Row(equal_height=False, elem_id="keep-row"):
            take = gr.Radio([("A", 0)], value=0, label=words.KEEP_TAKE, scale=3, min_width=200, elem_id="keep-take")
            kind = gr.Dropdown(
                list(FORMATS), value="WAV", label=words.KEEP_FORMAT, scale=1, min_width=110, elem_id="keep-format"
            )
            button = gr.Button(words.DOWNLOAD, scale=1, min_width=110, elem_id="download")
        file = gr.DownloadButton(words.DOWNLOAD, elem_id="download-file")  # out of sight: see DOWNLOAD_JS
        with gr.Row(equal_height=False, elem_id="keep-more"):
            gr.HTML(f"<p>{words.KEEP_INFO}</p>", elem_classes="small-title")
            keep_seed = gr.Button(words.LOCK_SEED, size="sm", scale=0, min_width=150, elem_id="keep-seed")
        with gr.Accordion(words.RECIPE, open=False):
            recipe = gr.JSON(show_label=False, elem_id="recipe")
    made = button.click(
        partial(_export, store),
        [current, take, kind],
        file,
        show_progress="minimal",
        concurrency_limit=2,
        api_visibility="private",
    )
    made.success(None, js=DOWNLOAD_JS, api_visibility="private")

    def seed_of(name: str | None) -> Any:
        result = store.find(name)
        return gr.skip() if result is None else result.seed

    return box, take, recipe, lambda seed: keep_seed.click(seed_of, current, seed, **QUIET)


def _export(store: TakeStore, name: str | None, index: int, kind: str) -> Iterator[str]:
    result = store.find(name)
    if result is None:
        raise gr.Error(words.NOTHING_TO_KEEP, print_exception=False)
    with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
        try:
            yield str(export_take(result.takes[index], result.mode, kind, folder))
        except StudioError as error:
            raise gr.Error(str(error), print_exception=False) from error


def take_choices(result: Result) -> list[tuple[str, int]]:
    """Name the takes for the downloads.

    Args:
        result: From the service.

    Returns:
        Label and index of each.
    """
    return [
        (f"{letter} · {take.title}", index)
        for index, (letter, take) in enumerate(zip(LETTERS, result.takes, strict=False))
    ]
