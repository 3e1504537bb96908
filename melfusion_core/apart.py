"""Strangers' files are read in a process apart, whose memory and time the system bounds.

However a file is made, reading it takes at most `MAX_BYTES` of memory and `MAX_CPU_S` of work, and a reader that
fails takes nothing with it. Where a system knows no such bounds (Windows), the process apart is all there is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_BYTES = 270_000_000  # with the reader itself, less than 300 MB
MAX_CPU_S = 10
MAX_WAIT_S = 30  # on a machine that is busy otherwise, work takes longer than its seconds


class ApartError(RuntimeError):
    """The reader needed too much memory or time, or failed altogether."""


def ask(
    module: str, request: dict[str, Any], data: bytes = b"", cpu_s: int = MAX_CPU_S
) -> tuple[dict[str, Any], bytes]:
    """Have a request answered by a module in a process apart.

    Args:
        module: Name of the module, which calls :func:`answer` when it is run.
        request: What JSON can hold.
        data: More for the module to read.
        cpu_s: Most work, in seconds.

    Returns:
        The answer, and the bytes that came with it.

    Raises:
        ApartError: When no answer came.
    """
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # With a single arena the reserved addresses are those in use; otherwise each thread reserves 64 MB of its own.
    environment = os.environ | {"PYTHONPATH": paths, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module],
            input=json.dumps({"cpu_s": cpu_s, "request": request}).encode() + b"\n" + data,
            capture_output=True,
            timeout=MAX_WAIT_S,
            env=environment,
        )
        header, _, body = done.stdout.partition(b"\n")
        if done.returncode != 0:
            raise ApartError(f"the reader ended with status {done.returncode}")
        return json.loads(header), body
    except subprocess.TimeoutExpired as error:
        raise ApartError("the reader took too long") from error
    except (OSError, ValueError) as error:
        raise ApartError(f"the reader gave no answer: {error}") from error


def answer(handler: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> None:
    """Bound this process, then answer the one request that it was started for.

    Args:
        handler: Function from a request and its bytes to an answer and its bytes.
    """
    header, _, data = sys.stdin.buffer.read().partition(b"\n")
    asked = json.loads(header)
    _bound(asked["cpu_s"])
    reply, body = handler(asked["request"], data)
    sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n" + body)


def _bound(cpu_s: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    page_size = resource.getpagesize()
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * page_size
    except OSError:  # macOS, whose kernel does not bound addresses either
        used = 0
    bounds = [(resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    for kind, most in [*bounds, *([(resource.RLIMIT_AS, used + MAX_BYTES)] if used else [])]:
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, hard))
