"""The page: layout and events. It knows the service and nothing of the model."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware

from demo import words
from demo.api import add_endpoints, to_request
from demo.controls import (
    QUIET,
    REGION_JS,
    Controls,
    advanced_inputs,
    caption_input,
    example_gallery,
    heading,
    matching_preset,
    picture_input,
    region_inputs,
    strength_inputs,
)
from demo.examples import EXAMPLES_FOLDER, Example
from demo.field_errors import CLEAR_FIELDS_JS, MARK_FIELD_JS
from demo.fragments import (
    FAILED,
    MASTHEAD,
    NOT_BEGUN,
    STOPPED,
    WAITING,
    error_html,
    idle_html,
    limits_html,
    message_html,
    progress_html,
    result_html,
)
from demo.history import STORAGE_KEY, history_html
from demo.keep import KeepPanel, Kept, build_downloads, build_history, remember, take_choices, wire_history
from demo.limits import MAX_UPLOAD_MB, BodyLimits, refuse_body
from demo.listening import FinishedExamples, listening_room, room_value
from demo.mel_view import mel_html
from demo.models import ModelShelf
from demo.picture_words import PictureFacts, facts_html, offer, picture_facts, suggestion
from demo.service import StudioService
from demo.take_store import TakeStore
from demo.takes import COMPARE, DOSE, SWAP, TAKES, Progress, Request, Result, StudioError
from demo.theme import studio_css, studio_theme
from demo.uploads import GuardedBlocks, uploaded_path
from demo.votes import VoteBook
from melfusion_core.image import ImageError

MOST_SESSIONS = 300  # of some 200 kB each; who came longest ago is forgotten
CACHE_SECONDS = (600, 3600)
VISIT_SECONDS = 3600
LEAST_PAUSE_S = 0.1
# Encrypts nothing of value: with a key of its own each start would forget what browsers remember.
BROWSER_KEY = "melfusion-studio"

LIVE_STATUS_JS = """() => {
  const status = document.getElementById('status');
  status.setAttribute('role', 'status');
  status.setAttribute('aria-live', 'polite');
}"""
BEGIN_JS = """(status) => {
  document.getElementById('player')?.querySelector('.player')?.parentElement?.listening?.pause();
  (%s)();
  const panel = document.getElementById('status');
  if (window.innerWidth < 900 || panel.getBoundingClientRect().top < 0) {
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    panel.scrollIntoView({behavior: still ? 'auto' : 'smooth', block: 'start'});
  }
  return %r;
}"""
# On a phone the page was too short for that before there was a result. Who scrolled elsewhere meanwhile stays there.
DONE_JS = """() => {
  const panel = document.getElementById('status'), top = panel.getBoundingClientRect().top;
  if (window.innerWidth < 900 && top > 0 && top < window.innerHeight) panel.scrollIntoView({block: 'start'});
}"""
# For what fails before the handler is reached, such as a full queue. Gradio fires this after Stop too, and then a
# handler with the status as its output would now and then undo what Stop says.
NOT_BEGUN_JS = """() => {
  const waiting = document.querySelector('#status .is-waiting');
  if (waiting) { waiting.className = 'status is-error'; waiting.innerHTML = %r; }
}"""
AFTER_A_MOMENT_JS = "(...values) => { setTimeout(() => (%s)(...values), 60); }"
CHECKERS = 4


def build_demo(
    service: StudioService,
    examples: Sequence[Example] = (),
    votes: VoteBook | None = None,
    duplicate: bool = False,
    shelf: ModelShelf | None = None,
) -> gr.Blocks:
    """Build the page.

    Args:
        service: What turns requests into files.
        examples: Pictures to begin with.
        votes: Where blind votes go; ``None`` collects none.
        duplicate: Whether to offer a copy of the Hugging Face Space that this runs on.
        shelf: More models to choose from; its first one is that of ``service``.

    Returns:
        The page, with its queue; start it with :func:`launch`.
    """
    votes = votes or VoteBook(None)
    limits, store = service.limits, TakeStore()
    finished = FinishedExamples(examples, service.engine)
    with GuardedBlocks(title=words.PAGE_TITLE, delete_cache=CACHE_SECONDS, analytics_enabled=False) as demo:
        with gr.Row(elem_id="masthead"):
            gr.HTML(MASTHEAD)
            if duplicate:
                gr.DuplicateButton(words.DUPLICATE, size="sm", scale=0, min_width=180, elem_id="duplicate")
        with gr.Row(equal_height=False, elem_id="studio"):
            with gr.Column(scale=5, min_width=320):
                image = picture_input()
                facts = gr.HTML(visible=False, elem_id="facts")
                suggest = gr.Button(size="sm", visible=False, elem_id="suggest")
                if examples:
                    heading(words.EXAMPLES_TITLE, "examples-title")
                    gallery = example_gallery(examples, "examples")
                caption, _ = caption_input(limits)
                synapse, quality = strength_inputs(limits)
                with gr.Row(elem_id="buttons"):
                    compose_button = gr.Button(
                        words.COMPOSE, variant="primary", scale=3, min_width=150, elem_id="compose"
                    )
                    stop_button = gr.Button(words.STOP, scale=1, min_width=80, elem_id="stop")
                with gr.Accordion(words.EXPLORE, open=False, elem_id="explore"):
                    num_takes = gr.Slider(
                        2, limits.max_takes, value=3, step=1, **words.EXPLORE_TAKES_COUNT, elem_id="num-takes"
                    )
                    takes_button = gr.Button(words.EXPLORE_TAKES, size="sm", elem_id="explore-takes")
                    heading(words.EXPLORE_DOSE_INFO, "dose-info", words.EXPLORE_DOSE_TITLE)
                    dose_button = gr.Button(words.EXPLORE_DOSE, size="sm", elem_id="explore-dose")
                    heading(words.EXPLORE_SWAP_INFO, "swap-info", words.EXPLORE_SWAP_TITLE)
                    if examples:
                        swap_gallery = example_gallery(examples, "swap-examples")
                    swap_upload = gr.UploadButton(
                        words.EXPLORE_SWAP, file_types=["image"], size="sm", elem_id="explore-swap"
                    )
                    swap_upload.preprocess = uploaded_path
                    swap_picture = gr.State()
                region_drawer, region_size, region_x, region_y = region_inputs()
                advanced = advanced_inputs(limits, quality)
                model = _model_choice(shelf)
            with gr.Column(scale=7, min_width=320):
                status = gr.HTML(idle_html(), elem_id="status")
                preview = gr.HTML(visible=False, elem_id="preview")
                player = listening_room(votes)
                kept = gr.State(Kept(), time_to_live=VISIT_SECONDS)
                entries = gr.BrowserState([], storage_key=STORAGE_KEY, secret=BROWSER_KEY)
                box, keep_take, keep_kind, recipe = build_downloads(kept, store, advanced["seed"])
                listing, forget_all, opened = build_history()
        gr.HTML(limits_html(sum(CACHE_SECONDS) // 60), elem_id="limits")
        controls = Controls(
            image=image,
            caption=caption,
            synapse=synapse,
            region_size=region_size,
            region_x=region_x,
            region_y=region_y,
            **advanced,
        )
        panel = KeepPanel(box, keep_take, keep_kind, recipe, kept, entries, listing, opened)
        result_outputs = [player, box, keep_take, recipe]

        def show_result(result: Result, folder: Path, known: bool = False) -> dict[Any, Any]:
            return result_values(result, room_value(result, votes, folder, known))

        def result_values(result: Result, room: dict[str, Any]) -> dict[Any, Any]:
            return {
                player: room,
                box: gr.update(visible=True),
                keep_take: gr.update(choices=take_choices(result), value=0),
                recipe: result.main.recipe.to_dict(),
            }

        def show_progress(event: Progress) -> dict[Any, Any]:
            shown = {status: progress_html(event)}
            if event.step == 0:
                shown |= {preview: gr.update(visible=False, value=""), player: None}
                shown[box] = gr.update(visible=False)
            if event.view is not None:
                alt = words.TAKING_SHAPE.format(step=event.step, steps=event.num_steps)
                shown[preview] = gr.update(visible=True, value=mel_html(event.view, alt))
            return shown

        def wished(given: Sequence[Any], mode: str) -> Request:
            number = len(controls.all)
            more = {TAKES: "num_takes", SWAP: "other_image_path"}
            experiment = {more[mode]: given[number]} if mode in more else {}
            return to_request(*given[:number], mode=mode, **experiment)

        def check(*given: Any, mode: str) -> Iterator[str]:
            """Say at once what has to change, before anybody waits for a turn at the engine."""
            try:
                service.plan(wished(given, mode))
            except StudioError as error:
                yield error_html(error)
                raise gr.Error(str(error), visible=False, print_exception=False) from error
            yield gr.skip()

        def compose(*values: Any, mode: str) -> Iterator[dict[Any, Any]]:
            *given, model_name, stored, before = values
            try:
                request = wished(given, mode)
                if shelf is not None and not shelf.is_loaded(model_name):
                    text = words.MODEL_LOADING_TEXT.format(name=model_name)
                    yield {status: message_html(words.MODEL_LOADING_TITLE, text, "working")}
                maker = service if shelf is None else shelf.service(model_name)
                shown_at = -math.inf
                with contextlib.closing(maker.compose(request)) as work:
                    for event in work:
                        if isinstance(event, Progress):
                            # A fast model makes more steps than a page can show.
                            if event.view is None and event.step > 0 and time.monotonic() - shown_at < LEAST_PAUSE_S:
                                continue
                            shown_at = time.monotonic()
                            yield show_progress(event)
                            continue
                        remembered, now = remember(event, store, stored, before)
                        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
                            shown = show_result(event, Path(folder)) | {
                                status: result_html(event),
                                preview: gr.update(visible=False, value=""),
                                kept: now,
                                entries: remembered,
                                listing: history_html(remembered),
                            }
                            yield shown
            except StudioError as error:
                yield {status: error_html(error), preview: gr.update(visible=False)}
                raise gr.Error(str(error), visible=False, print_exception=False) from error
            except Exception:
                yield {status: FAILED, preview: gr.update(visible=False)}
                raise

        private = {"api_visibility": "private"}
        engine_turn = {"concurrency_limit": 1, "concurrency_id": "engine"}
        shown_on_page = [status, preview, *result_outputs, kept, entries, listing]
        composing = []

        def start(trigger: Any, mode: str, more: list[Any] = ()) -> None:
            """Let an event begin a request."""
            trigger(None, status, status, js=BEGIN_JS % (CLEAR_FIELDS_JS, WAITING), **private)
            checked = trigger(
                partial(check, mode=mode),
                [*controls.all, *more],
                status,
                show_progress="hidden",
                concurrency_limit=CHECKERS,
                **private,
            )
            checked.failure(None, js=MARK_FIELD_JS, **private)
            event = checked.success(
                partial(compose, mode=mode),
                [*controls.all, *more, model, entries, kept],
                shown_on_page,
                show_progress="minimal",
                show_progress_on=status,
                **engine_turn,
                **private,
            )
            event.success(None, js=DONE_JS, **private)
            for failed in (checked, event):
                failed.failure(None, js=NOT_BEGUN_JS % NOT_BEGUN, **private)
            composing.extend((checked, event))

        start(compose_button.click, COMPARE)
        start(takes_button.click, TAKES, [num_takes])
        start(dose_button.click, DOSE)
        uploaded = swap_upload.upload(lambda path: path, swap_upload, swap_picture, **QUIET)
        start(uploaded.then, SWAP, [swap_picture])
        if examples:
            tapped = swap_gallery.select(_swap_with(examples), None, swap_picture, **QUIET)
            start(tapped.then, SWAP, [swap_picture])
        # In two events, so that nothing of the work can arrive after the word that it has stopped.
        stopping = stop_button.click(None, cancels=composing, **private)
        stopping.then(_stopped, status, status, show_progress="hidden", **private)

        def facts_of(path: str) -> PictureFacts:
            picture = service.pictures(path)
            return picture_facts(picture, service.engine.scene(picture))

        def look(path: str | None) -> tuple[Any, Any]:
            try:
                found = facts_of(path) if path else None
            except ImageError:
                found = None  # Compose says what is wrong with it
            if found is None:
                return gr.update(visible=False, value=""), gr.update(visible=False)
            return gr.update(visible=True, value=facts_html(found)), gr.update(visible=True, value=offer(found))

        def suggest_words(path: str | None, written: str) -> str:
            try:
                return suggestion(facts_of(path), written or "") if path else written
            except ImageError as error:
                raise gr.Error(str(error), print_exception=False) from error

        image.change(look, image, [facts, suggest], **QUIET)
        suggest.click(suggest_words, [image, caption], caption, **QUIET)
        region = [image, region_size, region_x, region_y]
        for component in region:
            component.change(None, region, js=REGION_JS, **private)
        region_drawer.expand(None, region, js=AFTER_A_MOMENT_JS % REGION_JS, **private)
        controls.steps.change(matching_preset, controls.steps, quality, **QUIET)
        demo.load(None, js=LIVE_STATUS_JS, **private)

        def show_example(index: int, before: Kept) -> dict[Any, Any]:
            chosen = examples[index]
            shown: dict[Any, Any] = {image: chosen.image_path, caption: chosen.caption}
            if chosen.takes and (result := finished.result(index)) is not None:
                store.keep(f"example-{index}", result)
                shown |= result_values(result, finished.room(index))
                shown[kept] = before.plus(f"example-{index}")
                title = words.EXAMPLE_TITLE.format(title=chosen.title)
                shown[status] = message_html(title, words.EXAMPLE_NOTE, "done")
            return shown

        def take_example(before: Kept, event: gr.SelectData) -> dict[Any, Any]:
            return show_example(_index(event, examples), before)

        example_outputs = [image, caption, status, kept, *result_outputs]
        light = {"show_progress": "hidden", "concurrency_limit": 4, **private}
        if examples:
            gallery.select(take_example, kept, example_outputs, **light)
        first = next((index for index, example in enumerate(examples) if example.takes), None)
        if first is not None:
            demo.load(partial(show_example, first), kept, example_outputs, **light)
        wire_history(demo, panel, forget_all, controls, status, service, store, examples, show_result, result_outputs)
        add_endpoints(service, controls.all, **engine_turn)
    demo.queue(api_open=False)  # nothing passes the queue by
    return demo


def launch(demo: gr.Blocks, **options: Any) -> Any:
    """Start the page with the studio's own look and limits.

    Args:
        demo: As :func:`build_demo` gives it.
        options: More for ``gr.Blocks.launch``, such as ``server_port``.

    Returns:
        What ``gr.Blocks.launch`` returns.
    """
    return demo.launch(
        theme=studio_theme(),
        css=studio_css(),
        max_file_size=MAX_UPLOAD_MB * 1_000_000,
        app_kwargs={
            "middleware": [Middleware(BodyLimits)],
            "exception_handlers": {RequestValidationError: refuse_body},
        },
        state_session_capacity=MOST_SESSIONS,
        run_history=False,
        footer_links=["api", "gradio"],
        allowed_paths=[str(EXAMPLES_FOLDER)],  # the studio may have been started from any folder
        **options,
    )


def _model_choice(shelf: ModelShelf | None) -> gr.Dropdown | gr.State:
    if shelf is None or not shelf.offers_choice:
        return gr.State()
    info = words.MODEL["info"] + (words.MODEL_ANY if shelf.any_name else "")
    return gr.Dropdown(
        shelf.names,
        value=shelf.names[0],
        label=words.MODEL["label"],
        info=info,
        allow_custom_value=shelf.any_name,
        elem_id="model",
    )


def _swap_with(examples: Sequence[Example]) -> Callable:
    def path_of(event: gr.SelectData) -> str:
        return examples[_index(event, examples)].image_path

    return path_of


def _index(event: gr.SelectData, examples: Sequence[Example]) -> int:
    if type(event.index) is not int or not 0 <= event.index < len(examples):
        raise gr.Error(words.NO_SUCH_EXAMPLE, print_exception=False)
    return event.index


def _stopped(shown: str | None) -> Any:
    return STOPPED if "is-working" in str(shown) else gr.skip()
