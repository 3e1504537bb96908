"""`melfusion soak`: many visitors at once at a studio of its own on this machine, and what became of them."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli import options
from melfusion_core.cli.models import model_folder
from melfusion_core.cli.options import CommandError

if TYPE_CHECKING:
    import psutil

    from melfusion_core.cli.soak_visitor import Diary, Visitor

APP = Path(__file__).resolve().parents[2] / "app.py"
START_S, SAMPLE_S, PAUSE_S = 300.0, 10.0, 3.0
ROWS = 13


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "soak",
        help="try the studio with many visitors at once",
        description="Start the studio on this machine's loopback and let visitors load its page, compose, ask for "
        "nonsense and leave early, all at once. Each take is checked against its wish, and against the same wish made "
        "alone afterwards. The report is Markdown.",
    )
    parser.add_argument("--minutes", type=options.number(0.1, 1440), default=30.0, help="(default 30)")
    parser.add_argument("--visitors", type=options.whole_number(1, 1000), default=20, help="at once (default 20)")
    parser.add_argument("--steps", type=options.whole_number(1, 100), default=4, help="of each take (default 4)")
    parser.add_argument("--duration", type=options.number(2.56, 20.48), default=2.56, help="in seconds (default 2.56)")
    parser.add_argument("--out", type=options.out_file, help="write the report to this file too")
    parser.add_argument("--model", type=Path, help=f"checkpoint folder (default checkpoints/{options.MODEL_NAME})")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Run the studio and its visitors, and print the report."""
    if not APP.is_file():
        raise CommandError("The soak needs the studio's own folder: app.py is not beside this package.")
    from melfusion_core.cli.soak_visitor import Diary, Visitor

    diary = Diary()
    with tempfile.TemporaryDirectory(prefix="melfusion-soak-") as name:
        folder = Path(name)
        with _studio(model_folder(args.model).resolve(), folder) as (url, process):
            visitors = [Visitor(n, url, diary, args.steps, args.duration) for n in range(args.visitors)]
            gauge = Gauge(process.pid, folder, diary)
            with gauge:
                _visit(visitors, 60.0 * args.minutes)
            _make_alone(visitors, diary)
            gauge.read()
            for visitor in visitors:
                visitor.close()
        log = (folder / "studio.log").read_text(errors="replace")
    tracebacks = log.count("Traceback (most recent call last)")
    report = write_report(args, diary, gauge, tracebacks)
    print(report)
    if args.out is not None:
        args.out.write_text(report + "\n", encoding="utf-8")
    if tracebacks:
        print(log[-4000:], file=sys.stderr)
    return 1 if diary.troubles or tracebacks else 0


@contextlib.contextmanager
def _studio(model: Path, folder: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, str(APP), "--model", str(model), "--votes", str(folder / "votes.jsonl")]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder / "cache"), "GRADIO_ANALYTICS_ENABLED": "False"}
    url = f"http://127.0.0.1:{port}/"
    with (folder / "studio.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(url, process, folder / "studio.log")
            yield url, process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise CommandError(f"The studio did not start: {last}", code=1)
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
            return
        time.sleep(0.2)
    raise CommandError(f"The studio did not answer within {START_S:g} s.", code=1)


def _visit(visitors: list[Visitor], seconds: float) -> None:
    until = time.monotonic() + seconds

    def keep_coming(visitor: Visitor) -> None:
        while time.monotonic() < until:
            visitor.come_by()
            time.sleep(PAUSE_S)

    with ThreadPoolExecutor(len(visitors)) as threads:
        for ended in [threads.submit(keep_coming, visitor) for visitor in visitors]:
            ended.result()


def _make_alone(visitors: list[Visitor], diary: Diary) -> None:
    """Make every wish that was fulfilled once more, with nobody else there."""
    from melfusion_core.cli.soak_visitor import ALONE

    made = set(diary.samples)
    for visitor in visitors:
        for wish in visitor.wishes:
            if wish in made:
                visitor.ask(wish, ALONE)


class Gauge:
    """Reads the studio's memory and files every so often, as long as its block lasts.

    Args:
        process: Number of the studio's process.
        folder: Where its files lie.
        diary: Of the visitors.
    """

    def __init__(self, process: int, folder: Path, diary: Diary) -> None:
        import psutil

        self._studio: psutil.Process = psutil.Process(process)
        self._folder, self._diary = folder, diary
        self._begun, self._ended = time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.rows: list[tuple[float, ...]] = []
        self.readers_mb = 0.0

    def __enter__(self) -> Gauge:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop reading."""
        self._ended.set()
        self._thread.join()

    def read(self) -> None:
        """Read once: minutes, page loads, takes, memory in MB, threads, open files, files, megabytes of files."""
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        with self._studio.oneshot():
            memory, threads = self._studio.memory_info().rss / 1e6, self._studio.num_threads()
        opened = self._studio.num_fds() if hasattr(self._studio, "num_fds") else 0
        size = sum(path.stat().st_size for path in files if path.exists()) / 1e6
        minutes = (time.monotonic() - self._begun) / 60.0
        loads, takes = self._diary.outcomes["page load", "done"], len(self._diary.waits_s)
        self.rows.append((minutes, loads, takes, memory, threads, opened, len(files), size))

    def _watch(self) -> None:
        import psutil

        while not self._ended.wait(0.0 if not self.rows else SAMPLE_S):
            with contextlib.suppress(OSError, psutil.Error):
                self.read()
                children = self._studio.children(recursive=True)
                self.readers_mb = max([self.readers_mb, *(child.memory_info().rss / 1e6 for child in children)])


def write_report(args: argparse.Namespace, diary: Diary, gauge: Gauge, tracebacks: int) -> str:
    """Write what became of the visitors.

    Args:
        args: Parsed command line.
        diary: Of the visitors.
        gauge: Its readings.
        tracebacks: How many the studio's log holds.

    Returns:
        Markdown.
    """
    from melfusion_core.cli.soak_visitor import LOST, MIXED_UP, UNCLEAR

    waits = sorted(diary.waits_s)
    shares = statistics.quantiles(waits, n=20, method="inclusive") if len(waits) > 1 else waits * 19
    lines = [
        f"`melfusion soak --minutes {args.minutes:g} --visitors {args.visitors} --steps {args.steps} "
        f"--duration {args.duration:g}`, on {os.cpu_count()} cores ({platform.machine()}).",
        "",
        "| what | how it ended | times |",
        "|---|---|---|",
        *(f"| {kind} | {outcome} | {times} |" for (kind, outcome), times in sorted(diary.outcomes.items())),
        f"| tracebacks | in the studio's log | {tracebacks} |",
        "",
        f"Lost: {diary.count(LOST)}. Mixed up, or not the samples of the same wish made alone: "
        f"{diary.count(MIXED_UP)}. Refused in no sentence: {diary.count(UNCLEAR)}.",
        "",
    ]
    if waits:
        lines += [
            f"Wait from asking for a take to having it: median {shares[9]:.0f} s, 95th percentile {shares[18]:.0f} s, "
            f"longest {waits[-1]:.0f} s.",
            "",
        ]
    lines += [
        f"Readers of pictures, in processes apart, took at most {gauge.readers_mb:.0f} MB when looked at.",
        "",
        "| minute | page loads | takes | memory (MB) | threads | open files | files kept | their size (MB) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    last = len(gauge.rows) - 1
    for index in sorted({round(last * row / (ROWS - 1)) for row in range(ROWS)}):
        lines.append("| {:.1f} | {} | {} | {:.0f} | {} | {} | {} | {:.1f} |".format(*gauge.rows[index]))
    if diary.troubles:
        lines += ["", "What went wrong:", "", *(f"- {trouble[:300]}" for trouble in diary.troubles[:50])]
    return "\n".join(lines)
