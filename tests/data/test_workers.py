"""Worker processes end with the one that started them, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from melfusion_core.data.workers import start_workers
from tests.test_imports import ROOT

PARENT = """
import os, sys, tempfile, time
from pathlib import Path
from melfusion_core.data.workers import start_workers

def work(folder):
    Path(tempfile.mkdtemp(), "half").write_text("x")
    Path(folder, str(os.getpid())).write_text(tempfile.gettempdir())
    time.sleep(300)

if __name__ == "__main__":
    with start_workers(2, Path(sys.argv[1], "scratch")) as pool:
        list(pool.map(work, [sys.argv[1]] * 8))
"""


def wait_until(condition, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are read from Linux")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(number, tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def workers() -> list[int]:
        return [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]

    wait_until(lambda: len(workers()) == 2)
    assert all(Path(tmp_path, str(worker)).read_text() == str(tmp_path / "scratch") for worker in workers())
    parent.send_signal(number)
    said = parent.communicate(timeout=60)[1]
    wait_until(lambda: not any(map(runs, workers())))
    wait_until(lambda: not (tmp_path / "scratch").exists())
    assert len(workers()) == 2, "nothing that waited was begun"
    assert said.count("Traceback") == (1 if number == signal.SIGINT else 0), "the parent's own, and no worker's"


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def test_work_that_is_broken_off_is_not_waited_for(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "left").write_text("from a build that was killed")
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), start_workers(1, tmp_path / "scratch") as pool:
        assert not any((tmp_path / "scratch").iterdir())
        pool.map(_sleep, [120.0] * 4)
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 60
    assert not (tmp_path / "scratch").exists()
