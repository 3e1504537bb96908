"""The listening room in a real browser: one clock for all takes, blind votes, one audible take at a time."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.demo.browser import compose, fill, listening, play, upload, write

pytestmark = pytest.mark.browser

# Position before and after a switch, and how far the audio clock went meanwhile.
SWITCH_AND_READ = """(letter) => {
  const player = document.querySelector('#player .player');
  const room = player.parentElement.listening;
  const start = room.state().contextTime;
  const before = room.position();
  player.dispatchEvent(new KeyboardEvent('keydown', {key: letter, bubbles: true, cancelable: true}));
  const after = room.position();
  return [before, after, room.state().contextTime - start, room.state().current];
}"""


# How the spectrograms are drawn: dimmed or filtered at any level, and which of them is outlined.
DRAWN = """() => [...document.querySelectorAll('#player .pl-mel .pl-picture')].map((frame) => {
  const changed = [];
  for (let node = frame.querySelector('img'); node; node = node.parentElement) {
    const style = getComputedStyle(node);
    const plain = style.opacity === '1' && style.filter === 'none' && style.mixBlendMode === 'normal';
    if (!plain) changed.push(node.className);
  }
  return [changed, getComputedStyle(frame).outlineStyle];
})"""


def pair(page, pictures) -> None:
    upload(page, str(pictures[0]))
    write(page, "A slow piano", seed="7")
    compose(page)


def test_switching_keeps_the_position_and_one_take_is_heard(studio, visit, pictures):
    with visit(studio) as page:
        pair(page, pictures)
        assert listening(page, "state().seconds") == pytest.approx(10.24)
        play(page)
        for letter, index in (("b", 1), ("a", 0), ("B", 1)):
            before, after, passed, current = page.evaluate(SWITCH_AND_READ, letter)
            assert current == index
            assert 0 <= after - before <= passed + 1e-6, "switching moved the position"
        page.wait_for_function(
            "() => { const [a, b] = document.querySelector('#player .player').parentElement.listening.state().gains;"
            " return a < 0.001 && b > 0.999; }"
        )
        assert listening(page)["sources"] == 2, "both takes run on, one of them audible"
        page.locator(".pl-play").click()
        held = listening(page, "position()")
        before, after, _, _ = page.evaluate(SWITCH_AND_READ, "a")
        assert before == after == held, "at rest nothing moves"
        assert listening(page)["sources"] == 0


def test_all_takes_keep_the_colours_of_the_common_scale(studio, visit, pictures):
    with visit(studio) as page:
        pair(page, pictures)
        assert page.evaluate(DRAWN) == [[[], "solid"], [[], "none"], [[], "none"]], "A, B and the difference"
        page.locator("#player .player").press("b")
        assert page.evaluate(DRAWN) == [[[], "none"], [[], "solid"], [[], "none"]], "an outline says which is heard"


def test_a_click_on_the_spectrogram_moves_there_and_the_keyboard_plays(studio, visit, pictures):
    with visit(studio) as page:
        pair(page, pictures)
        box = page.locator(".pl-mel .pl-picture").nth(1).bounding_box()
        page.locator(".pl-mel .pl-picture").nth(1).click(position={"x": box["width"] / 2, "y": 20})
        assert listening(page, "position()") == pytest.approx(5.12, abs=0.05)
        assert listening(page)["current"] == 1, "the take that was clicked is heard"
        page.locator(".pl-seek").focus()
        page.keyboard.press("ArrowRight")
        assert listening(page, "position()") == pytest.approx(6.12, abs=0.05)
        page.locator(".pl-seek").press(" ")
        page.wait_for_function("document.querySelector('#player .player').parentElement.listening.state().playing")
        page.keyboard.press(" ")
        page.wait_for_function("!document.querySelector('#player .player').parentElement.listening.state().playing")
        for name in ("A minus B", "Picture and words", "Words alone"):
            expect(page.locator("#player figcaption", has_text=name)).to_be_visible()
        assert all(len(alt) > 20 for alt in page.locator("#player img").evaluate_all("(all) => all.map((i) => i.alt)"))


def test_a_blind_vote_is_written_once_and_then_the_takes_are_named(studio, visit, pictures, votes_file):
    with visit(studio) as page:
        pair(page, pictures)
        page.locator(".pl-blind input").check()
        room = page.locator("#player")
        expect(room.locator(".pl-mel, .pl-take img")).to_have_count(0)
        assert "ords" not in room.locator(".pl-switch").inner_text(), "the hidden takes are not named"
        expect(page.locator("#keep")).to_be_hidden()
        better = page.locator(".pl-choices button[data-choice='B']")
        expect(better).to_be_disabled()
        play(page)
        expect(page.locator(".pl-heard").nth(0)).to_have_class("pl-heard is-enough")
        expect(better).to_be_disabled()
        page.locator(".pl-take").nth(1).click()
        expect(better).to_be_enabled()
        page.locator(".pl-comment").fill("warmer <b>")
        better.dblclick()
        expect(page.locator(".pl-said")).to_contain_text("your vote is kept")
        expect(page.locator("#keep")).to_be_visible()
        [line] = [json.loads(line) for line in votes_file.read_text().splitlines()]
        titles = {"with_image": "Picture and words", "text_only": "Words alone"}
        for letter, name in zip("AB", line["order"], strict=True):
            expect(page.locator(".pl-said")).to_contain_text(f"{letter} in the test was: {titles[name]}")
        assert line["preferred"] == line["order"][1] and line["comment"] == "warmer <b>"
        assert line["known_before"] is False and min(line["listened_s"]) >= 0.2
        assert line["recipes"]["with_image"]["seed"] == 7
        again = page.evaluate(
            """async () => {
              const room = document.querySelector('#player .player').parentElement.listening.state();
              return room.voted;
            }"""
        )
        assert again is True
        expect(page.locator(".pl-choices")).to_have_count(0)


def test_plots_have_a_shared_scale_an_axis_and_say_where_little_changed(studio, visit, pictures):
    with visit(studio) as page:
        pair(page, pictures)
        legends = page.locator("#player .legend").all_inner_texts()
        low, high = (int(level.replace("−", "-")) for level in re.findall(r"([+−]\d+) dB", legends[0]))
        assert 20 <= high - low <= 60, "the colours are used for what is there"
        assert "12 dB either way" in legends[1]
        places = page.locator("#player .pl-stage .pl-axis").first.locator("span").all_inner_texts()
        assert places == ["0", "2", "4", "6", "8", "10"]
        top = "(element) => element.getBoundingClientRect().top"
        play_bar, seek_bar, plots = (page.locator(name).evaluate(top) for name in (".pl-bar", ".pl-seek", ".pl-stage"))
        assert play_bar < seek_bar < plots and seek_bar - play_bar < 90, "the seek bar lies right under Play"
        expect(page.locator(".pl-little")).to_have_count(0)
        fill(page, "synapse", "0")
        compose(page)
        expect(page.locator(".pl-little")).to_contain_text("The picture changed little here")
        expect(page.locator(".pl-alike")).to_contain_text("nearly the same")
