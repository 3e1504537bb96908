"""A table of training runs: what was set differently, and the last validation of each.

`python -m melfusion_core.research.compare RUN RUN ...`; the first run is the baseline.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melfusion_core.training.loop import SUMMARY

HIDDEN = ("data", "out", "max_minutes", "threads", "resume", "device", "tensorboard")
COLUMNS = ("loss", "loss_text_only", "loss_image_only", "loss_nothing", "picture_gain")


def _read_run(folder: Path | str) -> dict[str, Any]:
    """Read how a run ended."""
    path = Path(folder) / SUMMARY
    if not path.is_file():
        raise ValueError(f"{folder} holds no {SUMMARY}: is it a run folder?")
    summary = json.loads(path.read_text(encoding="utf-8"))
    if not summary.get("validation"):
        raise ValueError(f"{folder} was never validated")
    return summary


def changes(config: dict[str, Any], baseline: dict[str, Any]) -> str:
    """What a run set differently; a setting that the baseline does not know yet counts as different.

    Args:
        config: Configuration of the run.
        baseline: Configuration of the baseline.

    Returns:
        Such as "fusion interpolate, max_steps 287"; "as the baseline" where nothing differs.
    """
    names = [name for name in config if name not in HIDDEN and config[name] != baseline.get(name)]
    return ", ".join(f"{name} {config[name]}" for name in names) or "as the baseline"


def format_runs(folders: Sequence[Path | str], columns: Sequence[str] = COLUMNS) -> str:
    """Write runs as a Markdown table.

    Args:
        folders: Run folders, the baseline first.
        columns: Names of validation figures.

    Returns:
        The table; a figure that a run lacks is a dash.
    """
    runs = [_read_run(folder) for folder in folders]
    lines = ["| run | steps | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for place, run in enumerate(runs):
        name = changes(run["config"], runs[0]["config"]) if place else "baseline"
        figures = run["validation"]
        cells = (f"{figures[column]:.4f}" if column in figures else "–" for column in columns)
        lines.append(f"| {name} | {run['steps']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table of runs.

    Args:
        argv: Command line; None takes the process's.
    """
    parser = argparse.ArgumentParser(description="Print a table of training runs.")
    parser.add_argument("runs", nargs="+", help="run folders, the baseline first")
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), help="names of validation figures")
    args = parser.parse_args(argv)
    try:
        print(format_runs(args.runs, args.columns))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
