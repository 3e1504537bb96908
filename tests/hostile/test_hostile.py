"""Nothing on the machine is lost to a hostile file: each kind is tried in a process of bounded memory and time.

MELFUSION_HOSTILE=20 pytest tests/hostile    twenty times as many mutations, every bomb apart, every value
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMES = int(os.environ.get("MELFUSION_HOSTILE", "1"))
# How much of each kind; see `prepare` of its module. Kinds that are tried in one process load the packages once.
PROCESSES = (
    {"pictures": 12},
    {"sounds": 8},
    {"recipes": 8, "midi": 12, "commands": 6, "checkpoints": 8, "values": 30},
)
MOST_APART_MB = 300


@pytest.mark.parametrize("kinds", PROCESSES, ids=" ".join)
def test_whatever_comes_is_read_or_refused_in_plain_words(kinds, tmp_path):
    wanted = [f"{kind}:{TIMES * count}" for kind, count in kinds.items()]
    command = [sys.executable, "-m", "tests.hostile.run", *wanted, "--folder", str(tmp_path / "files")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200 * TIMES)
    assert done.stdout, f"the process ended with status {done.returncode}: {done.stderr[-2000:]}"
    for kind, found in json.loads(done.stdout).items():
        assert not found["fell_short"], "\n".join(found["fell_short"])
        assert found["tried"] == found["accepted"] + found["refused"] and found["accepted"] and found["refused"], kind
        if kind in ("pictures", "sounds"):
            assert 0 < found["readers_apart_mb"] < MOST_APART_MB, found
        print(kind, found)
