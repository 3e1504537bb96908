"""Which PyTorch `make` installs, with a stand-in for the environment's Python that writes down what pip is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests import system
from tests.test_imports import ROOT


class Index(BaseHTTPRequestHandler):
    """A package index that has a page for everything."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def index():
    server = HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "python"
    log = tmp_path / "pip.txt"
    stand_in.write_text(f'#!/bin/sh\nif [ "$1" = -m ]; then echo "$@" >> {log}; else exec {sys.executable} "$@"; fi\n')
    stand_in.chmod(0o755)
    return tmp_path


def make(environment: Path, **variables: str) -> tuple[str, str]:
    """What `make` says, and what pip was told."""
    words = [f"{name}={value}" for name, value in {"VENV": str(environment), **variables}.items()]
    command = [system.require_program("make"), "--silent", *words, f"{environment}/.torch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and (environment / ".torch").is_file(), done.stderr
    log = environment / "pip.txt"
    return done.stdout + done.stderr, log.read_text() if log.is_file() else ""


def test_without_a_driver_the_cpu_build_comes_from_its_own_index(environment, index):
    said, told = make(environment, TORCH="cpu", CPU_INDEX=index)
    assert "CPU build" in said and "TORCH=default" in said
    assert told.startswith(f"-m pip install --index-url {index} torch>=") and "torchvision>=" in told


def test_an_index_that_cannot_be_reached_is_said_and_does_no_harm(environment):
    said, told = make(environment, TORCH="cpu", CPU_INDEX="http://127.0.0.1:9")
    assert "WARNING" in said and "cannot be used" in said and not told


def test_the_default_build_is_left_to_the_ordinary_installation(environment):
    assert make(environment, TORCH="default", CPU_INDEX="http://127.0.0.1:9") == ("", "")
