"""Compose, Explore and Stop: from what the controls say to a result on the stage."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo import words
from demo.api import to_request
from demo.controls import Controls
from demo.faces import live_html
from demo.field_errors import CLEAR_FIELDS_JS, MARK_FIELD_JS
from demo.fragments import FAILED, NOT_BEGUN, STOPPED, WAITING, error_html, message_html, progress_html, result_html
from demo.models import ModelShelf
from demo.service import StudioService
from demo.stage import Stage
from demo.takes import COMPARE, SWAP, TAKES, Progress, Request, Result, StudioError, new_name

LEAST_PAUSE_S = 0.1
CHECKERS = 4
TURN_OVER_JS = "() => document.dispatchEvent(new CustomEvent('turn-over', {detail: %s}))"
PRIVATE = {"api_visibility": "private"}
ENGINE_TURN = {"concurrency_limit": 1, "concurrency_id": "engine"}
BEGIN_JS = """(status) => {
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


class Composer:
    """Runs requests and shows what comes of them; until then what was on the stage stays there.

    Args:
        service: What turns requests into files.
        stage: Where results are shown.
        controls: What a request is made from.
        shelf: More models to choose from; its first one is that of ``service``.
        model: Where a model is chosen.
    """

    def __init__(
        self, service: StudioService, stage: Stage, controls: Controls, shelf: ModelShelf | None, model: Any
    ) -> None:
        self.service, self.stage, self.controls = service, stage, controls
        self._shelf, self._model = shelf, model
        self._running: list[Any] = []

    def start(self, trigger: Any, mode: str, more: Sequence[Any] = ()) -> None:
        """Let an event begin a request.

        Args:
            trigger: Of a component, such as ``button.click``.
            mode: One of :data:`demo.takes.MODES`.
            more: Components for what the mode needs beside the controls.
        """
        status, inputs = self.stage.status, [self.stage.current, *self.controls.all, *more]
        trigger(None, status, status, js=BEGIN_JS % (CLEAR_FIELDS_JS, WAITING), **PRIVATE)
        checked = trigger(
            partial(self.check, mode=mode),
            inputs,
            status,
            show_progress="hidden",
            concurrency_limit=CHECKERS,
            **PRIVATE,
        )
        checked.failure(None, js=MARK_FIELD_JS, **PRIVATE)
        checked.failure(None, js=TURN_OVER_JS % "true", **PRIVATE)
        event = checked.success(
            partial(self.compose, mode=mode),
            [*inputs, self._model],
            [status, self.stage.preview, *self.stage.outputs],
            show_progress="minimal",
            show_progress_on=status,
            **ENGINE_TURN,
            **PRIVATE,
        )
        event.success(None, js=DONE_JS, **PRIVATE)
        event.then(None, js=TURN_OVER_JS % "false", **PRIVATE)
        for failed in (checked, event):
            failed.failure(None, js=NOT_BEGUN_JS % NOT_BEGUN, **PRIVATE)
        self._running.extend((checked, event))

    def stop(self, trigger: Any) -> None:
        """Let an event end what is being composed.

        Args:
            trigger: Of a component, such as ``button.click``.
        """
        # In two events, so that nothing of the work can arrive after the word that it has stopped.
        stopping = trigger(None, cancels=self._running, **PRIVATE)
        status, preview = self.stage.status, self.stage.preview
        stopping.then(_stopped, [status, self.stage.current], [status, preview], show_progress="hidden", **PRIVATE)

    def check(self, *given: Any, mode: str) -> Iterator[str]:
        """Say at once what has to change, before anybody waits for a turn at the engine.

        Args:
            given: Name of the result on the stage, values of the controls, and what the mode needs beside.
            mode: One of :data:`demo.takes.MODES`.

        Yields:
            HTML for the status.
        """
        try:
            self.service.plan(self._wished(given, mode))
        except StudioError as error:
            yield error_html(error)
            raise gr.Error(str(error), visible=False, print_exception=False) from error
        yield gr.skip()

    def compose(self, *values: Any, mode: str) -> Iterator[dict[Any, Any]]:
        """Compose.

        Args:
            values: Name of the result on the stage, values of the controls, what the mode needs beside, and the
                model's name.
            mode: One of :data:`demo.takes.MODES`.

        Yields:
            Value by component: after steps, and last with the result on the stage.
        """
        *given, model = values
        status, nothing = self.stage.status, {self.stage.preview: gr.update(visible=False, value="")}
        try:
            request = self._wished(given, mode)
            if self._shelf is not None and not self._shelf.is_loaded(model):
                text = words.MODEL_LOADING_TEXT.format(name=model)
                yield {status: message_html(words.MODEL_LOADING_TITLE, text, "working")}
            maker = self.service if self._shelf is None else self._shelf.service(model)
            with contextlib.closing(_unhurried(maker.compose(request))) as work:
                for event in work:
                    if isinstance(event, Progress):
                        yield self._progress(event)
                        continue
                    with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
                        shown = self.stage.show(new_name(), event, Path(folder))
                        yield shown | {status: result_html(event)} | nothing
        except StudioError as error:
            yield {status: error_html(error)} | nothing
            raise gr.Error(str(error), visible=False, print_exception=False) from error
        except Exception:
            yield {status: FAILED} | nothing
            raise

    def _wished(self, given: Sequence[Any], mode: str) -> Request:
        name, *given = given
        number = len(self.controls.all)
        more = {TAKES: "num_takes", SWAP: "other_image_path"}
        experiment = {more[mode]: given[number]} if mode in more else {}
        request = to_request(*given[:number], mode=mode, **experiment)
        result = self.stage.store.find(name)
        if mode == COMPARE or result is None or request.knobs["seed"] is not None:
            return request
        # Experiments go on from what is heard: from its noise, where no other is asked for.
        return dataclasses.replace(request, knobs={**request.knobs, "seed": result.seed}, fresh=True)

    def _progress(self, event: Progress) -> dict[Any, Any]:
        shown = {self.stage.status: progress_html(event)}
        if event.view is not None:
            alt = words.TAKING_SHAPE.format(step=event.step, steps=event.num_steps)
            shown[self.stage.preview] = gr.update(visible=True, value=live_html(event.view, alt))
        return shown


def _unhurried(work: Iterator[Progress | Result]) -> Iterator[Progress | Result]:
    """A fast model makes more steps than a page can show; those with something to see are always shown."""
    shown_at = -math.inf
    with contextlib.closing(work):
        for event in work:
            bare = isinstance(event, Progress) and event.view is None and event.step > 0
            if bare and time.monotonic() - shown_at < LEAST_PAUSE_S:
                continue
            shown_at = time.monotonic()
            yield event


def _stopped(shown: str | None, name: str | None) -> tuple[Any, Any]:
    if "is-working" not in str(shown):
        return gr.skip(), gr.skip()
    # What is half made stays in sight only where nothing was on the stage before.
    return STOPPED, gr.skip() if name is None else gr.update(visible=False, value="")
