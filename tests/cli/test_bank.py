"""`melfusion bank`: cutting, measuring and timing, on a SoundFont of one sine."""

from __future__ import annotations

import json

import pytest

from melfusion_core.cli import bank, main
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.soundfont import SoundFont
from tests.score.tiny_soundfont import sine, soundfont_bytes


@pytest.fixture
def everything(tmp_path):
    """A SoundFont in which every program and kit is the same sine."""
    zone = {"sample": 0, "sample_modes": 1}
    presets = {(0, program): [zone] for program in range(128)}
    presets |= {(128, kit): [zone] for kit in (0, 8, 16, 24, 25, 32, 40, 48)}
    path = tmp_path / "every.sf2"
    path.write_bytes(soundfont_bytes(presets, [sine()]))
    return path


def test_cut(everything, tmp_path, capsys):
    assert main(["bank", "cut", str(everything), "--out", str(tmp_path / "cut")]) == 0
    shown = capsys.readouterr().out
    [path] = (tmp_path / "cut").glob("*.sf2")
    assert str(path) in shown and SoundFont([path]).sha256 in shown
    assert main(["bank", "cut", str(tmp_path / "none.sf3"), "--out", str(tmp_path)]) == 2
    assert "There is no SoundFont at" in capsys.readouterr().err


def test_levels_print_the_table(everything, capsys):
    assert main(["bank", "levels", "--soundfont", str(everything)]) == 0
    table = dict(line.rstrip(",").split(": ") for line in capsys.readouterr().out.splitlines())
    assert set(table) == {f'"{name}"' for name in (*INSTRUMENTS, "drums")}
    assert all(abs(float(level)) < 12 for level in table.values())


def test_bench_reports(everything, capsys, monkeypatch):
    monkeypatch.setattr(bank, "BENCH_S", 2.0)
    assert main(["bank", "bench", "--repeats", "1", "--soundfont", str(everything)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["soundfont_sha256"] == SoundFont([everything]).sha256
    assert report["dense"]["tracks"] == 8 and report["dense"]["notes"] == 100
    assert report["sparse"]["notes"] == 2 and report["dense"]["times_real_time"] > 0
    assert report["peak_memory_mb"] > 10


def test_the_dense_minute_is_dense():
    score = bank.minute(bank.DENSE)
    assert len(score.tracks) == 8 and sum(len(track.notes) for track in score.tracks) == 3000
