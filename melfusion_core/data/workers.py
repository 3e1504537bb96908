"""Processes that share a long work, and end with the process that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path


@contextmanager
def start_workers(count: int, scratch: Path) -> Iterator[ProcessPoolExecutor]:
    """Start processes for work.

    Args:
        count: How many; at least one is started.
        scratch: Folder for their temporary files; what it holds is from a build that was killed, and is cleared away.

    Yields:
        The pool. Its processes leave Ctrl-C to the parent, and end at once when the work is broken off or the parent
        is gone, even when it was killed.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(max_workers=max(count, 1), initializer=_follow_parent, initargs=(scratch,))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        # Not `shutdown` alone, which waits for what has begun.
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _follow_parent(scratch: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tempfile.tempdir = str(scratch)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel, scratch), daemon=True).start()


def _end_with(parent: int, scratch: Path) -> None:
    wait([parent])
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)
