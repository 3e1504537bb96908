"""How long the studio takes to start and what a first visit weighs, measured in a headless Chromium.

python -m demo.measure_start checkpoints/melfusion-mini

It starts ``app.py`` as people do, in a process of its own, and prints JSON: ``cold_s`` from its start to a
page that can be used, ``first_visit_s`` and ``again_s`` to open the page of a running studio with an empty and with
a filled browser cache, and per visit the files and the bytes that were sent. Needs ``pip install playwright`` and a
Chromium.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from melfusion_core.terminal import PlainParser

APP = Path(__file__).resolve().parent.parent / "app.py"
PATIENCE_S = 300.0
USABLE = "#status[aria-live]"  # set by the page's own load event, when all events are connected


def free_port() -> int:
    """Find a port that nobody listens on.

    Returns:
        The port.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen]:
    """Run a command and end it afterwards.

    Args:
        command: The program and its arguments.

    Yields:
        The process.
    """
    process = subprocess.Popen(command, cwd=APP.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_served(url: str, process: subprocess.Popen, patience_s: float = PATIENCE_S) -> None:
    """Wait until a page answers.

    Args:
        url: Its address.
        process: What should serve it.
        patience_s: How long to wait, in seconds.

    Raises:
        RuntimeError: When the process ends instead, or takes too long.
    """
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the studio ended with status {process.returncode}; start app.py to see why")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            with urllib.request.urlopen(url, timeout=10):
                return
        time.sleep(0.05)
    raise RuntimeError(f"the studio did not answer within {patience_s:g} s")


def open_page(context: Any, url: str) -> dict[str, float | int]:
    """Open the page in a tab of its own, wait until it can be used, and close it.

    Args:
        context: Playwright's browser context.
        url: Address of the studio.

    Returns:
        ``seconds``, ``files``, and ``sent_bytes``, headers included; what comes from the browser's cache counts as no
        bytes.
    """
    page = context.new_page()
    network = context.new_cdp_session(page)
    sent: list[float] = []
    network.on("Network.loadingFinished", lambda event: sent.append(event["encodedDataLength"]))
    network.send("Network.enable")
    started = time.monotonic()
    page.goto(url, wait_until="commit")
    page.wait_for_selector("#compose", timeout=1000 * PATIENCE_S)
    page.wait_for_selector(USABLE, state="attached", timeout=1000 * PATIENCE_S)
    seconds = time.monotonic() - started
    page.wait_for_timeout(1500)  # the finished example comes right after
    page.close()
    return {"seconds": round(seconds, 2), "files": len(sent), "sent_bytes": round(sum(sent))}


def measure(model: str, chromium: str | None = None) -> dict[str, Any]:
    """Start the studio and visit it three times.

    Args:
        model: Folder of the model, or its name on the Hub.
        chromium: Path of Chromium; ``None`` takes Playwright's own.

    Returns:
        The figures; see the module.

    Raises:
        RuntimeError: When the studio does not start.
    """
    from playwright.sync_api import sync_playwright

    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        started = time.monotonic()
        with running([sys.executable, str(APP), "--model", model, "--port", str(port)]) as process:
            wait_until_served(url, process)
            served_s = time.monotonic() - started
            first = open_page(browser.new_context(), url)
            context = browser.new_context()
            visits = [open_page(context, url) for _ in range(2)]
        browser.close()
    return {
        "model": Path(model).name,
        "served_s": round(served_s, 2),
        "cold_s": round(served_s + first["seconds"], 2),
        "first_visit_s": visits[0]["seconds"],
        "first_visit_files": visits[0]["files"],
        "first_visit_bytes": visits[0]["sent_bytes"],
        "again_s": visits[1]["seconds"],
        "again_bytes": visits[1]["sent_bytes"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as JSON.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    parser = PlainParser(prog="python -m demo.measure_start", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="folder of the model, or its name on the Hugging Face Hub")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of Chromium")
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(measure(options.model, options.chromium), indent=1))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
