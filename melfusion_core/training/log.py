"""Training logs: CSV that survives a resume, and optional TensorBoard event files."""

from __future__ import annotations

import csv
from pathlib import Path


class MetricLog:
    """Rows of numbers in a CSV file, and in TensorBoard when asked.

    Args:
        folder: Run folder.
        name: File name without extension; also the TensorBoard prefix.
        last_step: Rows of later steps in an existing file are dropped: they will be written again.
        tensorboard: Whether to write event files under `folder/tensorboard`.
    """

    def __init__(self, folder: Path, name: str, last_step: int = 0, tensorboard: bool = False) -> None:
        self.path = folder / f"{name}.csv"
        self.name = name
        self.columns: list[str] | None = None
        self.writer = None
        if self.path.exists():
            self._drop_after(last_step)
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=last_step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append one row.

        Args:
            step: The step it belongs to.
            values: Column to number; the columns must be the same in every row.

        Raises:
            ValueError: When the columns differ from the file's.
        """
        columns = ["step", *values]
        fresh = self.columns is None
        if fresh:
            self.columns = columns
        elif self.columns != columns:
            raise ValueError(f"{self.path.name} has columns {self.columns}, not {columns}")
        with self.path.open("a", newline="") as file:
            rows = csv.writer(file)
            if fresh:
                rows.writerow(columns)
            rows.writerow([step, *(f"{value:.6g}" for value in values.values())])
        if self.writer is not None:
            for column, value in values.items():
                self.writer.add_scalar(f"{self.name}/{column}", value, step)

    def close(self) -> None:
        """Flush and close the event files."""
        if self.writer is not None:
            self.writer.close()

    def _drop_after(self, last_step: int) -> None:
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))
        if last_step <= 0 or not rows:
            self.path.unlink()
            return
        self.columns = rows[0]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([rows[0], *(row for row in rows[1:] if row and int(row[0]) <= last_step)])
