"""The page: layout and events. It knows the service and nothing of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware

from demo import words
from demo.api import add_endpoints
from demo.composing import ENGINE_TURN, Composer
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
from demo.fragments import MASTHEAD, idle_html, limits_html, notes_html
from demo.keep import build_downloads
from demo.languages import languages
from demo.limits import MAX_UPLOAD_MB, BodyLimits, refuse_body
from demo.listening import FinishedExamples, listening_room
from demo.models import ModelShelf
from demo.opening import Opener
from demo.picture_desk import ExampleDesk, PictureDesk, example_at
from demo.scripts import script
from demo.seed_lock import wire_seed_lock
from demo.service import StudioService
from demo.sharing import SharePreview
from demo.stage import Stage
from demo.take_store import TakeStore
from demo.takes import COMPARE, DOSE, SWAP, TAKES, Limits
from demo.theme import studio_css, studio_theme
from demo.uploads import GuardedBlocks, uploaded_path
from demo.votes import VoteBook

MOST_SESSIONS = 300  # of some 200 kB each; who came longest ago is forgotten
CACHE_SECONDS = (600, 3600)
VISIT_SECONDS = 3600
LIVE_STATUS_JS = """() => {
  const status = document.getElementById('status');
  status.setAttribute('role', 'status');
  status.setAttribute('aria-live', 'polite');
}"""
AFTER_A_MOMENT_JS = "(...values) => { setTimeout(() => (%s)(...values), 60); }"


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
    with GuardedBlocks(title=words.PAGE_TITLE, delete_cache=CACHE_SECONDS, analytics_enabled=False) as demo:
        _masthead(duplicate)
        with gr.Row(equal_height=False, elem_id="studio"):
            with gr.Column(scale=5, min_width=320, elem_id="make"):
                image = picture_input()
                desk = PictureDesk(service, image)
                gallery = _examples(examples)
                other_words = gr.Button(size="sm", visible=False, elem_id="example-words")
                caption, _ = caption_input(service.limits)
                note = gr.HTML("", elem_id="caption-note")
                synapse, quality = strength_inputs(service.limits)
                compose_button, stop_button, lock = _buttons()
            with gr.Column(scale=7, min_width=320, elem_id="result"):
                stage, keep_seed = _stage(votes)
                opener = Opener(service, stage, examples)
            with gr.Column(scale=5, min_width=320, elem_id="more"):
                explore = _explore(service.limits, examples)
                region = region_inputs()
                advanced = advanced_inputs(service.limits, quality)
                model = _model_choice(shelf)
        gr.HTML(limits_html(sum(CACHE_SECONDS) // 60), elem_id="limits")
        controls = _controls(image, caption, synapse, region[1:], advanced)
        composer = Composer(service, stage, controls, shelf, model)
        _wire_composing(composer, compose_button, stop_button, explore, examples)
        _wire_controls(controls, quality, region[0])
        caption.blur(lambda written: notes_html(service.caption_notes(written)), caption, note, **QUIET)
        opener.wire(controls)
        keep_seed(advanced["seed"])
        wire_seed_lock(lock, advanced["seed"], stage.current, stage.store)
        desk.wire(caption)
        demo.load(None, js=LIVE_STATUS_JS, api_visibility="private")
        finished = FinishedExamples(examples)
        ExampleDesk(examples, finished, stage, image, caption, other_words).wire(demo, gallery, opener.shelf)
        add_endpoints(service, controls.all, **ENGINE_TURN)
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
            "middleware": [Middleware(BodyLimits), Middleware(SharePreview)],
            "exception_handlers": {RequestValidationError: refuse_body},
        },
        state_session_capacity=MOST_SESSIONS,
        run_history=False,
        i18n=languages(),
        footer_links=["api", "gradio"],
        allowed_paths=[str(EXAMPLES_FOLDER)],  # the studio may have been started from any folder
        **options,
    )


def _masthead(duplicate: bool) -> None:
    with gr.Row(elem_id="masthead"):
        gr.HTML(MASTHEAD)
        if duplicate:
            gr.DuplicateButton(words.DUPLICATE, size="sm", scale=0, min_width=180, elem_id="duplicate")


def _examples(examples: Sequence[Example]) -> gr.Gallery | None:
    if not examples:
        return None
    heading(words.EXAMPLES_TITLE, "examples-title")
    return example_gallery(examples, "examples")


def _buttons() -> tuple[gr.Button, gr.Button, gr.Button]:
    """Compose, Stop, and the lock that shows which seed comes next."""
    gr.HTML(
        "",
        html_template="",
        js_on_load=script("turns", "tongue"),
        apply_default_css=False,
        words=words.TURNS,
        elem_id="turns",
    )
    with gr.Row(elem_id="buttons"):
        compose = gr.Button(words.COMPOSE, variant="primary", scale=3, min_width=150, elem_id="compose")
        stop = gr.Button(words.STOP, scale=1, min_width=80, elem_id="stop")
        lock = gr.Button(words.SEED_NEW, scale=1, min_width=96, elem_id="seed-lock")
    return compose, stop, lock


def _explore(limits: Limits, examples: Sequence[Example]) -> dict[str, Any]:
    """The drawer of experiments: its components by name."""
    found: dict[str, Any] = {}
    with gr.Accordion(words.EXPLORE, open=False, elem_id="explore"):
        heading(words.EXPLORE_FROM, "explore-from")
        found["num_takes"] = gr.Slider(
            2, limits.max_takes, value=3, step=1, **words.EXPLORE_TAKES_COUNT, elem_id="num-takes"
        )
        found["takes"] = gr.Button(words.EXPLORE_TAKES, size="sm", elem_id="explore-takes")
        heading(words.EXPLORE_DOSE_INFO, "dose-info", words.EXPLORE_DOSE_TITLE)
        found["dose"] = gr.Button(words.EXPLORE_DOSE, size="sm", elem_id="explore-dose")
        heading(words.EXPLORE_SWAP_INFO, "swap-info", words.EXPLORE_SWAP_TITLE)
        if examples:
            found["swap_gallery"] = example_gallery(examples, "swap-examples")
        upload = found["swap_upload"] = gr.UploadButton(
            words.EXPLORE_SWAP, file_types=["image"], size="sm", elem_id="explore-swap"
        )
        upload.preprocess = uploaded_path
        found["swap_picture"] = gr.State()
    return found


def _stage(votes: VoteBook) -> tuple[Stage, Callable[[gr.Number], None]]:
    """The right side: the stage, and what connects its seed to the field for seeds."""
    store = TakeStore()
    status = gr.HTML(idle_html(), elem_id="status")
    preview = gr.HTML(visible=False, elem_id="preview")
    player = listening_room(votes)
    current = gr.State(None, time_to_live=VISIT_SECONDS)
    box, take, recipe, keep_seed = build_downloads(current, store)
    return Stage(status, preview, player, box, take, recipe, current, store, votes), keep_seed


def _controls(image: Any, caption: Any, synapse: Any, region: Sequence[Any], advanced: dict[str, Any]) -> Controls:
    names = ("region_size", "region_x", "region_y")
    places = dict(zip(names, region, strict=True))
    return Controls(image=image, caption=caption, synapse=synapse, **places, **advanced)


def _wire_composing(
    composer: Composer, compose: gr.Button, stop: gr.Button, explore: dict[str, Any], examples: Sequence[Example]
) -> None:
    other = explore["swap_picture"]
    composer.start(compose.click, COMPARE)
    composer.start(explore["takes"].click, TAKES, [explore["num_takes"]])
    composer.start(explore["dose"].click, DOSE)
    uploaded = explore["swap_upload"].upload(lambda path: path, explore["swap_upload"], other, **QUIET)
    composer.start(uploaded.then, SWAP, [other])
    if examples:
        tapped = explore["swap_gallery"].select(_swap_with(examples), None, other, **QUIET)
        composer.start(tapped.then, SWAP, [other])
    composer.stop(stop.click)


def _wire_controls(controls: Controls, quality: gr.Radio, drawer: gr.Accordion) -> None:
    region = [controls.image, controls.region_size, controls.region_x, controls.region_y]
    for component in region:
        component.change(None, region, js=REGION_JS, api_visibility="private")
    drawer.expand(None, region, js=AFTER_A_MOMENT_JS % REGION_JS, api_visibility="private")
    controls.steps.change(matching_preset, controls.steps, quality, **QUIET)


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
        return example_at(event, examples).image_path

    return path_of
