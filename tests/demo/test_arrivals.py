"""What comes onto the page: every file by one door, refused without losing anything, and words that stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import soundfile
from PIL import Image
from playwright.sync_api import expect

from demo.opening import LARGE_PICTURE_BYTES
from tests.demo.browser import compose, drop, settle, upload, write

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def strange(tmp_path_factory, sunset) -> dict[str, Path]:
    """Files that browsers do not show, and files that are no pictures."""
    folder = tmp_path_factory.mktemp("strange")
    paths = {name: folder / name for name in ("photo.tiff", "photo.heic", "noise.wav", "notes.mid", "broken.png")}
    sunset.save(paths["photo.tiff"])
    pillow_heif.from_pillow(sunset.resize((128, 96))).save(paths["photo.heic"])
    soundfile.write(paths["noise.wav"], np.zeros(1000), 8000)
    paths["notes.mid"].write_bytes(b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60")
    paths["broken.png"].write_bytes(b"this is no picture")
    large = paths["large.jpg"] = folder / "large.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (2400, 2400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(large, quality=99, subsampling=0)
    assert LARGE_PICTURE_BYTES < large.stat().st_size < 50_000_000
    return paths


def test_what_cannot_be_used_is_refused_without_losing_what_was_there(studio, visit, pictures, strange):
    with visit(studio) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp", seed="1")
        compose(page)
        before = page.locator("#picture img").get_attribute("src")
        for name, said in (
            ("broken.png", "broken.png is not a picture"),
            ("noise.wav", "noise.wav cannot be opened here"),
            ("notes.mid", "cannot begin from notes"),
        ):
            drop(page, strange[name])
            expect(page.locator("#status .is-error")).to_contain_text(said)
            expect(page.locator("#status h2")).to_have_text("Nothing was changed")
            expect(page.locator("#picture img")).to_have_attribute("src", before)
            expect(page.locator("#caption textarea")).to_have_value("Harp")
            expect(page.locator("#player .pl-take")).to_have_count(2)


def test_every_kind_of_picture_is_seen_and_large_ones_are_made_smaller(studio, visit, strange, studio_engine):
    with visit(studio) as page:
        seen = None
        for name in ("photo.tiff", "photo.heic", "large.jpg"):
            drop(page, strange[name])
            image = page.locator("#picture img")
            expect(image).to_be_visible()
            if seen is not None:
                expect(image).not_to_have_attribute("src", seen)
            seen = image.get_attribute("src")
            page.wait_for_function("document.querySelector('#picture img').naturalWidth > 0")
        write(page, "Harp", seed="2")
        compose(page)
        assert max(studio_engine.settings[-1].image.size) <= 2048


def test_words_that_somebody_typed_stay_and_an_examples_words_go_with_it(studio, visit, pictures):
    with visit(studio) as page:
        caption, example = page.locator("#caption textarea"), page.locator("#examples .thumbnail-item").first
        example.click()
        expect(caption).to_have_value("A quick flute")
        drop(page, pictures[0])
        expect(caption).to_have_value("")
        caption.fill("My own harp")
        settle(page)
        example.click()
        offer = page.locator("#example-words")
        expect(offer).to_contain_text("Use its words: A quick flute")
        expect(caption).to_have_value("My own harp")
        offer.click()
        expect(caption).to_have_value("A quick flute")
        expect(offer).to_contain_text("Change the words back")
        offer.click()
        expect(caption).to_have_value("My own harp")
