from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import pytest
import torch

from melfusion_core.training.config import TrainConfig, parse_config
from melfusion_core.training.ema import ModelAverage
from melfusion_core.training.log import MetricLog
from melfusion_core.training.loop import CHECKPOINT, Task, TrainingError, TrainLoop, replace_folder


class LineTask(Task):
    """Fits a line; ``interrupt_at`` asks the loop to stop after so many steps."""

    name = "line"
    averaged = ("line",)

    def __init__(self, interrupt_at: int = -1, poison: bool = False) -> None:
        torch.manual_seed(0)
        self.line = torch.nn.Linear(2, 1)
        self.networks = {"line": self.line}
        self.optimizers = {"line": torch.optim.AdamW(self.line.parameters(), lr=0.1)}
        self.interrupt_at, self.poison = interrupt_at, poison

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        points = torch.randn(8, 2, generator=generator)
        loss = (self.line(points)[:, 0] - points.sum(1) + torch.rand(8)).square().mean()
        loop.update("line", loss * float("nan") if self.poison else loss)
        if loop.step + 1 == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"loss": loss}

    def validate(self) -> dict[str, float]:
        return {"weight": float(self.line.weight.sum())}

    def sample(self, folder: Path) -> None:
        (folder / "sample.txt").write_text("sample")

    def export(self, folder: Path) -> None:
        torch.save(self.line.state_dict(), folder / "line.pt")


def run(out: Path, task: Task, **settings: object):
    config = TrainConfig(data="none", out=str(out), device="cpu", log_steps=2, **{"max_steps": 8, **settings})
    return TrainLoop(config).run(task)


def test_resume_is_bit_exact(tmp_path):
    whole, parts = LineTask(), LineTask(interrupt_at=3)
    result = run(tmp_path / "whole", whole)
    assert result.finished
    assert result.step == 8
    first = run(tmp_path / "parts", parts)
    assert not first.finished
    assert first.step == 3
    again = LineTask()
    torch.manual_seed(99)  # the checkpoint brings its own random state
    second = run(tmp_path / "parts", again)
    assert second.finished
    assert torch.equal(again.line.weight, whole.line.weight)
    assert second.metrics == result.metrics
    exports = [torch.load(tmp_path / name / "export/line.pt") for name in ("whole", "parts")]
    assert torch.equal(exports[0]["weight"], exports[1]["weight"])
    with (tmp_path / "parts/train.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [2, 5, 7]


def test_finished_run_is_left_alone(tmp_path):
    run(tmp_path, LineTask())
    task = LineTask()
    assert run(tmp_path, task).finished
    assert (tmp_path / "samples/0000008/sample.txt").exists()


def test_time_budget_ends_the_run(tmp_path):
    result = run(tmp_path, LineTask(), max_steps=0, max_minutes=0.01)
    assert result.finished
    assert 0.005 < result.minutes < 0.5


def test_checkpoint_in_the_way_is_an_error_without_resume(tmp_path):
    run(tmp_path, LineTask(), max_steps=1)
    with pytest.raises(TrainingError, match="exists"):
        run(tmp_path, LineTask(), resume=False)
    assert (tmp_path / CHECKPOINT).exists()


def test_endless_bad_gradients_are_an_error(tmp_path):
    with pytest.raises(TrainingError, match="not finite"):
        run(tmp_path, LineTask(poison=True), max_steps=100)


def test_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    run(tmp_path, LineTask(), max_steps=1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_average_follows_and_steps_aside():
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    average = ModelAverage(module, 0.5)
    module.weight.data.fill_(1.0)
    for _ in range(2):
        average.update()
    expected = 1 - (2 / 11) * (3 / 12)  # the decay warms up: 2/11, then 3/12
    with average.applied() as averaged:
        assert averaged.weight.item() == pytest.approx(expected)
        assert not averaged.training
    assert module.weight.item() == 1.0
    assert module.training


def test_log_refuses_other_columns_and_drops_repeated_rows(tmp_path):
    log = MetricLog(tmp_path, "train")
    for step in (1, 2, 3):
        log.write(step, {"loss": 0.5})
    with pytest.raises(ValueError, match="columns"):
        log.write(4, {"other": 1.0})
    MetricLog(tmp_path, "train", last_step=2).write(3, {"loss": 0.25})
    assert (tmp_path / "train.csv").read_text().split() == ["step,loss", "1,0.5", "2,0.5", "3,0.25"]


def test_replace_folder_keeps_the_old_one_when_writing_fails(tmp_path):
    target = tmp_path / "export"
    replace_folder(target, lambda folder: (folder / "a").write_text("1"))

    def fail(folder: Path) -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        replace_folder(target, fail)
    assert (target / "a").read_text() == "1"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_kept(tmp_path, number):
    class Runaway(LineTask):
        def step(self, loop, generator):
            losses = super().step(loop, generator)
            if loop.step == 5:
                with torch.no_grad():
                    self.line.weight[0, 0] = number
            return losses

    with pytest.raises(TrainingError, match="weights of line are no longer numbers, at step"):
        run(tmp_path, Runaway(), max_steps=6)
    assert not (tmp_path / CHECKPOINT).exists() and not (tmp_path / "export").exists()


@pytest.mark.parametrize("data", [b"", b"hello", b"\x80\x04\x95", b"PK\x03\x04" + b"\0" * 50])
def test_a_damaged_checkpoint_is_told_by_its_file(tmp_path, data):
    (tmp_path / CHECKPOINT).write_bytes(data)
    with pytest.raises(
        TrainingError, match="is damaged or no checkpoint of a trainer; remove it to begin anew"
    ) as told:
        run(tmp_path, LineTask())
    assert CHECKPOINT in str(told.value) and "weights_only" not in str(told.value)


@pytest.mark.parametrize("rate", ["inf", "nan", "-inf", "1e999"])
def test_a_rate_that_is_no_number_is_refused(rate, tmp_path, capsys):
    flags = ["--data", "x", "--out", str(tmp_path), "--max-steps", "1", "--learning-rate", rate]
    with pytest.raises(SystemExit):
        parse_config(TrainConfig, flags, program="train")
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ValueError, match="learning_rate must be"):
        TrainConfig(data="x", out="y", max_steps=1, learning_rate=float(rate))
