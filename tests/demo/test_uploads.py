"""Nothing on the machine leaks: every endpoint, asked without the page or Gradio's client, reads uploads only."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from demo import words
from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.service import StudioService
from demo.ui import build_demo
from demo.uploads import is_upload
from demo.votes import VoteBook
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine

FILE_COMPONENTS = (gr.Image, gr.File, gr.UploadButton)
JSON = {"Content-Type": "application/json"}
META = {"meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def fake() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def page(fake: FakeEngine, tmp_path_factory: pytest.TempPathFactory) -> gr.Blocks:
    votes = VoteBook(tmp_path_factory.mktemp("votes") / "votes.jsonl")
    return build_demo(StudioService(fake), load_examples(EXAMPLES_FOLDER), votes)


@pytest.fixture(scope="module")
def url(page: gr.Blocks):
    with serving(page) as address:
        yield f"{address}gradio_api"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of somebody else's, with a telling size, and a symbolic link to it."""
    path = tmp_path_factory.mktemp("private") / "Holiday.png"
    Image.new("RGB", (37, 23), "teal").save(path)
    return path


def event_of(page: gr.Blocks, name: str):
    return next(event for event in page.fns.values() if event.api_name == name)


def payload(page: gr.Blocks, name: str, value: object) -> list:
    """Values for an endpoint as the page sends them, with the given one in place of every file and every memory."""
    data = []
    for component in event_of(page, name).inputs:
        if isinstance(component, (*FILE_COMPONENTS, gr.BrowserState)):
            data.append([value] if isinstance(component, gr.BrowserState) else value)
        elif isinstance(component, gr.State):
            data.append(None)
        else:
            data.append(component.value)
    return data


def post(url: str, page: gr.Blocks, name: str, value: object, told: object = ()) -> list[str]:
    """Ask an endpoint in each way that a server of Gradio offers; give what it says to each.

    With `told` comes what the page's scripts say of the event, and it is asked as the page does alone.
    """
    event = event_of(page, name)
    data, session = payload(page, name, value), secrets.token_hex(5)
    said = []
    with httpx.Client(timeout=60) as client:
        direct = {
            "data": data,
            "fn_index": event._id,
            "session_hash": session,
            "event_data": {"entry": "x", "index": 0} if told == () else told,
        }
        for route in (f"run/{name}", "run/predict") if told == () else ():
            reply = client.post(f"{url}/{route}", content=json.dumps(direct), headers=JSON)
            if event.queue:
                assert reply.status_code == 404 and "join the queue" in reply.text
            else:
                said.append(f"{reply.status_code} {reply.text}")
        if told == ():
            reply = client.post(f"{url}/call/{name}", content=json.dumps({"data": data}), headers=JSON)
            with client.stream("GET", f"{url}/call/{name}/{reply.json()['event_id']}") as stream:
                said.append(stream.read().decode())
        reply = client.post(f"{url}/queue/join", content=json.dumps(direct), headers=JSON)
        with client.stream("GET", f"{url}/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                if "process_completed" in line:
                    said.append(line)
                    break
    return said


def upload(url: str, path: Path) -> str:
    with path.open("rb") as file:
        return httpx.post(f"{url}/upload", files={"files": (path.name, file)}, timeout=60).json()[0]


def taking_files(page: gr.Blocks) -> list[str]:
    """Names of all endpoints, private ones too, that take a file or what a browser remembers."""
    kinds = (*FILE_COMPONENTS, gr.BrowserState)
    events = [event for event in page.fns.values() if event.fn and any(isinstance(b, kinds) for b in event.inputs)]
    return [event.api_name for event in events]


def test_no_endpoint_reads_a_file_that_was_not_uploaded(url, page, fake, secret):
    link = secret.with_name("link.png")
    link.symlink_to(secret)
    names = taking_files(page)
    assert {"generate", "look", "suggest", "own_words"} <= set(names)
    assert any(isinstance(block, gr.UploadButton) for event in page.fns.values() for block in event.inputs)
    assert len(names) >= 15, "check and compose of the five buttons, and the picture for the swap"
    for name in names:
        for path, more in ((secret, {}), (secret.with_name("Nothing.png"), {}), (link, META)):
            for answer in post(url, page, name, {"path": str(path), **more}):
                assert words.NOT_UPLOADED in answer, f"{name}: {answer}"
                assert str(path) not in answer and path.name not in answer, f"{name}: {answer}"
    assert not fake.settings and not fake.looked, "nothing reached the model"


def test_ways_out_of_the_cache_are_closed(url, page, fake, secret, pictures):
    inside = Path(upload(url, pictures[0]))
    assert is_upload(inside)
    ways = [
        f"{inside.parent}/../../{'../' * 12}{secret}",
        f"{get_upload_folder()}/../{secret}",
        get_upload_folder(),
        str(inside.parent),
        "",
        "\0",
        "x" * 5000,
        "\ud800",
        f"file://{secret}",
        f"{inside}\0.png",
        "/dev/zero",
        "/proc/self/environ",
        str(secret),
        str(EXAMPLES_FOLDER / "lake.jpg"),
    ]
    for way in ways:
        assert not is_upload(way), way
        for more in ({}, {"meta": {}}, {"meta": "x"}, {"meta": {"_type": "x"}, "url": f"file://{secret}"}):
            assert words.NOT_UPLOADED in post(url, page, "look", {"path": way, **more})[0]
    for value in ({"path": None}, {"path": 5}, {"path": {"path": str(secret)}}, {"url": "data:image/png;base64,AAAA"}):
        assert words.NOT_UPLOADED in post(url, page, "look", value)[0]
    link = inside.with_name(f"{secrets.token_hex(8)}.png")
    link.symlink_to(secret)
    assert not is_upload(link), "a link inside the cache leads out of it"
    link.unlink()
    nested = {"recipe": [{"deep": [{"path": str(secret)}]}]}
    assert words.NOT_UPLOADED in post(url, page, "look", nested)[0]


def test_paths_in_what_comes_with_an_event_are_checked_too(url, page, secret):
    named = {"id": secrets.token_hex(16), "mode": "compare", "name": "x.png"}
    for name in ("arrive", "reopen"):
        for path in (str(secret), "/proc/self/environ", "", 5, None, ["x"], {"path": str(secret)}):
            told = named | {"path": path, "files": [path], "picture": path, "region": path}
            answer = post(url, page, name, None, told)[-1]
            refused = (words.NOT_UPLOADED, words.HISTORY_GONE, "is not in the cache folder")  # the last is Gradio's
            assert any(said in answer for said in refused), f"{name}: {answer}"
        for told in (None, [], "x", {}):
            assert "process_completed" in post(url, page, name, None, told)[-1]


def test_what_was_uploaded_is_still_read(url, page, fake, pictures):
    path = upload(url, pictures[0])
    for more in ({}, META):
        assert "Lightness" in post(url, page, "look", {"path": path, **more})[0]
    data = payload(page, "generate", {"path": path, **META})
    data[1], data[3], data[5] = "Harp", 1, 2.56
    with httpx.Client(timeout=60) as client:
        event = client.post(f"{url}/call/generate", json={"data": data}).json()["event_id"]
        assert "event: complete" in client.get(f"{url}/call/generate/{event}").text
    assert fake.settings[-1].image.size == (64, 48)
