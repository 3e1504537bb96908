"""What a picture says beside what it shows stays with its owner: place, date, camera and file name go nowhere."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import pytest
from PIL import Image

from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.exports import FORMATS, export_take
from demo.limits import MAX_UPLOAD_MB
from demo.service import StudioService
from demo.takes import Result
from demo.ui import build_demo
from demo.votes import VoteBook
from tests import system
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine, wish

MARKS = (b"Secret Cove", b"PrivateCam", b"2019:07:03", b"my-home-address", b"Annas Notiz")
"""A place, a camera, a date, a file name and a comment."""


@pytest.fixture
def photo(tmp_path) -> Path:
    exif = Image.Exif()
    exif[0x010E], exif[0x0110], exif[0x0132] = "Secret Cove", "PrivateCam 9", "2019:07:03 10:11:12"
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 29.0, 7.0), 3: "W", 4: (5.0, 0.0, 0.0), 29: "2019:07:03"})
    path = tmp_path / "my-home-address.jpg"
    Image.linear_gradient("L").convert("RGB").save(path, exif=exif, comment=b"Annas Notiz", dpi=(72, 72))
    data = path.read_bytes()
    assert all(mark in data for mark in MARKS[:3]) and b"Annas Notiz" in data
    return path


def carried(data: bytes) -> list[bytes]:
    return [mark for mark in MARKS if mark in data]


def test_takes_recipes_and_votes_say_nothing_of_it(photo, tmp_path):
    service = StudioService(FakeEngine())
    events = service.compose(wish(str(photo), "Piano", num_inference_steps=1))
    result = next(event for event in events if isinstance(event, Result))
    for kind in FORMATS:
        if kind == "MP4":
            system.require_program("ffmpeg")
        for take in result.takes:
            path = export_take(take, result.mode, kind, tmp_path)
            assert not carried(path.read_bytes()) and not carried(path.name.encode()), kind
    book = VoteBook(tmp_path / "votes.jsonl", least_listening_s=0.0)
    book.cast({"trial": book.open(result), "choice": "A", "order": [0, 1], "listened_s": [9, 9]})
    assert not carried((tmp_path / "votes.jsonl").read_bytes())


def test_the_studio_gives_and_writes_nothing_of_it(photo, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    votes = VoteBook(tmp_path / "votes.jsonl")
    page = build_demo(StudioService(FakeEngine()), load_examples(EXAMPLES_FOLDER), votes)
    with serving(page) as url, httpx.Client(timeout=60) as client:
        shown = client.get(url).text
        assert f"Files up to {MAX_UPLOAD_MB} MB" in shown and "camera and file name go into no take" in shown
        uploaded = client.post(f"{url}gradio_api/upload", files={"files": (photo.name, photo.read_bytes())}).json()[0]
        described = client.get(f"{url}gradio_api/info").json()["named_endpoints"]["/generate"]["parameters"]
        given = {"image": {"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "caption": "Piano", "steps": 1}
        data = [given.get(each["parameter_name"], each.get("parameter_default")) for each in described]
        event = client.post(f"{url}gradio_api/call/generate", json={"data": data}).json()["event_id"]
        answer = client.get(f"{url}gradio_api/call/generate/{event}").text
        assert "event: complete" in answer and not carried(answer.encode())
        files = json.loads(answer.rpartition("data: ")[2])
        for file in files[:3]:
            sound = client.get(file["url"]).content
            assert not carried(sound) and not carried(file["path"].encode())
    assert not carried("".join(capfd.readouterr()).encode())
    assert not carried(b"".join(path.read_bytes() for path in tmp_path.glob("votes*")))


def test_the_marks_would_be_seen():
    """A copy that keeps what the file said beside its pixels is found out."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "Secret Cove"
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    assert carried(buffer.getvalue()) == [b"Secret Cove"]
