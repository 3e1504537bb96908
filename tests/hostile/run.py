"""Try hostile input of one kind, in a process whose memory and time are bounded, and count what became of it.

python -m tests.hostile.run pictures:1000 --folder /tmp/pictures

A kind is a module ``try_<kind>`` with ``prepare(folder, count, seed)``, which writes files, ``trials(folder)``, and
what this process may take: ``MORE_BYTES`` and ``SECONDS``. With ``PATHS`` messages may name folders: those of commands
do, those of the page never.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

KINDS = ("pictures", "sounds", "recipes", "midi", "values", "checkpoints", "commands")
MADE_APART = ("pictures", "sounds")
"""Kinds whose files cost so much memory to make that they are made in a process of their own."""
MAX_MESSAGE = 600
FEWEST_LETTERS = 10
# Name, what is tried, and the errors whose message is meant for people.
Trial = tuple[str, Callable[[], object], tuple[type[Exception], ...]]


def complaint(message: str, folder: str) -> str | None:
    """Say what is wrong with a message that people are to read.

    Args:
        message: The message.
        folder: Where the tried files lie: the message has to name the file, not the folder; empty where it may.

    Returns:
        What is wrong; `None` where nothing is.
    """
    if sum(map(str.isalpha, message)) < FEWEST_LETTERS or len(message) > MAX_MESSAGE:
        return f"of {len(message)} characters"
    if not message.isprintable():
        return "with control characters"
    if message[-1] not in ".?!)" or "Unexpected" in message or "Traceback" in message:
        return "not a sentence for people"
    return "with a path of the server" if folder and folder in message else None


def bound(more_bytes: int, seconds: int) -> None:
    """Bound the memory and the work of this process.

    Args:
        more_bytes: Addresses beyond those in use.
        seconds: Of work.
    """
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, used + more_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def memory_mb(name: str) -> float:
    """Read how much memory this process has or had.

    Args:
        name: Of the line in the kernel's account, such as "VmHWM" for the most that it had.

    Returns:
        Megabytes.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def run(trials: Iterable[Trial], folder: str) -> dict[str, object]:
    """Try everything.

    Args:
        trials: What to try.
        folder: Where its files lie.

    Returns:
        Counts of what was tried, accepted and refused, what fell short and how, and the memory and time it took.
    """
    begun, before = time.monotonic(), memory_mb("VmRSS")
    found: dict[str, object] = {"tried": 0, "accepted": 0, "refused": 0}
    short, slowest = [], (0.0, "")
    for name, attempt, expected in trials:
        found["tried"] += 1
        started = time.monotonic()
        try:
            attempt()
            found["accepted"] += 1
        except expected as error:
            wrong = complaint(str(error), folder)
            found["refused"] += wrong is None
            if wrong is not None:
                short.append(f"{name}: message {wrong}: {str(error)[:300]!r}")
        except Exception as error:  # noqa: BLE001  (that is what is counted)
            where = traceback.extract_tb(error.__traceback__)[-1]
            short.append(f"{name}: {type(error).__name__}: {str(error)[:200]!r} in {where.name}")
        slowest = max(slowest, (time.monotonic() - started, name))
    import resource

    found |= {
        "fell_short": short,
        "more_memory_mb": round(memory_mb("VmHWM") - before),
        "readers_apart_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "seconds": round(time.monotonic() - begun, 1),
        "slowest": f"{slowest[1]} ({slowest[0]:.1f} s)",
    }
    return found


def main() -> int:
    """Run kinds, one after the other.

    Returns:
        Exit status: 1 where something fell short.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="+", metavar="KIND[:COUNT]", help=f"of {', '.join(KINDS)}; 40 of each or COUNT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the files")
    parser.add_argument("--stage", choices=("prepare", "try"), help="only write the files, or only try them")
    options = parser.parse_args()
    wanted = {name: int(count or 40) for name, _, count in (kind.partition(":") for kind in options.kinds)}
    if set(wanted) & set(MADE_APART) and options.stage is None:
        command = [sys.executable, "-m", "tests.hostile.run", *sys.argv[1:], "--stage"]
        subprocess.run([*command, "prepare"], check=True)
        return subprocess.run([*command, "try"]).returncode
    batches = {kind: importlib.import_module(f"tests.hostile.try_{kind}") for kind in wanted}
    for kind, batch in batches.items():
        if options.stage != "try":
            (options.folder / kind).mkdir(parents=True)
            batch.prepare(options.folder / kind, wanted[kind], options.seed)
    if options.stage == "prepare":
        return 0
    bound(max(batch.MORE_BYTES for batch in batches.values()), sum(batch.SECONDS for batch in batches.values()))
    found = {}
    for kind, batch in batches.items():
        folder = options.folder / kind
        found[kind] = run(batch.trials(folder), "" if getattr(batch, "PATHS", False) else str(folder))
    print(json.dumps(found, indent=1))
    return 1 if any(each["fell_short"] for each in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
