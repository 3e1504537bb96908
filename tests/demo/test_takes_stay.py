"""Takes are never lost or mixed up: what is shown, played and downloaded is one and the same take, and it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from tests.demo.browser import compose, drop, heard, listening, play, reopened, upload, write

pytestmark = pytest.mark.browser


def make(page, pictures, caption: str, seed: str) -> None:
    upload(page, str(pictures[0]))
    write(page, caption, seed=seed)
    compose(page)


def download(page, kind: str, folder: Path, take: int = 0) -> Path:
    page.locator("#keep-take label").nth(take).click()
    page.locator("#keep-format input").click()
    page.get_by_role("option", name=kind, exact=True).click()
    with page.expect_download() as wanted:
        page.locator("#download").click()
    path = folder / wanted.value.suggested_filename
    wanted.value.save_as(path)
    return path


def first_seconds(path: Path) -> np.ndarray:
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1)[:32000]


def is_the_same(page, path: Path) -> bool:
    """Whether what plays as take A is what a file holds."""
    ours, theirs = np.asarray(heard(page, 0)), first_seconds(path)
    return np.abs(ours[: len(theirs)] - theirs[: len(ours)]).max() < 1e-3


@pytest.fixture(scope="module")
def files(studio, visit, pictures, tmp_path_factory) -> dict[str, Path]:
    """One take, downloaded."""
    folder = tmp_path_factory.mktemp("downloads")
    with visit(studio) as page:
        make(page, pictures, "Hârp; rm -rf", "11")
        found = {kind: download(page, kind, folder) for kind in ("FLAC", "MP4", "JSON")}
    assert found["FLAC"].name == "harp-rm-rf-seed11-with-image.flac"
    return found


def test_a_dropped_file_plays_at_once_and_is_what_is_downloaded(studio, visit, pictures, files, tmp_path):
    with visit(studio) as page:
        write(page, "A loud trumpet", seed="5")
        compose(page)
        other = first_seconds(download(page, "WAV", tmp_path))
        for kind in ("FLAC", "MP4"):
            drop(page, files[kind])
            reopened(page)
            expect(page.locator("#caption textarea")).to_have_value("Hârp; rm -rf")
            expect(page.locator("#keep-take label")).to_have_text(["A · Picture and words"])
            expect(page.locator("#player .pl-take")).to_have_text(["APicture and words"])
            ours = np.asarray(heard(page, 0))
            assert np.abs(ours[:30000] - other[:30000]).max() > 0.05, "the take from before does not play on"
        drop(page, files["FLAC"])
        reopened(page)
        assert is_the_same(page, files["FLAC"]) and is_the_same(page, download(page, "WAV", tmp_path))
        page.get_by_text("Recipe: every setting").click()
        expect(page.locator("#recipe")).to_contain_text("rm -rf")
        play(page)
        page.locator("#advanced > button").click()
        for control, value in (("steps", "25"), ("synapse", "100"), ("seed", "11")):
            expect(page.locator(f"#{control} input").first).to_have_value(value)


def test_a_dropped_recipe_leaves_no_other_music_on_the_stage(studio, visit, pictures, files):
    with visit(studio) as page:
        write(page, "A loud trumpet", seed="5")
        compose(page)
        drop(page, files["JSON"])
        expect(page.locator("#status")).to_contain_text("A recipe, not yet music")
        expect(page.locator("#player .player")).to_be_hidden()
        expect(page.locator("#keep")).to_be_hidden()
        expect(page.locator("#caption textarea")).to_have_value("Hârp; rm -rf")
        compose(page)


def test_a_reload_reopens_the_last_take_with_sound_and_picture(studio, visit, pictures, studio_server, tmp_path):
    with visit(studio) as page:
        make(page, pictures, "First harp", "21")
        before = download(page, "FLAC", tmp_path)
        made = len(studio_server.engine.settings)
        page.reload()
        reopened(page)
        assert is_the_same(page, before) and len(studio_server.engine.settings) == made, "nothing was computed"
        expect(page.locator("#caption textarea")).to_have_value("First harp")
        expect(page.locator("#status")).to_contain_text("The picture is the very one")
        studio_server.forget()  # as after a restart: now the browser alone has them
        page.reload()
        reopened(page)
        expect(page.locator("#status")).to_contain_text("The picture is the very one")
        expect(page.locator("#player .pl-take")).to_have_text(["APicture and words", "BWords alone"])
        assert is_the_same(page, before) and is_the_same(page, download(page, "WAV", tmp_path))
        compose(page)
        again = studio_server.engine.settings[-1]
        assert (again.seed, again.caption) == (21, "First harp")
        assert again.image == studio_server.engine.settings[made - 1].image, "the picture is whole, not a small copy"


def test_takes_have_names_and_stars_and_the_oldest_make_room(studio, visit):
    with visit(studio) as page:
        for caption, seed in (("One", "1"), ("Two", "2")):
            write(page, caption, seed=seed)
            compose(page)
        page.locator("#history-box > summary").click()
        rows = page.locator("#history li")
        expect(rows).to_have_count(2)
        rows.nth(1).locator(".history-star").click()
        expect(rows.nth(1).locator(".history-star")).to_have_attribute("aria-pressed", "true")
        rows.nth(1).locator(".history-rename").click()
        page.locator(".history-name").fill("My <b>first</b>")
        page.keyboard.press("Enter")
        expect(rows.nth(1)).to_contain_text("My <b>first</b>")
        page.evaluate("() => { navigator.storage.estimate = async () => ({quota: 1}); }")
        write(page, "Three", seed="3")
        compose(page)
        expect(page.locator("#history")).to_contain_text("no room")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("My <b>first</b>")
        expect(page.locator("#history-clear")).to_be_hidden()  # it spares what has a star
        rows.nth(0).locator(".history-restore").click()
        reopened(page)
        expect(page.locator("#caption textarea")).to_have_value("One")
        rows.nth(0).locator(".history-remove").click()
        expect(page.locator("#history")).to_contain_text("Nothing yet")


def test_the_old_take_plays_until_the_new_one_is_there_and_stop_leaves_it(studio, visit, studio_server):
    with visit(studio) as page:
        write(page, "Old harp", seed="31")
        compose(page)
        play(page)
        studio_server.engine.hold_at = 2
        try:
            write(page, "New flute")
            page.locator("#compose").click()
            expect(page.locator("#status")).to_contain_text("Step 2 of 25")
            expect(page.locator("#player .pl-mel img").first).to_be_visible()
            assert listening(page)["playing"], "the old take plays on"
            expect(page.locator("#keep")).to_be_visible()
            page.locator("#stop").click()
            expect(page.locator("#status")).to_contain_text("Stopped")
            assert listening(page)["playing"]
            expect(page.locator("#preview img")).to_have_count(0)
            page.get_by_text("Recipe: every setting").click()
            expect(page.locator("#recipe")).to_contain_text("Old harp")
        finally:
            studio_server.engine.hold_at = None
        compose(page)
        expect(page.locator("#recipe")).to_contain_text("New flute")
        assert not listening(page)["playing"]


def test_after_a_shuffled_vote_the_letters_are_those_of_the_downloads(studio, visit, pictures, votes_file):
    with visit(studio) as page:
        page.evaluate("() => { crypto.getRandomValues = (numbers) => numbers.fill(0); }")  # deals B, A
        make(page, pictures, "Blind harp", "41")
        page.locator(".pl-blind input").check()
        assert listening(page)["letters"] == ["Words alone", "Picture and words"], "dealt the other way round"
        play(page)
        expect(page.locator(".pl-heard").nth(0)).to_have_class("pl-heard is-enough")
        page.keyboard.press("b")
        page.locator(".pl-choices button[data-choice='A']").click()
        expect(page.locator(".pl-said")).to_contain_text("Your choice: A is better")
        expect(page.locator(".pl-said")).to_contain_text("A in the test was: Words alone, which is B here")
        line = json.loads(votes_file.read_text().splitlines()[-1])
        assert line["preferred"] == "text_only" and line["order"] == ["text_only", "with_image"]
        expect(page.locator(".pl-take")).to_have_text(["APicture and words", "BWords alone"])
        expect(page.locator("#keep-take label")).to_have_text(["A · Picture and words", "B · Words alone"])
        assert listening(page)["letters"] == ["Picture and words", "Words alone"]
        assert listening(page)["current"] == 0, "what was heard is heard on"
        captions = page.locator("#player .pl-stage figcaption")
        expect(captions).to_have_text(["A Picture and words", "B Words alone"])
