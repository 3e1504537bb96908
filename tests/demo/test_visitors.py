"""Visitors take turns: nobody keeps the others out, and nothing is made that nobody waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx
import pytest

from demo import visitors, words
from demo.service import StudioService
from demo.ui import build_demo
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine

WISH = {"steps": 4, "duration_s": 2.56}


def visitor(number: int) -> httpx.Client:
    """Somebody with an address of their own; all of 127.0.0.0/8 is this machine."""
    return httpx.Client(transport=httpx.HTTPTransport(local_address=f"127.0.0.{number}"), timeout=30)


def wait_until(found: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not found():
        assert time.monotonic() < until, "this did not come about"
        time.sleep(0.02)


@pytest.fixture
def fake() -> FakeEngine:
    return FakeEngine(hold_at=2)


@pytest.fixture
def page(fake):
    return build_demo(StudioService(fake))


@pytest.fixture
def url(page):
    with serving(page) as address:
        yield f"{address}gradio_api"


def ask(client: httpx.Client, url: str, page, caption: str) -> httpx.Response:
    event = next(event for event in page.fns.values() if event.api_name == "generate")
    data = [component.value for component in event.inputs]
    data[1], data[3], data[5] = caption, WISH["steps"], WISH["duration_s"]
    return client.post(f"{url}/call/generate", json={"data": data})


def answer(client: httpx.Client, url: str, asked: httpx.Response) -> str:
    with client.stream("GET", f"{url}/call/generate/{asked.json()['event_id']}") as stream:
        return stream.read().decode()


def test_one_visitor_cannot_keep_the_others_out(url, page, fake):
    with visitor(2) as greedy, visitor(3) as other:
        first = ask(greedy, url, page, "greedy 0")
        wait_until(lambda: fake.settings)
        asked = [ask(greedy, url, page, f"greedy {number}") for number in range(1, 20)]
        refused = [reply for reply in asked if reply.status_code != 200]
        assert len(asked) - len(refused) == visitors.MOST_WAITING_EACH
        assert {reply.status_code for reply in refused} == {429}
        assert refused[0].json()["detail"] == words.TOO_MANY_OF_YOURS.format(most=visitors.MOST_WAITING_EACH)
        patient = ask(other, url, page, "other")
        assert patient.status_code == 200
        fake.hold_at = None
        assert "complete" in answer(other, url, patient)
        assert [settings.caption for settings in fake.settings][:2] == ["greedy 0", "other"], "turns go round"
        assert "complete" in answer(greedy, url, first)


def test_a_full_queue_says_when_to_come_back(url, page, fake, monkeypatch):
    monkeypatch.setattr(visitors, "MOST_WAITING", 3)
    with visitor(2) as one, visitor(3) as two:
        ask(one, url, page, "works")
        wait_until(lambda: fake.settings)
        for number in range(3):
            assert ask(one, url, page, f"waits {number}").status_code == 200
        refused = ask(two, url, page, "comes too late")
        assert refused.status_code == 429
        assert refused.json()["detail"] == words.QUEUE_FULL.format(count=3, seconds=10)


def test_work_stops_when_the_one_who_waits_goes_away(url, page, fake):
    with visitor(2) as client:
        asked = ask(client, url, page, "Harp")
        with client.stream("GET", f"{url}/call/generate/{asked.json()['event_id']}"):
            wait_until(lambda: fake.settings)
            assert not fake.closed.wait(0.5), "somebody waits"
    assert fake.closed.wait(15), "nobody waits any more"


def test_work_stops_when_nobody_ever_asks_for_it(url, page, fake, monkeypatch):
    monkeypatch.setattr(visitors, "PATIENCE_S", 1.5)
    with visitor(2) as client:
        ask(client, url, page, "Harp")
        wait_until(lambda: fake.settings)
        ask(client, url, page, "never begun")
        assert fake.closed.wait(20)
        wait_until(lambda: not page._queue.waiting())
    assert [settings.caption for settings in fake.settings] == ["Harp"]
    assert not page._queue.pending_messages_per_session, "what nobody read is gone too"


def test_nothing_passes_the_queue_by(url, page, fake):
    with visitor(2) as client:
        for route in ("run/generate", "api/generate"):
            reply = client.post(f"{url}/{route}", json={"data": [None, "Harp"]})
            assert reply.status_code == 404 and "join the queue" in json.dumps(reply.json())
    assert not fake.settings


class Connection:
    def __init__(self, host: str, passed_on: str | None) -> None:
        self.client = httpx.URL(f"http://{host}")
        self.headers = {} if passed_on is None else {"x-forwarded-for": passed_on}


def test_only_on_a_space_the_proxy_says_who_comes(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert visitors.visitor_of(Connection("10.0.0.1", "1.2.3.4")) == "10.0.0.1"
    monkeypatch.setenv("SPACE_ID", "me/studio")
    assert visitors.visitor_of(Connection("10.0.0.1", "1.2.3.4, 10.0.0.9")) == "1.2.3.4"
    assert visitors.visitor_of(Connection("10.0.0.1", None)) == "10.0.0.1"
