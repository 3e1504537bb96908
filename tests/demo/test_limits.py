"""What a client sends is bounded: every body, the uploads of one visitor, and all uploads together."""

from __future__ import annotations

import asyncio
import io
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
import safehttpx

from demo import downloads, limits, words
from demo.downloads import download
from demo.service import StudioService
from demo.takes import StudioError
from demo.ui import build_demo
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with serving(build_demo(StudioService(FakeEngine()))) as address:
        yield f"{address}gradio_api"


def upload(url: str, size: int) -> httpx.Response:
    return httpx.post(f"{url}/upload", files={"files": ("x.png", io.BytesIO(bytes(size)))}, timeout=60)


def test_every_body_has_a_bound(url, tmp_path):
    large = "x" * (limits.MAX_BODY_MB * 1_000_000 + 1)
    for route in ("queue/join", "call/generate", "run/predict", "component_server", "cancel", "reset"):
        reply = httpx.post(f"{url}/{route}", content=json.dumps({"data": [large]}), timeout=60)
        assert reply.status_code == 413 and f"more than {limits.MAX_BODY_MB} MB" in reply.json()["detail"], route
        parts = iter([large.encode()] * 3)
        reply = httpx.post(f"{url}/{route}", content=parts, timeout=60)  # its length is not told
        assert reply.status_code in (400, 413), route
    reply = httpx.post(f"{url}/upload", content=iter([b"x"]), timeout=60)
    assert reply.status_code == 411 and reply.json()["detail"] == words.LENGTH_NEEDED
    assert upload(url, 1000).status_code == 200
    assert upload(url, (limits.MAX_UPLOAD_MB + 2) * 1_000_000).status_code == 413
    assert limits.folder_bytes(tmp_path) < 100_000, "what is refused is not kept"


def test_one_visitor_has_so_much_an_hour(url, monkeypatch):
    monkeypatch.setattr(limits, "MAX_HOURLY_MB", 3)
    assert [upload(url, 1_000_000).status_code for _ in range(4)] == [200, 200, 429, 429]
    assert "uploaded 3 MB within the hour" in upload(url, 1_000_000).json()["detail"]
    assert upload(url, 100_000).status_code == 200, "what fits still fits"


def test_all_uploads_together_have_a_bound(url, monkeypatch):
    monkeypatch.setattr(limits, "MAX_STORED_MB", 2)
    assert upload(url, 1_500_000).status_code == 200
    refused = upload(url, 900_000)
    assert refused.status_code == 429 and refused.json()["detail"] == words.STORE_FULL


def test_an_hour_later_the_visitor_is_welcome_again(monkeypatch):
    now = [0.0]
    bounds = limits.BodyLimits(None, clock=lambda: now[0])
    monkeypatch.setattr(limits, "folder_bytes", lambda folder: 0)
    each = 200_000_000
    assert [bounds._refuse_upload("a", each) is None for _ in range(3)] == [True, True, False]
    assert bounds._refuse_upload("b", each) is None
    now[0] = 3601.0
    assert bounds._refuse_upload("a", each) is None


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/hop"):
            self.send_response(302)
            self.send_header("Location", {"/hop": "/small.png", "/hops": "/hops"}.get(self.path, "file:///etc/passwd"))
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        try:
            for _ in range(3000 if self.path == "/endless" else 1):
                self.wfile.write(b"p" * 100_000)
        except OSError:  # the other side has heard enough
            return

    def log_message(self, *_):
        return


@pytest.fixture
def web():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_pictures_from_the_web_have_a_bound_too(web, tmp_path, monkeypatch):
    async def public(host: str) -> str:
        return host

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with pytest.raises(StudioError, match="has to be a public one"):
        asyncio.run(download(f"{web}/small.png"))
    monkeypatch.setattr(safehttpx, "async_validate_url", public)
    monkeypatch.setattr(downloads, "MAX_BYTES", 1_000_000)
    for path in ("small.png", "hop"):
        found = asyncio.run(download(f"{web}/{path}"))
        assert found.stat().st_size == 100_000 and found.is_relative_to(tmp_path)
    assert found.suffix == ".png"
    with pytest.raises(StudioError, match="larger than 1 MB"):
        asyncio.run(download(f"{web}/endless"))
    for path in ("none", "hops", "hop-to-a-file"):
        with pytest.raises(StudioError, match="could not be fetched"):
            asyncio.run(download(f"{web}/{path}"))
    for address in ("http://", "http://[", "https://\ud800", "http://x" + "y" * 70, "http:///x"):
        with pytest.raises(StudioError, match="could not be fetched"):
            asyncio.run(download(address))
    assert limits.folder_bytes(tmp_path) == 200_000
