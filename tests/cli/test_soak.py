"""`melfusion soak`: real visitors at a real studio, and what it says of takes that were lost or mixed up."""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from melfusion_core.cli import main, soak
from melfusion_core.cli.soak_visitor import DONE, LOST, MIXED_UP, REFUSED, TAKE, TURNED_AWAY, UNCLEAR, Diary, Visitor


def test_a_short_soak_of_a_real_studio(model_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(soak, "PAUSE_S", 0.1)
    flags = ["--minutes", "0.1", "--visitors", "2", "--steps", "1", "--model", str(model_folder)]
    assert main(["soak", *flags, "--out", str(tmp_path / "soak.md")]) == 0, capsys.readouterr()
    report = (tmp_path / "soak.md").read_text()
    assert capsys.readouterr().out == report
    assert "Lost: 0. Mixed up, or not the samples of the same wish made alone: 0. Refused in no sentence: 0." in report
    assert "| page load | done |" in report and "| tracebacks | in the studio's log | 0 |" in report
    assert report.count("\n| ") > 4


def test_a_studio_that_does_not_start_is_said(tmp_path, capsys):
    assert main(["soak", "--model", str(tmp_path), "--minutes", "0.1"]) == 1
    assert "The studio did not start: " in capsys.readouterr().err


class Studio(BaseHTTPRequestHandler):
    """Answers every request for a take with what the test puts here."""

    status, answer, event = 200, "", "error"

    def do_GET(self):
        parameters = [{"parameter_name": "seed", "parameter_default": 0}]
        told = {"named_endpoints": {"/generate": {"parameters": parameters}}}
        stream = f"event: {self.event}\ndata: {json.dumps(self.answer)}\n\n"
        self._send(200, json.dumps(told) if self.path.endswith("/info") else stream)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        upload = self.path.endswith("/upload")
        self._send(200 if upload else self.status, json.dumps(["x"] if upload else {"event_id": "e", "detail": "no"}))

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def visitor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Studio)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    somebody = Visitor(0, f"http://127.0.0.1:{server.server_port}/", Diary(), 1, 2.56)
    yield somebody
    somebody.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [(200, {"error": "Something."}, LOST), (500, {}, LOST), (429, {}, TURNED_AWAY), (200, None, LOST)],
)
def test_what_is_no_take_is_lost_or_turned_away(visitor, monkeypatch, status, answer, outcome):
    monkeypatch.setattr(Studio, "status", status)
    monkeypatch.setattr(Studio, "answer", answer)
    visitor.ask(visitor.wishes[0])
    diary = visitor._diary
    assert diary.outcomes == {(TAKE, outcome): 1} and diary.count(outcome) == 1
    assert bool(diary.troubles) == (outcome == LOST)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [({"error": "Too long."}, REFUSED), ({"error": None}, UNCLEAR), ({"error": "x\x1b"}, UNCLEAR)],
)
def test_refusals_have_to_be_sentences(visitor, monkeypatch, answer, outcome):
    monkeypatch.setattr(Studio, "answer", answer)
    visitor._ask_for_nonsense()
    assert visitor._diary.count(outcome) == 1 and bool(visitor._diary.troubles) == (outcome == UNCLEAR)


def test_a_take_of_another_wish_is_mixed_up(visitor, monkeypatch, tmp_path):
    import numpy as np
    import soundfile

    from melfusion_core.image import load_image
    from melfusion_core.recipe import embed_in_file, image_sha256
    from tests.core.test_recipe import make_recipe

    wish = visitor.wishes[0]
    told = {"prompt": wish.prompt, "seed": wish.seed, "num_inference_steps": 1, "duration_s": 2.56}
    told |= {"image_sha256": image_sha256(load_image(wish.picture)), "image_name": None, "image_path": None}

    def take(amplitude: float, **changes) -> list:
        recipe = make_recipe(**told | changes)
        soundfile.write(tmp_path / "t.wav", np.full(800, amplitude), 800)
        embed_in_file(tmp_path / "t.wav", recipe)
        monkeypatch.setattr(visitor, "_generate", lambda **_: [{"url": "take"}, None, None, recipe.to_dict()])

        class Reply:
            content = (tmp_path / "t.wav").read_bytes()

            def raise_for_status(self):
                return self

        monkeypatch.setattr(visitor._client, "get", lambda _: Reply())
        visitor.ask(wish)

    take(0.1)
    assert visitor._diary.outcomes == {(TAKE, DONE): 1}
    take(0.1, seed=wish.seed + 1)
    take(0.1, prompt="Another's")
    take(0.1, image_sha256="0" * 64)
    take(0.2)
    assert visitor._diary.outcomes == {(TAKE, DONE): 1, (TAKE, MIXED_UP): 4}
    gauge = argparse.Namespace(rows=[(0.0, 1, 1, 100.0, 9, 9, 9, 1.0)], readers_mb=0.0)
    args = argparse.Namespace(minutes=1, visitors=1, steps=1, duration=2.56)
    assert "made alone: 4." in soak.write_report(args, visitor._diary, gauge, 0)
