"""Measuring the start: without a model it says so; the weight of a page is counted."""

from __future__ import annotations

import sys

import pytest

from demo import measure_start


def test_a_studio_that_ends_is_not_waited_for(capsys, monkeypatch):
    with measure_start.running([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        with pytest.raises(RuntimeError, match="ended with status 3"):
            measure_start.wait_until_served(f"http://127.0.0.1:{measure_start.free_port()}/", process)
    with measure_start.running([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        with pytest.raises(RuntimeError, match="did not answer within 0.2 s"):
            measure_start.wait_until_served(f"http://127.0.0.1:{measure_start.free_port()}/", process, 0.2)
    assert process.poll() is not None, "nothing is left running"

    def fail(*_):
        raise RuntimeError("the studio ended")

    monkeypatch.setattr(measure_start, "measure", fail)
    assert measure_start.main(["model"]) == 1
    assert "the studio ended" in capsys.readouterr().err


@pytest.mark.browser
def test_a_visit_is_weighed(studio, chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context()
        first, again = (measure_start.open_page(context, studio) for _ in range(2))
        browser.close()
    assert first["files"] > 20 and 200_000 < first["sent_bytes"] < 20_000_000
    assert again["sent_bytes"] < first["sent_bytes"] / 2, "the second time most comes from the cache"
    assert 0 < again["seconds"] < 60
