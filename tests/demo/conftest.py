"""A fake engine, a running studio and a headless Chromium."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from demo.examples import Example
from demo.service import StudioService
from demo.ui import build_demo, launch
from demo.votes import VoteBook
from tests import system
from tests.demo.fakes import FakeEngine


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


@pytest.fixture(scope="module")
def studio_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def votes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("votes") / "votes.jsonl"


@pytest.fixture(scope="module")
def studio(studio_engine: FakeEngine, pictures: list[Path], votes_file: Path) -> Iterator[str]:
    """Address of a running studio with the fake engine, one example picture and votes after a moment's listening."""
    examples = [Example(str(pictures[1]), "Checkers", "A quick flute")]
    votes = VoteBook(votes_file, least_listening_s=0.2)
    with serving(build_demo(StudioService(studio_engine), examples, votes)) as url:
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
