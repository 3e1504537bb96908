"""Take the README's screenshots of the studio in a headless Chromium.

    python tests/tools/screenshots.py                 with the shipped model
    python tests/tools/screenshots.py --fake --all    with a sine wave, every view

It writes assets/screenshot-desktop.png, -phone.png and -blind.png (dark, a pair before the vote), and says what the
first visit weighs and takes; `--all` also writes the empty and the whole pages.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from demo.examples import EXAMPLES_FOLDER, load_examples  # noqa: E402
from demo.service import StudioService  # noqa: E402
from demo.ui import build_demo, launch  # noqa: E402
from demo.votes import VoteBook  # noqa: E402
from tests.demo.browser import DESKTOP, PHONE, Chromium, compose, write  # noqa: E402

MAX_BYTES = 400_000
WEIGHT_JS = """() => {
  const all = [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')];
  const kilobytes = (name) => Math.round(all.reduce((sum, entry) => sum + entry[name], 0) / 1000);
  const seconds = (all[0].domContentLoadedEventEnd / 1000).toFixed(1);
  return `${all.length} files, ${kilobytes('transferSize')} kB sent, ${kilobytes('decodedBodySize')} kB unpacked, `
    + `DOM after ${seconds} s, `
    + `interactive after ${(performance.now() / 1000).toFixed(1)} s`;
}"""


def main(arguments: list[str] | None = None) -> int:
    """Start the studio, compose once in each view and save the pictures.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "checkpoints" / "melfusion-mini"), help="folder of the model")
    parser.add_argument("--fake", action="store_true", help="a sine wave instead of the model")
    parser.add_argument("--all", action="store_true", help="the empty and the whole pages too")
    parser.add_argument("--output", default=str(ROOT / "assets"), help="folder to write to")
    parser.add_argument("--examples", default=str(EXAMPLES_FOLDER), help="folder of the example pictures")
    parser.add_argument("--example", type=int, default=0, help="which example picture to compose from")
    parser.add_argument("--caption", default="A slow piano with soft strings", help="words to compose from")
    parser.add_argument("--seed", default="7", help="seed of the take")
    options = parser.parse_args(arguments)
    program = shutil.which("chromium")
    if program is None:
        print("The program chromium is not installed.", file=sys.stderr)
        return 1
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    if options.fake:
        from tests.demo.fakes import FakeEngine

        engine = FakeEngine()
    else:
        from demo.engine import PipelineEngine

        engine = PipelineEngine.from_folder(options.model)
    examples = load_examples(options.examples)
    votes = VoteBook(Path(tempfile.mkdtemp(prefix="melfusion-")) / "votes.jsonl")
    demo = build_demo(StudioService(engine), examples, votes)
    _, url, _ = launch(demo, prevent_thread_lock=True, quiet=True)
    views = [("desktop", DESKTOP, False), ("phone", PHONE, False), ("blind", DESKTOP, True)]
    try:
        with Chromium(program) as browser:
            for name, size, dark in views:
                with browser.visit(url, size, dark) as page:
                    print(f"{name}: {page.evaluate(WEIGHT_JS)}")
                    page.wait_for_timeout(1000)
                    if options.all:
                        _save(page.screenshot(), output / f"screenshot-{name}-empty.png")
                    if examples:
                        page.locator("#examples .thumbnail-item").nth(options.example).click()
                        page.locator("#picture img").wait_for()
                    write(page, options.caption, options.seed)
                    compose(page, timeout_ms=600_000)
                    page.mouse.move(0, 0)
                    page.evaluate("document.activeElement.blur()")
                    page.wait_for_timeout(1500)
                    if name == "blind":
                        page.locator(".pl-blind input").check()
                        page.mouse.move(0, 0)
                    if options.all:
                        _save(page.screenshot(full_page=True), output / f"screenshot-{name}-full.png")
                    if size == DESKTOP:
                        page.evaluate("window.scrollTo(0, 0)")
                        page.wait_for_timeout(300)
                    _save(page.screenshot(), output / f"screenshot-{name}.png")
    finally:
        demo.close()
    return 0


def _save(png: bytes, path: Path) -> None:
    """Save a picture in full colour where that is small enough, else in 256 colours, dithered."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        palette = image.quantize(256, method=Image.Quantize.MEDIANCUT)
        image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; at most {MAX_BYTES} are wanted.")
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
