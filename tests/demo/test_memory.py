"""Page loads leave nothing behind, neither in memory nor on the disk."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import gradio as gr
import httpx
import pytest

from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.service import StudioService
from demo.ui import build_demo
from demo.votes import VoteBook
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine

LOADS = 40


def memory_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def load(client: httpx.Client, url: str, page: gr.Blocks) -> list[dict]:
    """Load the page as a new visitor's browser does; give what the events of loading answered."""
    assert client.get(url).status_code == 200
    session, answers = secrets.token_hex(5), []
    for event in page.fns.values():
        if event.fn is None or not any(trigger == "load" for _, trigger in event.targets):
            continue
        body = {"data": [None] * len(event.inputs), "fn_index": event._id, "session_hash": session}
        if not event.queue:
            answers.append(client.post(f"{url}gradio_api/run/predict", json=body).json())
            continue
        client.post(f"{url}gradio_api/queue/join", json=body).raise_for_status()
        with client.stream("GET", f"{url}gradio_api/queue/data", params={"session_hash": session}) as stream:
            line = next(line for line in stream.iter_lines() if "process_completed" in line)
        answers.append(json.loads(line.removeprefix("data:"))["output"])
    return answers


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from Linux")
def test_page_loads_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    page = build_demo(StudioService(FakeEngine()), load_examples(EXAMPLES_FOLDER), VoteBook(tmp_path / "votes.jsonl"))
    with serving(page) as url, httpx.Client(timeout=60) as client:
        for _ in range(8):
            answers = load(client, url, page)
        assert any("finished example" in json.dumps(answer) for answer in answers)
        assert '"votable": true' not in json.dumps(answers), "an example is no trial that votes can be stuffed into"
        before, files = memory_mb(), sum(len(files) for _, _, files in os.walk(tmp_path))
        for _ in range(LOADS):
            load(client, url, page)
        assert memory_mb() - before < 0.5 * LOADS
        assert sum(len(files) for _, _, files in os.walk(tmp_path)) == files
    assert page.app.state_holder.capacity <= 300
