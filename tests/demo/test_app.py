"""`app.py`: what stands against starting is said in one line, before the model is loaded."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import httpx
import pytest

import app
from demo.cache import own_cache_folder
from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.service import StudioService
from demo.ui import build_demo
from demo.votes import VoteBook
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine
from tests.demo.test_memory import load


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Folders that were loaded; the fake engine stands in for the model, and no page is opened."""
    asked = []

    def from_folder(folder: str) -> FakeEngine:
        asked.append(folder)
        return FakeEngine()

    monkeypatch.setattr(app.PipelineEngine, "from_folder", from_folder)
    monkeypatch.setattr(app, "launch", lambda *_, **__: None)
    return asked


def refusal(loaded, capsys, *arguments: str) -> str:
    assert app.main([*arguments]) == 1
    said = capsys.readouterr().err
    assert not loaded and said.count("\n") == 1 and "Traceback" not in said
    return said


def test_what_stands_against_starting_is_said_before_the_model_is_loaded(loaded, capsys, tmp_path):
    votes = ["--votes", str(tmp_path / "votes.jsonl")]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port}, cannot be listened on" in refusal(loaded, capsys, "--port", port, *votes)
    for port in ("0", "-5", "65536", "99999999"):
        assert "--port must be from 1 to 65535" in refusal(loaded, capsys, "--port", port, *votes)
    for host in ("no.such.host.invalid", "300.1.1.1", "x" * 300, "192.0.2.1"):
        assert "cannot be listened on" in refusal(loaded, capsys, "--host", host, *votes)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(loaded, capsys, "--votes", str(tmp_path / "file" / "votes.jsonl"))
    assert app.main(votes) == 0 and loaded == [str(app.MODEL)]


@pytest.mark.parametrize("listing", ["[", "{}", "5", '[{"file": "x"}]', '[{"title": "x"}]', '["x"]', "[[]]", "\udc80"])
def test_a_damaged_list_of_examples_is_said(tmp_path, listing):
    (tmp_path / "examples.json").write_bytes(listing.encode("utf-8", "surrogateescape"))
    if listing == "{}":
        assert load_examples(tmp_path) == []
        return
    with pytest.raises(ValueError, match="examples.json"):
        load_examples(tmp_path)


def test_a_studio_started_from_another_folder_shows_its_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    page = build_demo(StudioService(FakeEngine()), load_examples(EXAMPLES_FOLDER), VoteBook(None))
    with serving(page) as url, httpx.Client(timeout=60) as client:
        answers = load(client, url, page)
    assert any("finished example" in json.dumps(answer) for answer in answers)


def test_what_killed_studios_left_behind_is_cleared_away(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (str(gone.pid), str(os.getppid()), "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "upload.png").write_bytes(b"x")
    own = own_cache_folder(tmp_path)
    assert own.name == str(os.getpid()) and not list(own.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({str(os.getppid()), "notes", own.name})
