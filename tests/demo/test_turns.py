"""One request at a time, seeds in sight, experiments that go on from what is heard, and keys that work everywhere."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.demo.browser import compose, fill, listening, play, settle, upload, write

pytestmark = pytest.mark.browser


def test_compose_while_composing_is_noted_and_follows(studio, visit, studio_engine):
    with visit(studio) as page:
        stop = page.locator("#stop")
        expect(stop).to_be_disabled()
        studio_engine.hold_at = 2
        try:
            write(page, "First", seed="1")
            page.locator("#compose").click()
            expect(page.locator("#status")).to_contain_text("Step 2 of 25")
            expect(stop).to_be_enabled()
            made = len(studio_engine.settings)
            page.locator("#caption textarea").fill("Second")
            page.locator("#compose").click()
            expect(page.locator("#turns")).to_contain_text("the next one begins when this one is done")
            expect(page.locator("#status")).to_contain_text("Step 2 of 25")
            studio_engine.hold_at = None
            expect(page.locator("#history li")).to_have_count(2)
            assert [settings.caption for settings in studio_engine.settings[made - 1 :]] == ["First", "Second"]
            expect(page.locator("#turns .turn-note")).to_have_text("")
            studio_engine.hold_at = 2
            page.locator("#compose").click()
            expect(page.locator("#status")).to_contain_text("Step 2 of 25")
            page.locator("#compose").click()
            expect(page.locator("#turns")).to_contain_text("Noted")
            made = len(studio_engine.settings)
            stop.click()
            expect(page.locator("#status")).to_contain_text("Stopped")
            expect(page.locator("#turns .turn-note")).to_have_text("")
            expect(stop).to_be_disabled()
            settle(page)
            assert len(studio_engine.settings) == made, "Stop ends both"
        finally:
            studio_engine.hold_at = None


def test_the_seed_is_in_sight_and_experiments_go_on_from_the_stage(studio, visit, studio_engine, pictures):
    with visit(studio) as page:
        lock = page.locator("#seed-lock")
        expect(lock).to_contain_text("New seed")
        upload(page, str(pictures[0]))
        write(page, "Harp")
        compose(page)
        seed = studio_engine.settings[-1].seed
        page.locator("#explore > button").click()
        page.locator("#explore-dose").click()
        expect(page.locator("#player .pl-take")).to_have_count(4)
        assert [settings.seed for settings in studio_engine.settings[-4:]] == [seed] * 4
        page.locator("#explore-takes").click()
        expect(page.locator("#player .pl-take")).to_have_count(3)
        first, *others = (settings.seed for settings in studio_engine.settings[-3:])
        assert first == seed and len({seed, *others}) == 3
        expect(page.locator("#status")).to_contain_text(str(seed))
        page.locator("#swap-examples .thumbnail-item").first.click()
        expect(page.locator(".pl-take")).to_have_text(["AYour picture", "BThe other picture"])
        assert [settings.seed for settings in studio_engine.settings[-2:]] == [seed] * 2
        thumbnails = page.locator(".pl-take .pl-thumbnail")
        expect(thumbnails).to_have_count(2)
        assert thumbnails.nth(0).get_attribute("src") != thumbnails.nth(1).get_attribute("src")
        lock.click()
        expect(lock).to_contain_text(f"Seed {seed} kept")
        compose(page)
        assert studio_engine.settings[-1].seed == seed
        lock.click()
        expect(lock).to_contain_text("New seed")
        page.locator("#history-box > summary").click()
        page.locator("#history li").last.locator(".history-restore").click()
        expect(page.locator("#status")).to_contain_text("Its seed is kept")
        expect(lock).to_contain_text(f"Seed {seed} kept")


def test_keys_work_wherever_the_focus_is_but_not_in_fields(studio, visit, pictures):
    playing = "document.querySelector('#player .player').parentElement.listening.state().playing"
    with visit(studio, (1280, 620)) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp", seed="3")
        compose(page)
        page.evaluate("document.activeElement.blur()")
        top = page.evaluate("scrollY")
        page.keyboard.press(" ")
        page.wait_for_function(playing)
        settle(page)
        assert page.evaluate("scrollY") == top, "Space never scrolls while there is a take"
        page.keyboard.press("b")
        assert listening(page)["current"] == 1
        page.keyboard.press(" ")
        page.wait_for_function(f"!{playing}")
        before = listening(page, "position()")
        page.keyboard.press("ArrowRight")
        assert listening(page, "position()") == pytest.approx(before + 1, abs=0.05)
        page.locator("#keep-take label").first.click()
        page.keyboard.press("a")
        assert listening(page)["current"] == 0, "on a control that is no field"
        page.locator("#explore > button").click()
        page.keyboard.press(" ")
        page.wait_for_function(playing)
        expect(page.locator("#explore-dose")).to_be_visible()
        caption = page.locator("#caption textarea")
        caption.focus()
        page.keyboard.type(" b ")
        expect(caption).to_have_value(re.compile("Harp b $|Harp b"))
        assert listening(page)["playing"] and listening(page)["current"] == 0
        page.locator("#synapse input[type=range]").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#synapse input[type=number]")).to_have_value("95")
        page.locator(".pl-play").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press(" ")
        page.wait_for_function(f"!{playing}")


def test_notes_of_the_score_engine_are_seen_forming_and_heard(visit, score_studio, pictures):
    with visit(score_studio) as page:
        page.locator("#advanced > button").click()
        for control, value in (("steps", "4"), ("duration", "5.12")):
            fill(page, control, value)
        upload(page, str(pictures[0]))
        page.locator("#caption textarea").fill("A slow piano, 120 bpm")
        compose(page, timeout_ms=120_000)
        plots = page.locator("#player .pl-stage .pl-mel.is-notes img")
        expect(plots).to_have_count(2)
        expect(plots.first).to_have_attribute("alt", re.compile("Piano roll of take A"))
        expect(page.locator(".pl-faces button[aria-pressed=true]")).to_have_text("Notes")
        box = page.locator(".pl-mel .pl-picture").nth(1).bounding_box()
        page.locator(".pl-mel .pl-picture").nth(1).click(position={"x": box["width"] / 2, "y": 20})
        seconds = listening(page, "state().seconds")
        assert listening(page, "position()") == pytest.approx(seconds / 2, abs=0.1) and listening(page)["current"] == 1
        page.locator(".pl-faces button", has_text="Sound").click()
        expect(page.locator("#player .pl-mel.is-sound img")).to_have_count(3)
        play(page)
        assert len(set(listening(page)["lengths"])) == 1, "they run in step"
        page.reload()
        expect(page.locator("#player .pl-stage .pl-mel.is-notes img")).to_have_count(2)
