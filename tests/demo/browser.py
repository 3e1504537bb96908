"""A headless Chromium and what a visitor does in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from playwright.sync_api import Page, expect, sync_playwright

from demo.examples import Example

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextlib.contextmanager
def chromium_page(program: str, size: tuple[int, int] = (1280, 900), reduced_motion: str = "reduce") -> Iterator[Page]:
    """Open a page in a new headless Chromium.

    Args:
        program: Path of Chromium.
        size: Width and height of the window in CSS pixels.
        reduced_motion: "reduce" or "no-preference".
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                reduced_motion=reduced_motion,
                is_mobile=size[0] < 600,
                has_touch=size[0] < 600,
            )
            context.set_default_timeout(20_000)
            yield context.new_page()
        finally:
            browser.close()


def compose_example(page: Page, examples: Sequence[Example], index: int, caption: str, seed: str) -> None:
    """Choose an example picture, write a caption and a seed and press Compose.

    Args:
        page: The studio.
        examples: As the studio got them.
        index: Which one to choose.
        caption: Words to write.
        seed: Seed to write.
    """
    if examples:
        page.locator("#examples button.thumbnail-item, #examples .thumbnail-item").nth(index).click()
        expect(page.locator("#picture img")).to_be_visible()
    page.locator("#caption textarea").fill(caption)
    page.locator("#advanced > button").click()
    page.locator("#seed input").fill(seed)
    page.locator("#advanced > button").click()
    page.locator("#compose").click()


def wait_for_result(page: Page, timeout_ms: float = 30_000) -> None:
    """Wait until a take is on the page.

    Args:
        page: The studio.
        timeout_ms: How long to wait in milliseconds.
    """
    expect(page.locator("#status .is-done")).to_be_visible(timeout=timeout_ms)
    expect(page.locator("#mel-a img")).to_be_visible()
