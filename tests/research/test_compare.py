"""The table of training runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from melfusion_core.research.compare import format_runs, main


def write_run(folder: Path, metrics: dict[str, float], **config: object) -> Path:
    folder.mkdir()
    config = {"fusion": "decoupled", "seed": 0} | config
    summary = {"steps": 400, "minutes": 3.0, "config": config, "validation": metrics}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_table_names_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    base = write_run(tmp_path / "a", {"loss": 0.7, "picture_gain": 0.01}, out="a", threads=1)
    other = write_run(tmp_path / "b", {"loss": 0.65}, out="b", threads=2, fusion="interpolate")
    same = write_run(tmp_path / "c", {"loss": 0.71}, seed=1, depth=2)
    table = format_runs([base, other, same], ["loss", "picture_gain"])
    assert table.splitlines()[2:] == [
        "| baseline | 400 | 0.7000 | 0.0100 |",
        "| fusion interpolate | 400 | 0.6500 | – |",
        "| seed 1, depth 2 | 400 | 0.7100 | – |",
    ]
    main([str(base), "--columns", "loss"])
    assert "0.7000" in capsys.readouterr().out


def test_runs_without_figures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never validated"):
        format_runs([write_run(tmp_path / "a", {})])
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none")])
