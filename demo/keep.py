"""The lower right of the page: files to take home, the history, and opening a take again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from demo import history, words
from demo.controls import QUIET, Controls, recipe_values
from demo.examples import Example
from demo.exports import FORMATS, RESTORABLE, export_take, read_take
from demo.fragments import error_html, message_html
from demo.service import StudioService
from demo.take_store import TakeStore
from demo.takes import LETTERS, Result, StudioError
from demo.uploads import uploaded_path
from melfusion_core.image import load_image
from melfusion_core.recipe import Recipe, image_sha256

MOST_KEPT = 6
HISTORY_ON_LOAD = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-entry]');
  if (!button) return;
  const entry = button.dataset.entry;
  if (button.classList.contains('history-remove')) trigger('forget', {entry});
  else trigger('restore', {entry});
});
"""
# The link of a download button is there a moment after its value.
DOWNLOAD_JS = """() => { setTimeout(() => document.querySelector('#download-file')?.click(), 120); }"""


@dataclass(frozen=True)
class Kept:
    """What a visitor made in this visit, newest last; the results themselves lie in a :class:`TakeStore`.

    Attributes:
        names: Names of the results, which are those of their history entries.
        current: Name of the one on the page.
    """

    names: tuple[str, ...] = ()
    current: str | None = None

    def plus(self, name: str) -> Kept:
        """Add a result and make it the current one.

        Args:
            name: Of the result.

        Returns:
            What is kept then.
        """
        others = tuple(other for other in self.names if other != name)
        return Kept((*others, name)[-MOST_KEPT:], name)


@dataclass(frozen=True)
class KeepPanel:
    """The components of the lower right.

    Attributes:
        box: Holds the downloads; hidden until there is a take.
        take: Which take.
        kind: Which kind of file.
        recipe: Recipe of the first take.
        kept: What was made in this visit.
        entries: What the browser remembers.
        listing: The same, for people.
        opened: Where a file is dropped.
    """

    box: gr.Column
    take: gr.Radio
    kind: gr.Dropdown
    recipe: gr.JSON
    kept: gr.State
    entries: gr.BrowserState
    listing: gr.HTML
    opened: gr.File


def build_downloads(
    kept: gr.State, store: TakeStore, seed: gr.Number
) -> tuple[gr.Column, gr.Radio, gr.Dropdown, gr.JSON]:
    """Build the downloads.

    Args:
        kept: What was made in this visit.
        store: Where it lies.
        seed: Where the seed of a take is kept for the next.

    Returns:
        The column, the choice of the take and of the format, and the recipe.
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

    def export(kept: Kept, index: int, kind: str) -> Iterator[str]:
        result = store.find(kept.current)
        if result is None:
            raise gr.Error(words.NOTHING_TO_KEEP, print_exception=False)
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            try:
                yield str(export_take(result.takes[index], result.mode, kind, folder))
            except StudioError as error:
                raise gr.Error(str(error), print_exception=False) from error

    def seed_of(kept: Kept) -> Any:
        result = store.find(kept.current)
        return gr.skip() if result is None else result.seed

    made = button.click(
        export, [kept, take, kind], file, show_progress="minimal", concurrency_limit=2, api_visibility="private"
    )
    keep_seed.click(seed_of, kept, seed, **QUIET)
    made.success(None, js=DOWNLOAD_JS, api_visibility="private")
    return box, take, kind, recipe


def build_history() -> tuple[gr.HTML, gr.Button, gr.File]:
    """Build the history and the place where a file is dropped.

    Returns:
        The list, the button that forgets everything, and the drop zone.
    """
    with gr.Accordion(words.HISTORY, open=False, elem_id="history-box"):
        listing = gr.HTML(
            history.history_html([]), js_on_load=HISTORY_ON_LOAD, apply_default_css=False, elem_id="history"
        )
        clear = gr.Button(words.HISTORY_CLEAR, size="sm", elem_id="history-clear")
    with gr.Accordion(words.OPEN, open=False, elem_id="open-box"):
        opened = gr.File(
            label=words.OPEN_FILE, file_types=list(RESTORABLE), type="filepath", height=110, elem_id="open-take"
        )
    opened.preprocess = uploaded_path
    return listing, clear, opened


def wire_history(
    page: gr.Blocks,
    panel: KeepPanel,
    clear: gr.Button,
    controls: Controls,
    status: gr.HTML,
    service: StudioService,
    store: TakeStore,
    examples: Sequence[Example],
    show_result: Any,
    result_outputs: list[Any],
) -> None:
    """Connect the history and the drop zone to the controls.

    Args:
        page: The page.
        panel: The components of the lower right.
        clear: The button that forgets everything.
        controls: What is set again.
        status: Where it is said.
        service: For limits and the model's name.
        store: Where the results of the visit lie.
        examples: The example pictures, which come back exactly.
        show_result: Function from a result and a folder to the values of ``result_outputs``.
        result_outputs: Components that show a result.
    """

    @cache
    def example_hashes() -> dict[str, str]:
        return {image_sha256(load_image(example.image_path)): example.image_path for example in examples}

    def restored(recipe: Recipe, picture: Any, folder: Path) -> dict[Any, Any]:
        path, said = None, words.RESTORED
        if recipe.image_sha256 is not None:
            path = example_hashes().get(recipe.image_sha256)
            if path is not None:
                said += words.RESTORED_EXACT
            elif picture is not None:
                path = str(folder / "picture.png")
                picture.save(path)
                said += words.RESTORED_COPY
            else:
                said += words.RESTORED_LOST
        if recipe.model_sha256 != service.engine.model_sha256:
            said += words.RESTORED_MODEL.format(name=recipe.model_name)
        return recipe_values(controls, recipe, path, service.limits) | {
            status: message_html(words.RESTORED_TITLE, said)
        }

    def open_take(path: str | None) -> Iterator[dict[Any, Any]]:
        if path is None:
            yield {status: gr.skip()}
            return
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            try:
                yield restored(*read_take(path), Path(folder))
            except StudioError as error:
                yield {status: error_html(error)}

    def restore(stored: Any, kept: Kept, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        entry = next((item for item in history.read_entries(stored) if item["id"] == event.entry), None)
        if entry is None:
            yield {status: error_html(StudioError(words.HISTORY_GONE))}
            return
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            recipe = Recipe.from_dict(entry["recipe"])
            shown = restored(recipe, history.entry_picture(entry), Path(folder))
            result = store.find(entry["id"]) if entry["id"] in kept.names else None
            if result is not None:
                shown |= show_result(result, Path(folder), known=True)
                shown[panel.kept] = Kept(kept.names, entry["id"])
            yield shown

    def forget(stored: Any, event: gr.EventData) -> tuple[list, str]:
        left = [item for item in history.read_entries(stored) if item["id"] != event.entry]
        return left, history.history_html(left)

    def listed(stored: Any) -> str:
        return history.history_html(history.read_entries(stored))

    page.load(listed, panel.entries, panel.listing, **QUIET)
    queued = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}
    panel.opened.upload(open_take, panel.opened, [*controls.all, status], **queued)
    restoring = {*controls.all, status, panel.kept, *result_outputs}
    panel.listing.restore(restore, [panel.entries, panel.kept], list(restoring), **queued)
    panel.listing.forget(forget, panel.entries, [panel.entries, panel.listing], **QUIET)
    clear.click(lambda: ([], history.history_html([])), None, [panel.entries, panel.listing], **QUIET)


def remember(result: Result, store: TakeStore, stored: Any, kept: Kept) -> tuple[list[dict[str, Any]], Kept]:
    """Put a result into the history and among what is kept.

    Args:
        result: From the service.
        store: Where it goes.
        stored: What the browser held.
        kept: What was made before.

    Returns:
        The entries and what is kept then.
    """
    entry = history.new_entry(result)
    store.keep(entry["id"], result)
    return history.add_entry(stored, entry), kept.plus(entry["id"])


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
