"""The training loop that every component shares: schedule, checkpoints, resume, logs, samples, stopping."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import shutil
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.nn.attention import SDPBackend, sdpa_kernel

from melfusion_core.training.config import TrainConfig, use_threads
from melfusion_core.training.ema import ModelAverage
from melfusion_core.training.log import MetricLog
from melfusion_core.training.optim import learning_rate_factor

CHECKPOINT = "checkpoint.pt"
SUMMARY = "summary.json"
MAX_SKIPPED = 20


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a call of `TrainLoop.run` ended.

    Args:
        step: Steps done, earlier sittings counted in.
        minutes: Training time, earlier sittings counted in.
        finished: Whether the run reached its limit; otherwise it was asked to stop and can be resumed.
        metrics: The last validation.
    """

    step: int
    minutes: float
    finished: bool
    metrics: dict[str, float]


class Task(ABC):
    """What one component brings to the loop: networks, losses, samples.

    A task sets `networks` (all that is saved and restored), `averaged` (names of networks with an EMA) and
    `optimizers` in its constructor, on the device that it is given. Where `global_batch` is set, all processes are
    given the same generator, and each takes its share of what is drawn; otherwise each draws a batch of its own.
    """

    name: str
    networks: dict[str, torch.nn.Module]
    averaged: tuple[str, ...]
    optimizers: dict[str, torch.optim.Optimizer]
    global_batch = False

    @abstractmethod
    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw a batch, compute losses and call `loop.update`.

        Args:
            loop: The loop, for `update`, `autocast` and `progress`.
            generator: CPU generator for every draw of this step.

        Returns:
            Scalar metrics, detached, with the same names at every step.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Measure on held-out clips; called with the averaged weights in place. Must draw the same way every time."""

    def sample(self, folder: Path) -> None:  # noqa: B027 - a task may have none
        """Write pictures and audio to judge by eye and ear, if any; called with the averaged weights in place.

        Args:
            folder: An existing folder for this set of samples.
        """

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Save the model for use; called with the averaged weights in place.

        Args:
            folder: An existing empty folder.
        """


class TrainLoop:
    """Runs a task until its limit of steps or minutes, whichever comes first.

    Every random draw of step `n` comes from a generator seeded by (seed, n, process), or by (seed, n) where a task
    draws global batches, so that a resumed run repeats an uninterrupted one exactly where the schedule follows steps.

    Args:
        config: The trainer's configuration.
        accelerator: Device and processes; `None` makes one from the configuration.
    """

    def __init__(self, config: TrainConfig, accelerator: Accelerator | None = None) -> None:
        use_threads(config.threads)
        self.config = config
        self.accelerator = accelerator or _make_accelerator(config)
        self.device = self.accelerator.device
        self.step = 0
        self.metrics: dict[str, float] = {}
        self._elapsed_s = 0.0
        self._started = time.monotonic()
        self._skipped = 0
        self._stop = False
        torch.manual_seed(config.seed)

    def run(self, task: Task) -> TrainResult:
        """Train.

        Args:
            task: What to train.

        Returns:
            How it ended.

        Raises:
            TrainingError: When the losses are no longer finite, or a checkpoint is there and `resume` is off.
        """
        config, out = self.config, self.config.out_folder
        out.mkdir(parents=True, exist_ok=True)
        self.task = task
        self.averages = {name: ModelAverage(task.networks[name], config.ema_decay) for name in task.averaged}
        for optimizer in task.optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        self._restore()
        main = self.accelerator.is_main_process
        logs = {}
        if main:
            (out / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
            for name in ("train", "validation"):
                logs[name] = MetricLog(out, name, self.step, config.tensorboard)
        self._started = time.monotonic()
        due = {"checkpoint": config.checkpoint_minutes, "validate": config.validate_minutes}
        due["sample"] = config.sample_minutes
        last = dict.fromkeys(due, time.monotonic())
        sums: dict[str, torch.Tensor] = {}
        count, tick = 0, time.monotonic()
        with self._stopping_on_signals():
            while self._sync_progress() < 1.0 and not self._stop:
                self._set_learning_rate()
                metrics = task.step(self, self._generator())
                for average in self.averages.values():
                    average.update()
                self.step += 1
                count += 1
                for name, value in metrics.items():
                    sums[name] = sums.get(name, 0.0) + value.detach().float()
                if count == config.log_steps:
                    row = {name: value / count for name, value in self._mean_over_processes(sums).items()}
                    row |= self._state_row((time.monotonic() - tick) / count)
                    if main:
                        logs["train"].write(self.step, row)
                    sums, count, tick = {}, 0, time.monotonic()
                if not main:
                    continue
                for name, minutes in due.items():
                    if minutes and time.monotonic() - last[name] >= 60.0 * minutes:
                        self._do(name, logs)
                        last[name] = tick = time.monotonic()
            finished = self.progress >= 1.0
            if main:
                self._do("checkpoint", logs)
                if finished:
                    self._do("validate", logs)
                    self._do("sample", logs)
        for log in logs.values():
            log.close()
        return TrainResult(self.step, self.minutes, finished, self.metrics)

    @property
    def minutes(self) -> float:
        """Training time in minutes, earlier sittings counted in."""
        return (self._elapsed_s + time.monotonic() - self._started) / 60.0

    def update(self, name: str, *losses: torch.Tensor | Callable[[], torch.Tensor]) -> torch.Tensor:
        """One optimiser step on a loss, or on the mean of several; skipped when the gradient is not finite.

        Args:
            name: Which of the task's optimisers.
            losses: Scalar losses, or functions that compute one: what each keeps for its gradient is gone before the
                next. One that depends on no weight teaches nothing.

        Returns:
            The gradient norm before clipping, scalar.

        Raises:
            TrainingError: When many gradients in a row are not finite.
        """
        optimizer = self.task.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        for loss in losses:
            loss = (loss() if callable(loss) else loss) / len(losses)
            if loss.requires_grad:
                loss.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for parameter in parameters:  # processes must agree on the list even where one's batch left a weight out
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._share_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.grad_clip or math.inf)
        if torch.isfinite(norm):
            optimizer.step()
            self._skipped = 0
            return norm
        self._skipped += 1
        if self._skipped > MAX_SKIPPED:
            raise TrainingError(f"{self._skipped} gradients of {name} in a row were not finite, at step {self.step}")
        return torch.zeros_like(norm)

    def _check_weights(self) -> None:
        """Refuse to keep what a far too quick learner made of its weights."""
        for name, network in self.task.networks.items():
            if not all(weight.isfinite().all() for weight in network.parameters()):
                raise TrainingError(
                    f"the weights of {name} are no longer numbers, at step {self.step}: they are not kept, and what "
                    "was kept before stays as it is; a lower learning rate will do better"
                )

    @contextmanager
    def autocast(self, plain_attention: bool = True) -> Iterator[None]:
        """Context for the networks' forward passes, as the configuration's precision says.

        Args:
            plain_attention: On a CPU, compute attention by plain products: the backward pass of PyTorch's fused kernel
                is slow there (a step of the mini music UNet, bf16, batch 8, one thread: 0.455 s instead of 0.58 s).
                Not with gradient checkpointing, which repeats the forward pass outside of this context.
        """
        with ExitStack() as stack:
            if plain_attention and self.device.type == "cpu":
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            enabled = self.config.precision == "bf16"
            stack.enter_context(torch.autocast(self.device.type, torch.bfloat16, enabled=enabled))
            yield

    def stop(self) -> None:
        """Ask the loop to save a checkpoint and return after the present step."""
        self._stop = True

    def _generator(self) -> torch.Generator:
        seed = self.config.seed * 1_000_003 + self.step
        if not self.task.global_batch:
            seed = seed * 1009 + self.accelerator.process_index
        return torch.Generator().manual_seed(seed % 2**63)

    def _mean_over_processes(self, sums: dict[str, torch.Tensor]) -> dict[str, float]:
        values = torch.stack([value.to(self.device) for value in sums.values()])
        if self.accelerator.num_processes > 1:
            values = self._mean(values)
        return dict(zip(sums, values.tolist(), strict=True))

    def _sync_progress(self) -> float:
        config = self.config
        steps = self.step / config.max_steps if config.max_steps else 0.0
        time_part = self.minutes / config.max_minutes if config.max_minutes else 0.0
        progress, stop = max(steps, time_part), float(self._stop)
        if self.accelerator.num_processes > 1:  # all processes must agree on the schedule and on when to stop
            both = torch.tensor([progress, stop], device=self.device, dtype=torch.float64)
            progress, stop = self._mean(both).tolist()
        self.progress, self._stop = min(1.0, progress), stop > 0
        return self.progress

    def _set_learning_rate(self) -> None:
        self.factor = learning_rate_factor(self.progress, self.config.warmup)
        for optimizer in self.task.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * self.factor

    def _share_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        if self.accelerator.num_processes == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        for gradient, part in zip(gradients, self._mean(flat).split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Mean over processes."""
        mean = self.accelerator.reduce(tensor, "mean")
        assert isinstance(mean, torch.Tensor)
        return mean

    def _state_row(self, step_s: float) -> dict[str, float]:
        rate = self.config.learning_rate * self.factor
        return {"learning_rate": rate, "progress": self.progress, "minutes": self.minutes, "step_s": step_s}

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        with ExitStack() as stack:
            for average in self.averages.values():
                stack.enter_context(average.applied())
            with torch.no_grad():
                yield

    def _do(self, name: str, logs: dict[str, MetricLog]) -> None:
        if name != "validate":
            self._check_weights()
        if name == "checkpoint":
            self._save()
            return
        with self._averaged():
            if name == "validate":
                self.metrics = self.task.validate()
                logs["validation"].write(self.step, self.metrics | {"minutes": self.minutes})
                shown = " ".join(f"{key}={value:.4g}" for key, value in self.metrics.items())
                print(f"{self.task.name} step {self.step} ({self.minutes:.1f} min): {shown}", flush=True)
                self._write_summary()
                return
            folder = self.config.out_folder / "samples" / f"{self.step:07d}"
            folder.mkdir(parents=True, exist_ok=True)
            self.task.sample(folder)
            if not any(folder.iterdir()):
                folder.rmdir()
            replace_folder(self.config.out_folder / "export", self.task.export)

    def _save(self) -> None:
        task = self.task
        state = {
            "step": self.step,
            "elapsed_s": 60.0 * self.minutes,
            "rng": torch.get_rng_state(),
            "networks": {name: network.state_dict() for name, network in task.networks.items()},
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in task.optimizers.items()},
        }
        target = self.config.out_folder / CHECKPOINT
        partial = target.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, target)
        self._write_summary()

    def _restore(self) -> None:
        path = self.config.out_folder / CHECKPOINT
        if not path.exists():
            return
        if not self.config.resume:
            raise TrainingError(f"{path} exists; remove it, choose another run folder, or resume")
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.step, self._elapsed_s = state["step"], state["elapsed_s"]
        except Exception as error:  # noqa: BLE001  (torch.load raises what it likes, and advises to load unsafely)
            raise TrainingError(f"{path} is damaged or no checkpoint of a trainer; remove it to begin anew") from error
        torch.set_rng_state(state["rng"].cpu())
        for name, network in self.task.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        for name, optimizer in self.task.optimizers.items():
            rates = [group["initial_lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][name])
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["initial_lr"] = rate
        print(f"{self.task.name}: resumed at step {self.step} after {self._elapsed_s / 60:.1f} min", flush=True)

    def _write_summary(self) -> None:
        summary = {
            "component": self.task.name,
            "steps": self.step,
            "minutes": round(self.minutes, 2),
            "device": str(self.device),
            "processes": self.accelerator.num_processes,
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "torch": torch.__version__,
            "config": {k: v for k, v in dataclasses.asdict(self.config).items() if k not in ("data", "out")},
            "validation": self.metrics,
        }
        (self.config.out_folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")

    @contextmanager
    def _stopping_on_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # signals can only be handled in the main thread: here the caller stops the loop with stop()
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _make_accelerator(config: TrainConfig) -> Accelerator:
    """Device and processes as the configuration and `accelerate launch` say."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device is cuda, but PyTorch sees no CUDA device")
    return Accelerator(cpu=config.device == "cpu", mixed_precision="no")


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder and put it in place in one move, so that readers never see half of it.

    Args:
        target: The folder to replace.
        write: Called with an empty folder to fill.
    """
    fresh, old = target.with_name(target.name + ".partial"), target.with_name(target.name + ".old")
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    write(fresh)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)
