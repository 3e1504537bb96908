"""Processes that share a long work, and end with the process that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


def start_workers(count: int) -> ProcessPoolExecutor:
    """Start processes for work.

    Args:
        count: How many; at least one is started.

    Returns:
        The pool. Its processes leave Ctrl-C to the parent, and end when the parent does, even when it is killed.
    """
    return ProcessPoolExecutor(max_workers=max(count, 1), initializer=_follow_parent)


def _follow_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process().sentinel,), daemon=True).start()


def _end_with(parent: int) -> None:
    wait([parent])
    os._exit(1)
