"""Trainer of a full-size model's visual synapse, and of what else of the music UNet should move.

``accelerate launch -m melfusion_core.full_size.synapse_trainer --model FULL --data TRIPLETS --out RUN``

Works on the CPU, one GPU, or several: every process takes its share of each global batch, gradients are averaged over
processes, and the draws of step n depend on the seed and n alone, so that N processes with batch B compute what one
process with batch N x B computes. ``melfusion assemble --base FULL --trained RUN/export --out NEW`` makes a model of
it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import gather_object
from safetensors.torch import save_file

from melfusion_core.full_size.full_model import FullModel
from melfusion_core.full_size.rows import FORMATS, BadRow, Row, RowError, Table, check_table, open_table
from melfusion_core.full_size.trainable import MODES, exported_name
from melfusion_core.training.config import TrainConfig, parse_config
from melfusion_core.training.loop import CHECKPOINT, MAX_SKIPPED, Task, TrainingError, TrainLoop, TrainResult
from melfusion_core.training.losses import min_snr_weight, snr_of, stratified_timesteps

BAD_ROWS = "bad_rows.jsonl"


@dataclass(frozen=True)
class SynapseConfig(TrainConfig):
    """Train the synapse of a full-size model on triplets of picture, caption and music.

    Args:
        model: Folder of the pipeline to start from.
        data: MeLBench folder, file of JSON lines, or Hugging Face dataset (folder or name on the Hub).
        validation: Another table to measure on; empty for the rows of split ``validation`` in data, or else for the
            first training rows.
        data_format: ``auto``, ``melbench``, ``jsonl`` or ``datasets``.
        root: Folder below which the table's relative paths lie; empty for the table's own.
        audio_column: Name of the audio's column; empty for the usual ones.
        image_column: Name of the picture's column; empty for the usual ones.
        caption_column: Name of the caption's column; empty for the usual ones.
        mode: ``gates``, ``gates_kv``, ``full`` or ``lora``.
        lora_rank: Rank in mode ``lora``.
        lora_alpha: Scale in mode ``lora``, over the rank.
        batch_size: Rows per process, and per step without accumulation.
        accumulation: Batches whose gradients are added before a step.
        checkpointing: Whether to recompute activations instead of keeping them: slower, much less memory.
        learning_rate: Peak learning rate of all but the gates.
        gate_rate: Learning rate of the gates relative to the rest.
        duration_s: Length of a clip in seconds.
        peak: Peak that waveforms are scaled to; 0 leaves them.
        text_dropout: Share of rows without their caption.
        image_dropout: Share of rows without their picture.
        both_dropout: Share of rows with neither.
        min_snr_gamma: Gamma of the min-SNR weighting; 0 for none.
        cache_rows: Rows whose encodings are kept in main memory.
        validation_rows: Rows to measure on.
        sample_minutes: Minutes between two exports.
    """

    model: str = ""
    validation: str = ""
    data_format: str = "auto"
    root: str = ""
    audio_column: str = ""
    image_column: str = ""
    caption_column: str = ""
    mode: str = "gates"
    lora_rank: int = 16
    lora_alpha: float = 16.0
    batch_size: int = 2
    accumulation: int = 1
    checkpointing: bool = False
    learning_rate: float = 1e-5
    weight_decay: float = 1e-2
    gate_rate: float = 1000.0
    duration_s: float = 10.24
    peak: float = 0.5
    text_dropout: float = 0.1
    image_dropout: float = 0.1
    both_dropout: float = 0.1
    min_snr_gamma: float = 5.0
    cache_rows: int = 0
    validation_rows: int = 32
    checkpoint_minutes: float = 15.0
    validate_minutes: float = 30.0
    sample_minutes: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(bool(self.model), "model must name a pipeline's folder")
        self.require(self.mode in MODES, f"mode must be one of {MODES}")
        self.require(self.data_format in FORMATS, f"data_format must be one of {FORMATS}")
        self.require(self.accumulation >= 1 and self.lora_rank >= 1, "accumulation and lora_rank must be at least 1")
        usual = (type(self).lora_rank, type(self).lora_alpha)
        lora = self.mode == "lora" or (self.lora_rank, self.lora_alpha) == usual
        self.require(lora, "lora_rank and lora_alpha have no effect but in mode lora")
        rates = (self.text_dropout, self.image_dropout, self.both_dropout)
        self.require(min(rates) >= 0 and sum(rates) <= 1, "dropouts must not be negative, nor more than 1 in sum")
        self.require(self.min_snr_gamma >= 0 and self.gate_rate > 0, "gamma and gate_rate must not be negative")
        self.require(0 <= self.peak <= 1 and self.duration_s > 0, "peak must be in [0, 1], duration_s positive")
        self.require(self.validation_rows >= 1 and self.cache_rows >= 0, "there must be rows to measure on")


class GlobalBatchLoop(TrainLoop):
    """The training loop with draws that all processes share, and with gradients of several batches in a step."""

    def autocast(self) -> torch.autocast:
        """Context for forward passes: the precision alone, since checkpointing repeats them outside of any other."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed((self.config.seed * 1_000_003 + self.step) % 2**63)

    def accumulate(self, name: str, losses: Sequence[Callable[[], torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        """One optimiser step on the mean of several losses, each computed and differentiated by itself.

        Args:
            name: Which of the task's optimisers.
            losses: Functions that compute them.

        Returns:
            Mean loss and gradient norm before clipping, scalars, over all processes.

        Raises:
            TrainingError: When many gradients in a row are not finite.
        """
        optimizer = self.task.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for compute in losses:
            loss = compute() / len(losses)
            if loss.requires_grad:  # not where only the synapse is trained and no row has a picture
                loss.backward()
            total = total + loss.detach()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for parameter in parameters:  # processes must agree on the list even where one drew no picture at all
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._share_gradients(parameters)
        if self.accelerator.num_processes > 1:
            total = self.accelerator.reduce(total, "mean")
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.grad_clip or math.inf)
        if torch.isfinite(norm):
            optimizer.step()
            self._skipped = 0
            return total, norm
        self._skipped += 1
        if self._skipped > MAX_SKIPPED:
            raise TrainingError(f"{self._skipped} gradients in a row were not finite, at step {self.step}")
        return total, torch.zeros_like(norm)


class SynapseTask(Task):
    """Denoising of music latents by a full-size model, with what is to be trained unfrozen.

    Args:
        config: The trainer's configuration.
        loop: The loop, for the device and the processes.
    """

    name = "synapse"

    def __init__(self, config: SynapseConfig, loop: TrainLoop) -> None:
        self.config, self.loop, self.autocast, accelerator = config, loop, loop.autocast, loop.accelerator
        self.rank, self.processes = accelerator.process_index, accelerator.num_processes
        self._check_run()
        self.train_rows, self.held_out = self._open(accelerator.is_main_process)
        self.model = FullModel(
            Path(config.model),
            loop.device,
            mode=config.mode,
            precision=config.precision,
            duration_s=config.duration_s,
            peak=config.peak,
            lora_rank=config.lora_rank,
            lora_alpha=config.lora_alpha,
            checkpointing=config.checkpointing,
            cache_rows=config.cache_rows,
        )
        self.networks = {"synapse": self.model.synapse, "unet": self.model.trained}
        self.averaged = ("synapse", "unet") if self.model.trained.names else ("synapse",)
        gates = self.model.synapse.gate_logits
        others = [p for p in self.model.synapse.parameters() if p is not gates]
        others += list(self.model.trained.parameters())
        groups = [
            {"params": [gates], "weight_decay": 0.0, "lr": config.gate_rate * config.learning_rate},
            {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimizers = {"synapse": torch.optim.AdamW(groups, lr=config.learning_rate)}

    def step(self, loop: GlobalBatchLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw this process's share of the global batch and update.

        Args:
            loop: The training loop.
            generator: CPU generator, equal in all processes.

        Returns:
            Loss, gradient norm and gates.
        """
        config, model = self.config, self.model
        size = config.batch_size * config.accumulation
        count = size * self.processes
        chosen = torch.randint(len(self.train_rows), (count,), generator=generator).tolist()
        places = torch.rand(3, count, generator=generator)
        timesteps = stratified_timesteps(count, model.scheduler.config.num_train_timesteps, generator)
        noise_seeds = torch.randint(2**62, (count,), generator=generator).tolist()
        mine = range(self.rank * size, (self.rank + 1) * size)
        parts = [list(mine[start : start + config.batch_size]) for start in range(0, size, config.batch_size)]

        def compute(members: list[int]) -> torch.Tensor:
            latents, noise, texts, seen = [], [], [], {}
            for member in members:
                index = self.train_rows[chosen[member]]
                row = self._row(index)
                place, variant, drop = places[:, member].tolist()
                without_text, without_image = self._drops(drop)
                caption = "" if without_text else row.captions[int(variant * len(row.captions))]
                latents.append(model.latents(index, row, place))
                own = torch.Generator().manual_seed(noise_seeds[member])
                noise.append(torch.randn(latents[-1].shape, generator=own))
                texts.append(model.text(caption))
                if not without_image:
                    seen[member] = (index, row)
            pictures = dict(zip(seen, model.features(list(seen.values())), strict=True))
            times = timesteps[members]
            features = [pictures.get(member) for member in members]
            with loop.autocast():
                errors = model.errors(torch.cat(latents), torch.cat(noise), times, texts, features)
            return (self._weight(times) * errors).mean()

        loss, norm = loop.accumulate("synapse", [lambda part=part: compute(part) for part in parts])
        model.handle.clear()
        gates = model.synapse.gates().detach()
        return {"loss": loss, "norm": norm, "gate_mean": gates.mean(), "gate_max": gates.max()}

    def validate(self) -> dict[str, float]:
        """Losses with and without the picture, and with another row's; rows, noise and timesteps never change."""
        rows, model = [(index, self._row(index)) for index in self.held_out], self.model
        generator = torch.Generator().manual_seed(1)
        times = stratified_timesteps(len(rows), model.scheduler.config.num_train_timesteps, generator)
        sums = {"loss": 0.0, "loss_text_only": 0.0, "loss_wrong_picture": 0.0}
        for start in range(0, len(rows), self.config.batch_size):
            part = rows[start : start + self.config.batch_size]
            time, count = times[start : start + len(part)], len(part)
            latents = torch.cat([model.latents(index, row, 0.0) for index, row in part])
            noise = torch.randn(latents.shape, generator=generator)
            texts = [model.text(row.captions[0]) for _, row in part]
            right = model.features(part)
            wrong = model.features([rows[(start + place + 1) % len(rows)] for place in range(count)])
            for name, pictures in zip(sums, (right, [None] * count, wrong), strict=True):
                with self.autocast():
                    errors = model.errors(latents, noise, time, texts, pictures)
                sums[name] += float((self._weight(time) * errors).sum()) / len(rows)
        model.handle.clear()
        gates = {f"gate_{layer}": float(gate) for layer, gate in enumerate(model.synapse.gates())}
        return sums | gates

    def sample(self, folder: Path) -> None:
        """Nothing is rendered while training: ``melfusion generate`` does it with the assembled model.

        Args:
            folder: Removed, so that no empty ones pile up.
        """
        folder.rmdir()

    def export(self, folder: Path) -> None:
        """Save the averaged synapse and what of the UNet was trained.

        Args:
            folder: Where to write.
        """
        config = self.config
        self.model.synapse.save_pretrained(folder / "synapse")
        weights = {name: value.detach().cpu().contiguous() for name, value in self.model.trained.named().items()}
        if config.mode == "lora":
            save_file(
                {exported_name(name): value for name, value in weights.items()}, folder / "unet_lora.safetensors"
            )
            settings = {"rank": config.lora_rank, "alpha": config.lora_alpha}
            (folder / "lora.json").write_text(json.dumps(settings) + "\n")
        elif weights:
            save_file(weights, folder / "unet_trained.safetensors")
        fields = ("mode", "batch_size", "accumulation", "learning_rate", "gate_rate", "seed", "precision", "max_steps")
        summary = {name: getattr(config, name) for name in fields}
        summary |= {"steps": self.loop.step, "processes": self.processes, "rows": len(self.train_rows)}
        (folder / "training.json").write_text(json.dumps(summary, indent=2) + "\n")

    def _open(self, main: bool) -> tuple[list[int], list[int]]:
        config = self.config
        columns = {name: getattr(config, f"{name}_column") for name in ("audio", "image", "caption")}
        self._tables: list[Table] = [open_table(config.data, config.data_format, "train", columns, config.root)]
        if config.validation:
            extra = open_table(config.validation, config.data_format, "validation", columns, config.root)
            self._tables.append(extra)
        mine = []  # every process looks at its share of the rows
        for number, table in enumerate(self._tables):
            share = range(self.rank, len(table), self.processes)
            mine += [(number, *found) for found in check_table(table, share)]
        found = sorted(gather_object(mine)) if self.processes > 1 else mine
        starts = [0, len(self._tables[0])]
        good: dict[tuple[int, str], list[int]] = {}
        for number, index, split, reason in found:
            if not reason:
                good.setdefault((number, split), []).append(starts[number] + index)
        reasons = [reason for *_, reason in found if reason]
        if main and reasons:
            config.out_folder.mkdir(parents=True, exist_ok=True)
            listed = config.out_folder / BAD_ROWS
            listed.write_text("".join(json.dumps({"reason": reason}) + "\n" for reason in reasons))
            print(f"synapse: {len(reasons)} bad rows left out, listed in {listed}; the first: {reasons[0]}")
        rows = good.get((0, "train"), [])
        rows = rows[: config.limit] if config.limit else rows
        if not rows:
            splits = ", ".join(sorted({split for number, split in good if number == 0})) or "none"
            raise TrainingError(
                f"{config.data} has no usable training row (splits: {splits})" + (f": {reasons[0]}" if reasons else "")
            )
        extra = [index for (number, _), indices in good.items() if number == 1 for index in indices]
        if config.validation and not extra:
            raise TrainingError(f"{config.validation} has no usable row" + (f": {reasons[-1]}" if reasons else ""))
        held_out = good.get((1, "validation")) or extra or good.get((0, "validation")) or rows
        if main:
            print(f"synapse: {len(rows)} rows to train on, measured on {len(held_out[: config.validation_rows])}")
        return rows, held_out[: config.validation_rows]

    def _check_run(self) -> None:
        path = self.config.out_folder / "config.json"
        if not (self.config.out_folder / CHECKPOINT).is_file() or not path.is_file():
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        for name in ("mode", "lora_rank", "lora_alpha"):
            if before.get(name) != getattr(self.config, name):
                raise TrainingError(
                    f"the run in {self.config.out_folder} has {name} {before.get(name)}, not "
                    f"{getattr(self.config, name)}: choose another --out"
                )

    def _row(self, index: int) -> Row:
        for table in self._tables:
            if index < len(table):
                row = table[index]
                break
            index -= len(table)
        if isinstance(row, BadRow):
            raise RowError(row.reason)
        return row

    def _drops(self, place: float) -> tuple[bool, bool]:
        config = self.config
        both, text = config.both_dropout, config.both_dropout + config.text_dropout
        if place < both:
            return True, True
        return place < text, text <= place < text + config.image_dropout

    def _weight(self, timesteps: torch.Tensor) -> torch.Tensor:
        if not self.config.min_snr_gamma:
            return torch.ones(len(timesteps), device=self.model.device)
        snr = snr_of(self.model.scheduler.alphas_cumprod, timesteps)
        kind = self.model.scheduler.config.prediction_type
        return min_snr_weight(snr, self.config.min_snr_gamma, kind).to(self.model.device)


def train(config: SynapseConfig) -> TrainResult:
    """Train the synapse of a full-size model.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged weights are in ``out/export``.

    Raises:
        TrainingError: When the model or the data cannot be used, or a file is damaged that looked sound.
    """
    loop = GlobalBatchLoop(config)
    try:
        return loop.run(SynapseTask(config, loop))
    except (RowError, ValueError, ImportError) as error:
        raise TrainingError(str(error)) from error


if __name__ == "__main__":
    try:
        train(parse_config(SynapseConfig, program="python -m melfusion_core.full_size.synapse_trainer"))
    except TrainingError as error:
        raise SystemExit(f"synapse: {error}") from error
