"""A headless Chromium and what a visitor does in it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ARGUMENTS += [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # a camera that shows a test card
DESKTOP, PHONE = (1280, 900), (390, 844)


class Chromium:
    """A headless Chromium, to be used in a ``with`` statement.

    Args:
        program: Path of Chromium.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        self._contexts: dict[tuple[tuple[int, int], bool, str], BrowserContext] = {}

    def __enter__(self) -> Chromium:
        self._playwright = sync_playwright().start()
        expect.set_options(timeout=30_000)
        self._browser = self._playwright.chromium.launch(executable_path=self.program, args=ARGUMENTS)
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()

    @contextlib.contextmanager
    def visit(
        self,
        url: str,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        fresh: bool = True,
        language: str = "en-GB",
    ) -> Iterator[Page]:
        """Open the studio in a window of its own and wait until it stands.

        Args:
            url: Address of the studio.
            size: Width and height of the window in CSS pixels; below 600 it is a phone.
            dark: Whether the visitor prefers dark pages.
            fresh: Whether the browser has kept nothing from earlier visits.
            language: Of the browser.
        """
        page = self._context(size, dark, language).new_page()
        try:
            if fresh:
                self._forget(page, url)
            page.goto(url)
            page.wait_for_selector("#compose")
            page.wait_for_selector("#status[aria-live]", state="attached")
            yield page
        finally:
            page.close()

    def _forget(self, page: Page, url: str) -> None:
        storage = page.context.new_cdp_session(page)
        storage.send("Storage.clearDataForOrigin", {"origin": url.rstrip("/"), "storageTypes": "indexeddb"})
        storage.detach()

    def _context(self, size: tuple[int, int], dark: bool, language: str) -> BrowserContext:
        """Windows of one kind share a profile, so that what the page consists of is loaded once."""
        if (size, dark, language) not in self._contexts:
            phone = size[0] < 600
            context = self._browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                locale=language,
                reduced_motion="reduce",
                is_mobile=phone,
                has_touch=phone,
            )
            context.set_default_timeout(30_000)
            self._contexts[size, dark, language] = context
        return self._contexts[size, dark, language]


def upload(page: Page, path: str) -> None:
    """Upload a picture and wait until the page shows it, or that it cannot.

    Args:
        page: The studio.
        path: File to upload.
    """
    page.locator("#picture input[type=file]").set_input_files(path)
    page.locator("#picture img").wait_for(state="attached")


def drop(page: Page, *paths: str | Path) -> None:
    """Drop files onto the page, as from a file manager.

    Args:
        page: The studio.
        paths: The files.
    """
    files = [[Path(path).name, base64.b64encode(Path(path).read_bytes()).decode()] for path in paths]
    page.evaluate(
        """(files) => {
          const data = new DataTransfer();
          for (const [name, text] of files) {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            data.items.add(new File([bytes], name));
          }
          const options = {dataTransfer: data, bubbles: true, cancelable: true};
          const target = document.querySelector('#caption');
          for (const type of ['dragenter', 'dragover', 'drop']) target.dispatchEvent(new DragEvent(type, options));
        }""",
        files,
    )


def reopened(page: Page) -> None:
    """Wait until a take is on the stage again and its sound has come.

    Args:
        page: The studio.
    """
    expect(page.locator("#status")).to_contain_text("Brought back")
    expect(page.locator("#player .pl-mel img").first).to_be_visible()


def heard(page: Page, take: int) -> list[float]:
    """Decode the first second of what the player holds, channels averaged.

    Args:
        page: The studio.
        take: Which take, from 0.

    Returns:
        Samples at 32 kHz.
    """
    return page.evaluate(
        """async (take) => {
          const room = document.querySelector('#player .player').parentElement.listening;
          const bytes = await room.bytes(take);
          const context = new OfflineAudioContext(1, 32000, 32000);
          const buffer = await context.decodeAudioData(bytes);
          const all = [...Array(buffer.numberOfChannels).keys()].map((channel) => buffer.getChannelData(channel));
          return [...all[0].slice(0, 32000)].map((_, i) => all.reduce((sum, one) => sum + one[i], 0) / all.length);
        }""",
        take,
    )


def write(page: Page, caption: str, seed: str = "") -> None:
    """Write a caption and a seed.

    Args:
        page: The studio.
        caption: Words to write.
        seed: Seed to write; empty leaves it alone.
    """
    page.locator("#caption textarea").fill(caption)
    if seed:
        advanced = page.locator("#advanced > button")
        advanced.click()
        fill(page, "seed", seed)
        advanced.click()
        settle(page)


def fill(page: Page, control: str, value: str) -> None:
    """Type a number into a field.

    Args:
        page: The studio.
        control: Name of the field's element.
        value: What to type.
    """
    field = page.locator(f"#{control} input[type=number]")
    expect(field).to_be_editable()
    settle(page)  # a drawer that has just been opened sets its fields to their defaults first
    field.fill(value)
    field.press("Tab")
    expect(field).to_have_value(value)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page has passed on what changed: it does so between two frames.

    Args:
        page: The studio.
    """
    for _ in range(3):
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def compose(page: Page, timeout_ms: float | None = None) -> None:
    """Press Compose and wait for the result.

    Args:
        page: The studio.
        timeout_ms: How long to wait in milliseconds; ``None`` for as long as for anything.
    """
    page.locator("#compose").click()
    expect(page.locator("#status .is-done")).to_be_visible(timeout=timeout_ms)
    expect(page.locator("#player .pl-mel img").first).to_be_visible()


def listening(page: Page, expression: str = "state()") -> Any:
    """Ask the player's own clock.

    Args:
        page: The studio.
        expression: JavaScript on the player, such as ``state()`` or ``position()``.

    Returns:
        What the expression gives.
    """
    return page.evaluate(f"document.querySelector('#player .player').parentElement.listening.{expression}")


def play(page: Page) -> None:
    """Press play and wait until the player's clock runs.

    Args:
        page: The studio.
    """
    page.locator(".pl-play").click()
    page.wait_for_function(
        "() => { const room = document.querySelector('#player .player').parentElement.listening;"
        " return room.state().playing && room.position() > 0.05; }"
    )
