"""Nothing on the machine is lost to a hostile file: each kind is tried in a process of bounded memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Mutations of each sound file; `python -m tests.hostile.run KIND --count N` tries more.
KINDS = {"pictures": 40, "apart": 1, "sounds": 16}
MOST_APART_MB = 300


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_comes_is_read_or_refused_in_plain_words(kind, tmp_path):
    command = [sys.executable, "-m", "tests.hostile.run", kind, "--count", str(KINDS[kind]), "--folder"]
    done = subprocess.run([*command, str(tmp_path / "files")], cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.stdout, f"the process ended with status {done.returncode}: {done.stderr[-2000:]}"
    found = json.loads(done.stdout)
    assert not found["fell_short"], "\n".join(found["fell_short"])
    assert found["tried"] == found["accepted"] + found["refused"] and found["accepted"] and found["refused"]
    assert found["readers_apart_mb"] < MOST_APART_MB, found
    print(found)
