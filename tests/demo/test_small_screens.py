"""On a phone: the player right after Compose, which is always at hand; nothing covered, everything large enough."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.demo.browser import PHONE, compose, settle, upload, write

pytestmark = pytest.mark.browser

# Places of elements from top to bottom, as they are met when one scrolls.
ORDER = """(names) => names.map((name) => document.querySelector(name).getBoundingClientRect().top)"""
# What can be touched and is too small for a finger, its label or row counted.
SMALL = """() => {
  const touched = 'button, summary, a[href], select, textarea, input:not([type=file])';
  const small = [];
  for (const element of document.querySelectorAll(`main :is(${touched})`)) {
    if (!element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
    const target = element.matches('[type=checkbox], [type=radio]') ? element.closest('label') ?? element : element;
    const {width, height} = target.getBoundingClientRect();
    if (width && Math.min(width, height) < 43.5) {
      const name = element.ariaLabel || element.innerText.slice(0, 20) || element.id;
      small.push(`${target.tagName} ${name} ${target.className.slice(0, 40)} ${width.toFixed()}x${height.toFixed()}`);
    }
  }
  return small;
}"""
# Fields that lie under the bar when they have the focus.
COVERED = """async () => {
  const covered = [];
  for (const field of document.querySelectorAll('#studio :is(input, textarea, button, summary)')) {
    if (!field.checkVisibility({checkOpacity: true}) || field.closest('#buttons')) continue;
    field.focus();
    field.scrollIntoView({block: 'nearest'});
    await new Promise((done) => requestAnimationFrame(done));
    const box = field.getBoundingClientRect(), bar = document.querySelector('#buttons').getBoundingClientRect();
    const under = box.height < 200 && box.bottom > bar.top + 1 && box.top < bar.bottom;
    if (under) covered.push(field.outerHTML.slice(0, 90));
  }
  return covered;
}"""


def test_the_player_follows_and_compose_is_always_at_hand(studio, visit, pictures):
    with visit(studio, PHONE) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp", seed="1")
        compose(page)
        places = page.evaluate(ORDER, ["#picture", "#caption", "#status", ".player", "#explore"])
        assert places == sorted(places), "picture, words, what happens, the player, and then everything else"
        expect(page.locator(".pl-bar .pl-thumbnail")).to_be_visible()
        page.locator("#keep").scroll_into_view_if_needed()
        expect(page.locator("#compose")).to_be_in_viewport(ratio=1)
        page.locator("#compose").click()
        expect(page.locator("#history li")).to_have_count(2)


def test_nothing_is_too_small_to_touch_or_covered(studio, visit, pictures):
    with visit(studio, PHONE) as page:
        upload(page, str(pictures[0]))
        write(page, "Harp", seed="1")
        compose(page)
        for box in ("chips-box", "explore", "region", "advanced"):
            page.locator(f"#{box} > button").click()
        page.locator("#history-box > summary").click()
        settle(page)
        assert page.evaluate(SMALL) == []
        assert page.evaluate(COVERED) == []
        page.set_viewport_size({"width": 1280, "height": 620})
        settle(page)
        assert page.evaluate(COVERED) == [], "nor on a laptop"
