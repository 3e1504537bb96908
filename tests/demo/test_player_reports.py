"""Faults that people reported of players like this one, each tried in a real browser."""

from __future__ import annotations

import dataclasses
import json

import pytest
from playwright.sync_api import expect

from demo.listening import room_value
from demo.mel_view import sound_view
from demo.service import StudioService
from demo.takes import Result
from demo.ui import build_demo
from demo.votes import VoteBook
from melfusion_core.audio import load_audio
from tests.demo.browser import compose, fill, listening, play, upload, write
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine, wish

PLAYING = "() => document.querySelector('#player .player').parentElement.listening.state().playing"


@pytest.mark.browser
def test_a_new_take_starts_at_its_beginning(studio, visit, pictures):
    with visit(studio) as page:
        upload(page, str(pictures[0]))
        write(page, "A slow piano", seed="7")
        compose(page)
        listening(page, "seek(5)")
        play(page)
        assert listening(page, "position()") >= 5
        compose(page)
        assert listening(page, "position()") == 0 and listening(page)["playing"] is False
        assert listening(page)["sources"] == 0, "the old take is not heard any more"
        play(page)
        assert listening(page, "position()") < 3


@pytest.mark.browser
def test_play_pressed_three_times_plays_once(studio, visit, pictures):
    with visit(studio) as page:
        upload(page, str(pictures[0]))
        write(page, "A slow piano", seed="7")
        compose(page)
        page.locator(".pl-play").evaluate("(button) => { button.click(); button.click(); button.click(); }")
        page.wait_for_function(PLAYING)
        assert listening(page)["sources"] == 2, "each take once"
        for _ in range(3):
            page.locator(".pl-play").click()
        page.wait_for_function(f"() => !({PLAYING})()")
        assert listening(page)["sources"] == 0


@pytest.mark.browser
def test_both_heard_to_the_end_opens_the_vote(visit, pictures, tmp_path):
    with serving(build_demo(StudioService(FakeEngine()), (), VoteBook(tmp_path / "votes.jsonl"))) as url:
        with visit(url) as page:
            page.locator("#advanced > button").click()
            fill(page, "duration", "2.56")
            upload(page, str(pictures[0]))
            page.locator("#caption textarea").fill("A slow piano")
            compose(page)
            page.locator(".pl-blind input").check()
            better = page.locator(".pl-choices button[data-choice='A']")
            play(page)
            expect(page.locator(".pl-heard").nth(0)).to_have_class("pl-heard is-enough")
            expect(better).to_be_disabled()
            page.locator(".pl-take").nth(1).click()
            expect(better).to_be_enabled()
            better.click()
            expect(page.locator(".pl-said")).to_contain_text("your vote is kept")
    [vote] = (tmp_path / "votes.jsonl").read_text().splitlines()
    assert min(json.loads(vote)["listened_s"]) >= 2.5


@pytest.mark.browser
def test_the_studio_plays_with_every_other_host_blocked(studio, visit, pictures):
    refused = []

    def local_only(route):
        if route.request.url.startswith((studio, "data:", "blob:")):
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    with visit(studio) as page:
        page.route("**/*", local_only)
        page.reload()
        page.wait_for_selector("#status[aria-live]", state="attached")
        upload(page, str(pictures[0]))
        write(page, "A slow piano")
        compose(page)
        play(page)
        assert listening(page, "position()") > 0
        assert page.locator(".pl-picture img").first.evaluate("(image) => image.naturalWidth") > 100


def test_a_shorter_take_is_silent_to_the_end_of_the_longer(tmp_path):
    service = StudioService(FakeEngine())
    events = service.compose(wish(caption="Piano", num_inference_steps=1, mode="takes", num_takes=2, duration_s=10.24))
    result = next(event for event in events if isinstance(event, Result))
    long, other = result.takes
    rate = long.recipe.sample_rate
    short = sound_view(other.samples[:, : 7 * rate], rate)
    pair = dataclasses.replace(
        result, takes=(long, dataclasses.replace(other, samples=other.samples[:, : 7 * rate], view=short))
    )
    for takes in (pair.takes, pair.takes[::-1]):
        room = room_value(dataclasses.replace(pair, takes=takes), VoteBook(None), tmp_path)
        assert room["seconds"] == pytest.approx(10.24, abs=0.02)
        lengths = [len(load_audio(take["audio"]["path"], rate)) / rate for take in room["takes"]]
        assert sorted(lengths) == pytest.approx([7.0, 10.24], abs=0.02), "each as it was made; the player adds silence"
        assert room["faces"][0]["difference"] is not None
