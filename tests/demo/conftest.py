"""A fake engine, a running studio and a headless Chromium."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from demo.engine import PipelineEngine
from demo.examples import Example
from demo.service import StudioService
from demo.take_store import TakeStore
from demo.ui import build_demo, launch
from demo.votes import VoteBook
from tests import system
from tests.demo.fakes import FakeEngine
from tests.score_pipeline import make_score_pipeline


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, sunset: Image.Image, checkers: Image.Image) -> list[Path]:
    """Two picture files and one that only pretends to be a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    sunset.save(folder / "Sunset at Sea.png")
    checkers.save(folder / "checkers.jpg")
    (folder / "broken.png").write_bytes(b"this is no picture")
    return [folder / "Sunset at Sea.png", folder / "checkers.jpg", folder / "broken.png"]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@contextlib.contextmanager
def serving(demo: gr.Blocks) -> Iterator[str]:
    """Serve a page on a free port of this machine and give its address."""
    _, url, _ = launch(demo, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    try:
        yield url
    finally:
        demo.close(verbose=False)


@dataclass
class StudioServer:
    """A running studio: its address, its engine, and a way to make it lose what it holds, as a restart does."""

    url: str
    engine: FakeEngine
    stores: list[TakeStore]

    def forget(self) -> None:
        for store in self.stores:
            for name in [*store._results]:
                store._drop(name)


@pytest.fixture(scope="module")
def votes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("votes") / "votes.jsonl"


@pytest.fixture(scope="module")
def studio_server(pictures: list[Path], votes_file: Path) -> Iterator[StudioServer]:
    """A running studio with the fake engine, one example picture and votes after a moment's listening."""
    engine, examples = FakeEngine(), [Example(str(pictures[1]), "Checkers", "A quick flute")]
    votes = VoteBook(votes_file, least_listening_s=0.2)
    stores, make = [], TakeStore.__init__

    def noted(store: TakeStore, *arguments: Any) -> None:
        make(store, *arguments)
        stores.append(store)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TakeStore, "__init__", noted)
        page = build_demo(StudioService(engine), examples, votes)
    with serving(page) as url:
        yield StudioServer(url, engine, stores)


@pytest.fixture(scope="module")
def studio_engine(studio_server: StudioServer) -> FakeEngine:
    return studio_server.engine


@pytest.fixture(scope="module")
def studio(studio_server: StudioServer) -> str:
    """Address of the running studio."""
    return studio_server.url


@pytest.fixture(scope="module")
def score_studio(tiny_text) -> Iterator[str]:
    """Address of a running studio whose tiny model makes notes."""
    with serving(build_demo(StudioService(PipelineEngine(make_score_pipeline(tiny_text), "notes", "1" * 64)))) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> str:
    return system.require_program("chromium", "chromium-browser", package="chromium")


@pytest.fixture(scope="module")
def visit(chromium: str) -> Iterator[Callable]:
    """Open a page in a window of a given size; one Chromium serves the module."""
    from tests.demo.browser import Chromium

    with Chromium(chromium) as browser:
        yield browser.visit
