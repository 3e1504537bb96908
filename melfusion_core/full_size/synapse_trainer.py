"""Trainer of a full-size model's visual synapse, and of what else of the music UNet should move.

`accelerate launch -m melfusion_core.cli train synapse --model FULL --data TRIPLETS --out RUN`

Works on the CPU, one GPU, or several: every process takes its share of each global batch, gradients are averaged over
processes, and the draws of step n depend on the seed and n alone, so that N processes with batch B compute what one
process with batch N x B computes. `melfusion assemble --base FULL --trained RUN/export --out NEW` makes a model of
it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from accelerate.utils import gather_object
from safetensors.torch import save_file

from melfusion_core.data.corpus import CorpusError, Triplet, read_table
from melfusion_core.full_size.full_model import FullModel
from melfusion_core.full_size.synapse_config import SynapseConfig
from melfusion_core.full_size.trainable import exported_name
from melfusion_core.models.features import ImageFeatures
from melfusion_core.training.loop import CHECKPOINT, Task, TrainingError, TrainLoop, TrainResult
from melfusion_core.training.losses import dropped, loss_weights, stratified_timesteps
from melfusion_core.training.optim import parameter_groups

BAD_ROWS = "bad_rows.jsonl"


class SynapseTask(Task):
    """Denoising of music latents by a full-size model, with what is to be trained unfrozen.

    Args:
        config: The trainer's configuration.
        loop: The loop, for the device and the processes.
    """

    name = "synapse"
    global_batch = True

    def __init__(self, config: SynapseConfig, loop: TrainLoop) -> None:
        self.config, self.loop, accelerator = config, loop, loop.accelerator
        self.rank, self.processes = accelerator.process_index, accelerator.num_processes
        self._check_run()
        self.train_rows, self.held_out = self._open(accelerator.is_main_process)
        self.model = FullModel(config, loop.device)
        self.networks = {"synapse": self.model.synapse, "unet": self.model.trained}
        self.averaged = ("synapse", "unet") if self.model.trained.names else ("synapse",)
        gates, gate_rate = self.model.synapse.gate_logits, config.gate_rate * config.learning_rate
        groups = parameter_groups(list(self.networks.values()), config.weight_decay, gates, gate_rate)
        self.optimizers = {"synapse": torch.optim.AdamW(groups, lr=config.learning_rate)}

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw this process's share of the global batch and update."""
        config, model = self.config, self.model
        size = config.batch_size * config.accumulation
        count = size * self.processes
        chosen = torch.randint(len(self.train_rows), (count,), generator=generator).tolist()
        places = torch.rand(3, count, generator=generator)
        timesteps = stratified_timesteps(count, model.scheduler.config.num_train_timesteps, generator)
        noise_seeds = torch.randint(2**62, (count,), generator=generator).tolist()
        losses: list[torch.Tensor] = []

        def compute(members: range) -> torch.Tensor:
            latents, noise, texts, seen = [], [], [], {}
            for member in members:
                row = self.train_rows[chosen[member]]
                place, variant, drop = places[:, member].tolist()
                without_text, without_image = dropped(
                    drop, config.text_dropout, config.image_dropout, config.both_dropout
                )
                caption = "" if without_text else row.captions[int(variant * len(row.captions))]
                latents.append(model.latents(row, place))
                own = torch.Generator().manual_seed(noise_seeds[member])
                noise.append(torch.randn(latents[-1].shape, generator=own))
                texts.append(model.text(caption))
                if not without_image:
                    seen[member] = row
            pictures = dict(zip(seen, model.features(list(seen.values())), strict=True))
            features = [pictures.get(member) for member in members]
            times = timesteps[list(members)]
            losses.append(self._weighted(torch.cat(latents), torch.cat(noise), times, texts, features).mean())
            return losses[-1]

        mine = range(self.rank * size, (self.rank + 1) * size)
        parts = [mine[start : start + config.batch_size] for start in range(0, size, config.batch_size)]
        norm = loop.update("synapse", *(partial(compute, part) for part in parts))
        model.handle.clear()
        gates = model.synapse.gates().detach()
        loss = torch.stack([each.detach() for each in losses]).mean()
        return {"loss": loss, "norm": norm, "gate_mean": gates.mean(), "gate_max": gates.max()}

    def validate(self) -> dict[str, float]:
        """Losses with and without the picture, and with another row's; rows, noise and timesteps never change."""
        rows, model = self.held_out, self.model
        generator = torch.Generator().manual_seed(1)
        times = stratified_timesteps(len(rows), model.scheduler.config.num_train_timesteps, generator)
        sums = {"loss": 0.0, "loss_text_only": 0.0, "loss_wrong_picture": 0.0}
        for start in range(0, len(rows), self.config.batch_size):
            part = rows[start : start + self.config.batch_size]
            time, count = times[start : start + len(part)], len(part)
            latents = torch.cat([model.latents(row, 0.0) for row in part])
            noise = torch.randn(latents.shape, generator=generator)
            texts = [model.text(row.caption) for row in part]
            right = model.features(part)
            wrong = model.features([rows[(start + place + 1) % len(rows)] for place in range(count)])
            for name, pictures in zip(sums, (right, [None] * count, wrong), strict=True):
                sums[name] += float(self._weighted(latents, noise, time, texts, pictures).sum()) / len(rows)
        model.handle.clear()
        return sums | {f"gate_{layer}": float(gate) for layer, gate in enumerate(model.synapse.gates())}

    def export(self, folder: Path) -> None:
        """Save the averaged synapse and what of the UNet was trained."""
        config = self.config
        self.model.synapse.save_pretrained(folder / "synapse")
        weights = {name: value.detach().cpu().contiguous() for name, value in self.model.trained.named().items()}
        if config.mode == "lora":
            weights = {exported_name(name): value for name, value in weights.items()}
            save_file(weights, folder / "unet_lora.safetensors")
            settings = {"rank": config.lora_rank, "alpha": config.lora_alpha}
            (folder / "lora.json").write_text(json.dumps(settings) + "\n")
        elif weights:
            save_file(weights, folder / "unet_trained.safetensors")
        fields = ("mode", "batch_size", "accumulation", "learning_rate", "gate_rate", "seed", "precision", "max_steps")
        summary = {name: getattr(config, name) for name in fields}
        summary |= {"steps": self.loop.step, "processes": self.processes, "rows": len(self.train_rows)}
        (folder / "training.json").write_text(json.dumps(summary, indent=2) + "\n")

    def _weighted(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        texts: list,
        pictures: Sequence[ImageFeatures | None],
    ) -> torch.Tensor:
        """Weighted errors of rows, of shape `(batch,)`."""
        with self.loop.autocast(plain_attention=False):
            errors = self.model.errors(latents, noise, timesteps, texts, pictures)
        weights = loss_weights(self.model.scheduler, timesteps, self.config.min_snr_gamma)
        return weights.to(self.model.device) * errors

    def _open(self, main: bool) -> tuple[list[Triplet], list[Triplet]]:
        """The rows to train on and to measure on; bad ones are listed and left out."""
        config = self.config
        columns = {name: getattr(config, f"{name}_column") for name in ("audio", "image", "caption")}
        tables = [read_table(config.data, config.data_format, "train", columns, config.root)]
        if config.validation:
            tables.append(read_table(config.validation, config.data_format, "validation", columns, config.root))
        rows = [(number, row) for number, (table, _) in enumerate(tables) for row in table]
        reasons = [reason for _, bad in tables for reason in bad]
        # Every process looks at the files of its share.
        mine = [(index, _fault(row)) for index, (_, row) in islice(enumerate(rows), self.rank, None, self.processes)]
        faults = dict(gather_object(mine) if self.processes > 1 else mine)
        good: dict[tuple[int, str], list[Triplet]] = {}
        for index, (number, row) in enumerate(rows):
            if faults[index]:
                reasons.append(faults[index])
            else:
                good.setdefault((number, row.split), []).append(row)
        if main and reasons:
            config.out_folder.mkdir(parents=True, exist_ok=True)
            listed = config.out_folder / BAD_ROWS
            listed.write_text("".join(json.dumps({"reason": reason}) + "\n" for reason in reasons))
            print(f"synapse: {len(reasons)} bad rows left out, listed in {listed}; the first: {reasons[0]}")
        train_rows = good.get((0, "train"), [])
        train_rows = train_rows[: config.limit] if config.limit else train_rows
        if not train_rows:
            splits = ", ".join(sorted({split for number, split in good if number == 0})) or "none"
            raise TrainingError(
                f"{config.data} has no usable training row (splits: {splits})" + (f": {reasons[0]}" if reasons else "")
            )
        extra = [row for (number, _), found in good.items() if number == 1 for row in found]
        if config.validation and not extra:
            raise TrainingError(f"{config.validation} has no usable row" + (f": {reasons[-1]}" if reasons else ""))
        held_out = good.get((1, "validation")) or extra or good.get((0, "validation")) or train_rows
        held_out = held_out[: config.validation_rows]
        if main:
            print(f"synapse: {len(train_rows)} rows to train on, measured on {len(held_out)}")
        return train_rows, held_out

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


def _fault(row: Triplet) -> str:
    """Why a row's files cannot be used; empty for a good one."""
    try:
        row.check_files()
    except CorpusError as error:
        return str(error)
    return ""


def train(config: SynapseConfig) -> TrainResult:
    """Train the synapse of a full-size model.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the averaged weights are in `out/export`.

    Raises:
        TrainingError: When the model or the data cannot be used, or a file is damaged that looked sound.
    """
    loop = TrainLoop(config)
    try:
        return loop.run(SynapseTask(config, loop))
    except (ValueError, ImportError) as error:
        raise TrainingError(str(error)) from error
