"""The page in a real browser, from the upload to the sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from demo.engine import PipelineEngine
from demo.service import StudioService
from demo.ui import build_demo
from tests.demo.browser import PHONE, compose, fill, listening, play, upload, write
from tests.demo.conftest import serving

pytestmark = pytest.mark.browser


def overflow(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def test_from_upload_to_music(studio, visit, pictures, studio_engine):
    with visit(studio) as page:
        upload(page, str(pictures[0]))
        write(page, "A slow <b>piano</b>", seed="7")
        compose(page)
        assert listening(page, "state().seconds") == pytest.approx(10.24, abs=0.01)
        plots = page.locator("#player .pl-picture img")
        expect(plots).to_have_count(3)
        for index in range(3):
            assert plots.nth(index).evaluate("(image) => image.naturalWidth") == 640
        expect(page.locator("#status")).to_contain_text("same loudness")
        expect(page.locator("#status")).to_contain_text("7")
        play(page)
        page.locator("#keep-seed").click()
        page.locator("#advanced > button").click()
        expect(page.locator("#seed input")).to_have_value("7")
        studio_engine.hold_at = 2
        try:
            page.locator("#compose").click()
            expect(page.locator("#status")).to_contain_text("Step 2 of 25")
            assert listening(page)["playing"], "the old take plays on until the new one is there"
        finally:
            studio_engine.hold_at = None
        expect(page.locator("#status .is-done")).to_be_visible()


def test_words_alone_and_picture_alone(studio, visit, studio_engine):
    with visit(studio) as page:
        write(page, "Harp")
        compose(page)
        expect(page.locator("#status")).to_contain_text("No picture was given")
        assert studio_engine.settings[-1].seed > 1, "a seed is drawn where none is chosen"
        expect(page.locator("#player .pl-take")).to_have_count(1)
        page.locator("#examples .thumbnail-item").first.click()
        expect(page.locator("#picture img")).to_be_visible()
        page.locator("#example-words").click()  # typed words stay until the example's are asked for
        expect(page.locator("#caption textarea")).to_have_value("A quick flute")
        page.locator("#caption textarea").fill("")
        page.locator("#compose").click()
        expect(page.locator("#status")).to_contain_text("No words were given")
        expect(page.locator("#player .pl-take")).to_contain_text("Picture alone")


def test_synapse_at_zero_is_said(studio, visit, pictures):
    with visit(studio) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp")
        fill(page, "synapse", "0")
        compose(page)
        expect(page.locator("#status")).to_contain_text("The picture is set to 0 %")


def test_steps_and_presets_follow_each_other(studio, visit, studio_engine):
    with visit(studio) as page:
        page.locator("#quality label", has_text="Draft").click()
        page.locator("#advanced > button").click()
        steps = page.locator("#steps input[type=number]")
        expect(steps).to_have_value("10")
        fill(page, "steps", "3")
        expect(page.locator("#quality input:checked")).to_have_count(0)
        write(page, "Harp")
        compose(page)
        assert studio_engine.settings[-1].num_inference_steps == 3
        page.locator("#random-seed").click()
        expect(page.locator("#seed input")).to_have_value(re.compile(r"\d+"))
        page.locator("#new-seed").click()
        expect(page.locator("#seed input")).to_have_value("-1")


def test_stop_midway_and_compose_again(studio, visit, studio_engine):
    studio_engine.hold_at = 5
    try:
        with visit(studio) as page:
            page.locator("#compose").click()
            expect(page.locator("#status .is-error")).to_be_visible()
            write(page, "Harp")
            page.locator("#compose").click()
            expect(page.locator("#status")).to_contain_text("Step 5 of 25")
            expect(page.locator("#preview img")).to_have_attribute("alt", re.compile("taking shape"))
            page.locator("#stop").click()
            expect(page.locator("#status")).to_contain_text("Stopped")
            assert studio_engine.closed.wait(20), "the model went on after Stop"
            expect(page.locator("#preview img")).to_be_visible()
            studio_engine.hold_at = None
            compose(page)
    finally:
        studio_engine.hold_at = None


def test_mistakes_are_explained(studio, visit, pictures):
    with visit(studio) as page:
        page.locator("#compose").click()
        expect(page.locator("#status .is-error")).to_contain_text("Give a picture, a few words, or both")
        page.locator("#picture input[type=file]").set_input_files(str(pictures[2]))
        expect(page.locator("#status .is-error")).to_contain_text("broken.png is not a picture")
        expect(page.get_by_text("Traceback")).to_have_count(0)


def test_mistakes_are_shown_at_their_controls_without_waiting_for_a_turn(studio, visit, pictures, studio_engine):
    studio_engine.hold_at = 2
    try:
        with visit(studio) as other, visit(studio, PHONE) as page:
            write(other, "Harp")
            other.locator("#compose").click()
            expect(other.locator("#status")).to_contain_text("Step 2 of 25")
            note = page.locator(".field-error")
            page.locator("#compose").click()
            expect(page.locator("#caption .field-error")).to_contain_text("Give a picture, a few words, or both")
            caption = page.locator("#caption textarea")
            expect(caption).to_be_focused()
            expect(caption).to_have_attribute("aria-invalid", "true")
            caption.fill("Harp")
            expect(note).to_have_count(0)
            page.locator("#advanced > button").click()
            page.locator("#seed input").fill("99999999999")
            page.locator("#seed input").press("Tab")
            page.locator("#advanced > button").click()
            page.locator("#compose").click()
            expect(page.locator("#seed .field-error")).to_have_text(
                "The seed must be from 0 to 4294967295; it is 99999999999."
            )
            expect(page.locator("#seed input")).to_be_focused()
            assert overflow(page) <= 0
            page.locator("#seed input").fill("5")
            expect(note).to_have_count(0)
            page.locator("#picture input[type=file]").set_input_files(str(pictures[2]))
            expect(page.locator("#picture .field-error")).to_contain_text("broken.png is not a picture")
            expect(page.locator("#status .is-error")).to_contain_text("broken.png is not a picture")
            expect(page.locator(".toast-wrap .error")).to_have_count(0)
            assert len(studio_engine.settings) == 1 or studio_engine.settings[-1].seed != 5
            studio_engine.hold_at = None
            expect(other.locator("#status .is-done")).to_be_visible()
    finally:
        studio_engine.hold_at = None


def test_an_accident_is_not_shown_in_detail(studio, visit, studio_engine, monkeypatch):
    def fail(settings):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(studio_engine, "render", fail)
    with visit(studio) as page:
        write(page, "Harp")
        page.locator("#compose").click()
        expect(page.locator("#status .is-error")).to_contain_text("went wrong")
        expect(page.get_by_text("secret detail")).to_have_count(0)


def test_a_phone_needs_no_sideways_scrolling(studio, visit, pictures):
    with visit(studio, PHONE) as page:
        assert overflow(page) <= 0
        seen = "(button) => button.getBoundingClientRect().bottom <= window.innerHeight"
        assert page.locator("#compose").evaluate(seen), "Compose is always at hand"
        upload(page, str(pictures[0]))
        write(page, "A slow piano")
        compose(page)
        assert overflow(page) <= 0
        for box in ("chips-box", "explore", "region", "advanced"):
            page.locator(f"#{box} > button").click()
        page.locator("#history-box > summary").click()
        page.locator("#explore-dose").click()
        expect(page.locator("#player .pl-mel")).to_have_count(4)
        assert overflow(page) <= 0
        page.locator("#compose").click()
        expect(page.locator("#player .pl-mel")).to_have_count(3)
        page.wait_for_function(
            "() => Math.abs(document.querySelector('#status').getBoundingClientRect().top - 12) < 2"
        )


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark_can_be_read(studio, visit, dark):
    with visit(studio, PHONE, dark) as page:
        assert page.locator("body").evaluate("(body) => body.classList.contains('dark')") == dark
        colours = page.locator("#synapse").evaluate(
            "(block) => [getComputedStyle(block).color, getComputedStyle(block).backgroundColor]"
        )
        text, paper = (sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3 for colour in colours)
        assert (text > paper) == dark and abs(text - paper) > 150
        assert overflow(page) <= 0


def test_every_control_has_a_visible_label_or_name(studio, visit):
    with visit(studio) as page:
        page.locator("#advanced > button").click()
        for box in ("chips-box", "explore", "region"):
            page.locator(f"#{box} > button").click()
        page.locator("#history-box > summary").click()
        for label in (
            "Words",
            "How much the picture is heard",
            "Quality",
            "Text guidance",
            "Image guidance",
            "Guidance until",
            "Soften guidance",
            "Steps",
            "Length",
            "Words to steer away from",
            "Seed",
            "How many takes",
            "Size of the part",
        ):
            expect(page.locator("span", has_text=re.compile(f"^\\s*{label}")).first).to_be_visible()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('main button, main input, main textarea')].filter((element) =>
              element.offsetParent && !(element.innerText || element.ariaLabel || element.title
              || element.labels?.length || element.getAttribute('aria-labelledby'))).map((e) => e.outerHTML)"""
        )
        assert not nameless
        assert page.evaluate(
            "[...document.querySelectorAll('img')].every((image) => image.alt || image.closest('.history'))"
        )


def test_the_real_pipeline_plays_on_the_page(visit, tiny_pipeline, pictures):
    engine = PipelineEngine(tiny_pipeline, "tiny", "0" * 64)
    with serving(build_demo(StudioService(engine))) as url, visit(url) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp")
        compose(page)
        assert page.locator(".pl-picture img").nth(1).evaluate("(image) => image.naturalWidth") > 100


@pytest.mark.checkpoint
def test_the_shipped_model_plays_on_the_page(visit, pictures):
    folder = Path(__file__).resolve().parents[2] / "checkpoints" / "melfusion-mini"
    if not (folder / "model_index.json").is_file():
        pytest.skip("the weights of melfusion-mini are not here")
    service = StudioService(PipelineEngine.from_folder(folder))
    with serving(build_demo(service)) as url, visit(url) as page:
        page.locator("#advanced > button").click()
        for control, value in (("steps", "2"), ("duration", "2.56")):
            fill(page, control, value)
        upload(page, str(pictures[0]))
        page.locator("#caption textarea").fill("A slow piano")
        compose(page, timeout_ms=120_000)
        assert listening(page, "state().seconds") == pytest.approx(2.56, abs=0.01)
        assert page.locator(".pl-picture img").first.evaluate("(image) => image.naturalWidth") == 160
        play(page)
