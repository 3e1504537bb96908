"""What a visitor can do besides composing: experiments, keeping, restoring, with the keyboard, and side by side."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect

from demo.engine import PipelineEngine
from demo.examples import load_examples
from demo.render_examples import render
from demo.service import StudioService
from demo.ui import build_demo
from melfusion_core.models.features import decoder_attention_names
from melfusion_core.models.scenes import SCENE_FOLDER, SceneClassifier, attention_norms
from tests.demo.browser import PHONE, compose, fill, listening, play, upload, write
from tests.demo.conftest import serving
from tests.demo.fakes import FakeEngine

pytestmark = pytest.mark.browser


def test_words_from_chips_and_from_the_picture(studio, visit, pictures):
    with visit(studio) as page:
        page.locator("#chips-box > button").click()
        chip = page.locator("#chips button[data-chip='harp']")
        chip.click()
        caption = page.locator("#caption textarea")
        expect(caption).to_have_value("harp")
        expect(chip).to_have_attribute("aria-pressed", "true")
        page.locator("#chips button[data-chip='slow']").click()
        expect(caption).to_have_value("harp, slow")
        chip.click()
        expect(caption).to_have_value("slow")
        upload(page, str(pictures[0]))
        expect(page.locator("#facts")).to_contain_text("Lightness")
        expect(page.locator("#facts")).not_to_contain_text("Looks like")
        expect(page.locator("#suggest")).to_contain_text("what the colours suggest")
        page.locator("#suggest").click()
        expect(caption).to_have_value(re.compile("^slow, .+, .+"))


def test_the_models_own_classifier_gives_the_scene(visit, make_tiny_pipeline, minilm, pictures, tmp_path):
    pipe = make_tiny_pipeline(text=minilm)
    pipe.save_pretrained(tmp_path / "model")
    size = 4 * sum(attention.to_k.out_features for attention in _decoder_attention(pipe.image_unet))
    head = {"labels": ["the sea", "a city"], "features": size, "image_norms": attention_norms(pipe.image_unet)}
    for threshold, said in ((0.6, True), (0.9, False)):
        classifier = SceneClassifier(**head, threshold=threshold)
        with torch.no_grad():
            classifier.linear.weight.zero_()
            classifier.linear.bias.copy_(torch.tensor([1.0, 0.0]))  # 73 % for the sea, whatever the picture
        classifier.save_pretrained(tmp_path / "model" / SCENE_FOLDER)
        engine = PipelineEngine.from_folder(tmp_path / "model")
        with serving(build_demo(StudioService(engine))) as url, visit(url) as page:
            upload(page, str(pictures[0]))
            expect(page.locator("#facts")).to_contain_text("Lightness")
            assert ("Looks like the sea." in page.locator("#facts").inner_text()) == said
            page.locator("#suggest").click()
            expect(page.locator("#caption textarea")).not_to_have_value("")
            assert page.locator("#caption textarea").input_value().endswith("music, like the sea") == said
    classifier.register_to_config(image_norms=[1.0])
    classifier.save_pretrained(tmp_path / "model" / SCENE_FOLDER)
    with pytest.raises(ValueError, match="another image model"):
        PipelineEngine.from_folder(tmp_path / "model")


def _decoder_attention(unet):
    names = decoder_attention_names(unet, "attn1")
    return [unet.get_submodule(name.removesuffix(".processor")) for name in names]


def test_experiments(studio, visit, pictures, studio_engine):
    with visit(studio) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp", seed="5")
        page.locator("#explore > button").click()
        fill(page, "num-takes", "2")
        page.locator("#explore-takes").click()
        expect(page.locator(".pl-take")).to_have_text(["ASeed 5", "BSeed 6"])
        page.locator("#explore-dose").click()
        doses = [f"{letter}Picture at {dose} %" for letter, dose in zip("ABCD", (0, 50, 100, 150), strict=True)]
        expect(page.locator(".pl-take")).to_have_text(doses)
        play(page)
        page.keyboard.press("d")
        assert listening(page)["current"] == 3
        page.locator("#swap-examples .thumbnail-item").first.click()
        expect(page.locator(".pl-take")).to_have_text(["AYour picture", "BThe other picture"])
        first, second = studio_engine.settings[-2:]
        assert (first.seed, first.caption) == (second.seed, second.caption) == (5, "Harp")
        assert first.image != second.image
        page.locator("#region > button").click()
        expect(page.locator("#region-view img")).to_be_visible()
        fill(page, "region-size", "50")
        frame = "(frame) => Math.round(100 * frame.offsetHeight / frame.parentElement.offsetHeight)"
        page.wait_for_function(f"() => ({frame})(document.querySelector('#region-view i')) === 50")
        page.locator("#compose").click()
        expect(page.locator("#status")).to_contain_text("Only the chosen part")
        assert studio_engine.settings[-1].image.width == min(first.image.size) // 2


def test_a_picture_from_the_clipboard_and_one_from_the_camera(studio, visit, studio_engine):
    with visit(studio) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write", "camera"])
        page.evaluate(
            """async () => {
              const canvas = Object.assign(document.createElement('canvas'), {width: 40, height: 30});
              canvas.getContext('2d').fillStyle = 'rgb(250, 10, 10)';
              canvas.getContext('2d').fillRect(0, 0, 40, 30);
              const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
              await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
            }"""
        )
        page.locator("#picture button[aria-label*='lipboard']").click()
        expect(page.locator("#facts")).to_contain_text("Lightness")
        write(page, "Harp")
        compose(page)
        assert studio_engine.settings[-1].image.size == (40, 30)
        page.locator("#picture button[aria-label='Clear'], #picture button[aria-label*='emove']").first.click()
        page.locator("#picture button[aria-label='Capture from camera']").click()
        page.locator("#picture button", has_text=re.compile("webcam", re.I)).click()
        page.locator("#picture video").wait_for()
        page.wait_for_function(  # before its first frame there is nothing to capture
            "() => { const video = document.querySelector('#picture video'); return video && video.currentTime > 0; }"
        )
        page.locator("#picture button[aria-label='capture photo']").click()
        expect(page.locator("#picture img")).to_be_visible()
        write(page, "Harp", seed="901")
        compose(page)
        expect(page.locator("#status .is-done")).to_contain_text("901")
        assert studio_engine.settings[-1].image.width > 100, "the camera's picture"


def test_with_the_keyboard_alone(studio, visit):
    def tab_to(page, selector: str) -> None:
        for _ in range(90):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached with Tab")

    with visit(studio) as page:
        tab_to(page, "#caption textarea")
        page.keyboard.type("Harp")
        tab_to(page, "#compose")
        page.keyboard.press("Enter")
        expect(page.locator("#player .pl-mel")).to_have_count(1)
        tab_to(page, ".pl-play")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "() => document.querySelector('#player .player').parentElement.listening.state().playing"
        )
        tab_to(page, ".pl-seek")
        page.keyboard.press(" ")
        assert not listening(page)["playing"]
        tab_to(page, "#keep-format input")


def test_two_visitors_do_not_see_each_other(studio, visit, studio_engine):
    studio_engine.hold_at = 2
    try:
        with visit(studio) as first, visit(studio, PHONE) as second:
            write(first, "First harp", seed="31")
            first.locator("#compose").click()
            expect(first.locator("#status")).to_contain_text("Step 2 of 25")
            write(second, "Second flute", seed="32")
            second.locator("#compose").click()
            expect(second.locator("#status")).to_contain_text("Waiting for a free moment")
            expect(second.locator("#status")).to_contain_text(re.compile("queue: 1/1|1/1"))
            made = len(studio_engine.settings)
            second.locator("#stop").click()
            expect(second.locator("#status")).to_contain_text("Stopped")
            studio_engine.hold_at = None
            expect(first.locator("#status .is-done")).to_contain_text("31")
            assert len(studio_engine.settings) == made, "what was stopped while waiting was never begun"
            expect(second.locator("#player .player")).to_be_hidden()
            compose(second)
            expect(second.locator("#status .is-done")).to_contain_text("32")
            expect(first.locator("#status .is-done")).to_contain_text("31")
            expect(first.locator("#history .history-restore", has_text="Second flute")).to_have_count(0)
    finally:
        studio_engine.hold_at = None


def test_the_first_page_plays_a_finished_example(visit, pictures, tmp_path):
    shutil.copy(pictures[1], tmp_path / "checkers.jpg")
    rows = [{"file": "checkers.jpg", "title": "Checkers", "caption": "A quick flute"}]
    (tmp_path / "examples.json").write_text(json.dumps(rows))
    render(StudioService(FakeEngine()), tmp_path, steps=1, seed=5)
    engine = FakeEngine()
    with serving(build_demo(StudioService(engine), load_examples(tmp_path))) as url, visit(url) as page:
        expect(page.locator("#player .pl-mel")).to_have_count(3)
        expect(page.locator("#caption textarea")).to_have_value("A quick flute")
        expect(page.locator("#status")).to_contain_text("Checkers: a finished example")
        play(page)
        assert not engine.settings, "nothing was computed"
        expect(page.locator(".pl-blind")).to_have_count(0)
        assert Path(load_examples(tmp_path)[0].takes[0]).is_file()
        page.locator("#history-box > summary").click()
        expect(page.locator("#history")).to_contain_text("Nothing yet")
        page.locator("#examples .thumbnail-item").click()
        expect(page.locator("#history li")).to_contain_text("A quick flute")
        page.reload()
        expect(page.locator("#status")).to_contain_text("Brought back")
