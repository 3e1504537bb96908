"""Raw JSON values for all inputs of all endpoints, and for votes, sent to a running studio; some of them are drawn."""

from __future__ import annotations

import json
import os
import random
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

from tests.hostile.run import Trial

MORE_BYTES, SECONDS = 8_000_000_000, 900
JSON = {"Content-Type": "application/json"}
VALUES = {
    "nothing": None,
    "truth": True,
    "text": "x",
    "blank": " ",
    "surrogate": "\ud800 piano",
    "zero": "a\0b",
    "long": "la " * 20_000,
    "minus": -1e9,
    "huge": 10**400,
    "large": 1e308,
    "fraction": 0.5,
    "list": [],
    "lists": [[["x"]], {"a": [None]}],
    "object": {},
    "file": {"path": "/etc/passwd"},
    "update": {"__type__": "update", "value": 5},
    "nested": [[[[[[[[[[]]]]]]]]]] * 3,
}
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999")  # JSON of its own, which Python's reader takes


class Refused(Exception):
    """What the studio said."""


def prepare(folder: Path, count: int, seed: int) -> None:
    (folder / "cache").mkdir()
    (folder / "draw.json").write_text(json.dumps([count, seed]))


def send(url: str, body: str, name: str) -> None:
    """Ask an endpoint, and raise what it refuses with."""
    with httpx.Client(timeout=60) as client:
        asked = client.post(f"{url}/call/{name}", content=body, headers=JSON)
        if asked.status_code != 200:
            raise Refused(_sentence(asked.json().get("detail")))
        with client.stream("GET", f"{url}/call/{name}/{asked.json()['event_id']}") as stream:
            text = stream.read().decode()
    if "event: error" in text:
        told = json.loads(text.rpartition("event: error\ndata: ")[2])
        raise Refused((told or {}).get("error") or "")
    if "event: complete" not in text:
        raise AssertionError(text[-300:])


def vote(url: str, component: int, body: str) -> None:
    """Cast a vote, and raise what it is refused with."""
    asked = json.dumps({"session_hash": "x", "component_id": component, "fn_name": "cast_vote", "data": "@"})
    reply = httpx.post(f"{url}/component_server", content=asked.replace('"@"', body), headers=JSON, timeout=60)
    if reply.status_code != 200:
        raise Refused(_sentence(reply.json().get("detail")))
    if reply.json()["error"]:
        raise Refused(reply.json()["error"])


def _sentence(detail: Any) -> str:
    return detail if isinstance(detail, str) else json.dumps(detail)


def trials(folder: Path) -> Iterator[Trial]:
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "cache")
    from demo.examples import EXAMPLES_FOLDER, load_examples
    from demo.service import StudioService
    from demo.ui import build_demo, launch
    from demo.votes import VoteBook
    from tests.demo.fakes import FakeEngine

    page = build_demo(StudioService(FakeEngine()), load_examples(EXAMPLES_FOLDER), VoteBook(folder / "votes.jsonl"))
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    count, seed = json.loads((folder / "draw.json").read_text())
    all_trials = [*_of_endpoints(page, f"{address}gradio_api"), *_of_votes(page, f"{address}gradio_api")]
    yield from random.Random(seed).sample(all_trials, min(count, len(all_trials)))
    page.close(verbose=False)


def _strange(usual: list[Any] | dict[str, Any], key: Any) -> Iterator[tuple[str, str]]:
    """Bodies in which one value is another, by the name of the value."""
    for name, value in VALUES.items():
        changed = usual.copy()
        changed[key] = value
        yield name, json.dumps(changed)
    changed = usual.copy()
    changed[key] = "@"
    for number in NUMBERS:
        yield number, json.dumps(changed).replace('"@"', number)


def _of_endpoints(page: gr.Blocks, url: str) -> Iterator[Trial]:
    tried = set()
    for event in page.fns.values():
        inputs = [block for block in event.inputs if not isinstance(block, gr.State)]
        kinds = tuple(type(block).__name__ for block in inputs)
        if event.fn is None or (event.name, kinds) in tried:
            continue  # the five buttons share two functions
        tried.add((event.name, kinds))
        quick = {"duration": 2.56, "steps": 1}
        usual = [quick.get(block.elem_id, getattr(block, "value", None)) for block in inputs]
        for place in range(len(inputs)):
            for name, data in _strange(usual, place):
                attempt = partial(send, url, f'{{"data": {data}}}', event.api_name)
                yield f"{event.api_name} {place} {name}", attempt, (Refused,)
        for name, data in (("none", []), ("many", [None] * 40), ("text", "x"), ("object", {}), ("null", None)):
            attempt = partial(send, url, json.dumps({"data": data}), event.api_name)
            yield f"{event.api_name} {name}", attempt, (Refused,)


def _of_votes(page: gr.Blocks, url: str) -> Iterator[Trial]:
    player = next(block._id for block in page.blocks.values() if block.elem_id == "player")
    usual = {"trial": secrets.token_hex(8), "choice": "A", "order": [0, 1], "listened_s": [9, 9]}
    for key in (*usual, "comment", "switches", "known_before"):
        for name, body in _strange(usual, key):
            yield f"vote {key} {name}", partial(vote, url, player, body), (Refused,)
    for name, value in VALUES.items():
        yield f"vote {name}", partial(vote, url, player, json.dumps(value)), (Refused,)
