"""Trainer of the cell codec of the score engine.

``melfusion train score-codec --data SCORES --out RUN --max-minutes 15``

Learned on noised points, so that what a denoiser leaves over snaps to notes. A part of every batch is made of random
sparse notes: what a codec must bring back is any music, not only that of its corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from melfusion_core.data.score_table import ScoreTable
from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import cell_bits, drum_bits, encode_cells
from melfusion_core.engines.score.grid import Grid, grid_from_score
from melfusion_core.engines.score.layout import DRUM_CLASSES, OCTAVES, ROLES, TICKS
from melfusion_core.training.config import TrainConfig
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.optim import parameter_groups


@dataclass(frozen=True)
class ScoreCodecConfig(TrainConfig):
    """Configuration of the cell codec's trainer.

    Args:
        batch_size: Passages of one role per step; half as many passages of drums.
        beats: Length of a passage.
        noise: Largest standard deviation of the noise on points.
        random_share: Share of passages that are random sparse notes.
        positive_weight: Weight of a missing note against one too many.
        empty_share: Share of the cells without notes that count in the loss.
        width: Hidden units of the codec.
    """

    batch_size: int = 64
    beats: int = 12
    noise: float = 0.4
    random_share: float = 0.1
    positive_weight: float = 1.5
    empty_share: float = 0.1
    width: int = 768

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.beats >= 2, "beats must be at least 2")
        self.require(0 <= self.random_share < 1, "random_share must be in [0, 1)")
        self.require(self.noise >= 0, "noise must not be negative")


class ScoreCodecTask(Task):
    """Reconstruction of cells from noised points.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "score-codec"
    averaged = ("codec",)

    def __init__(self, config: ScoreCodecConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.codec = CellCodec(width=config.width).to(device)
        self.networks = {"codec": self.codec}
        groups = parameter_groups([self.codec], config.weight_decay)
        self.optimizers = {"codec": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)}
        self.table = ScoreTable.load(Path(config.data))
        rows = [row for row, clip in enumerate(self.table.clips) if clip["beats"] >= config.beats]
        splits = {s: [r for r in rows if self.table.clips[r]["split"] == s] for s in ("train", "validation")}
        if not all(splits.values()):
            raise ValueError(f"{config.data} needs passages of at least {config.beats} beats in train and validation")
        limit = config.limit or None
        self._packed: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.rows, self.held_out = splits["train"][:limit], splits["validation"][: min(200, config.limit or 200)]

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw passages and update."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        notes, drums = self._draw(rng)
        with loop.autocast():
            note_loss = self._loss(notes, generator)
            drum_loss = self._loss(drums, generator)
        norm = loop.update("codec", note_loss + drum_loss)
        return {"loss": note_loss.detach(), "drum_loss": drum_loss.detach(), "norm": norm}

    def validate(self) -> dict[str, float]:
        """Onset F, exact durations and exact drums on held-out works, clean and at noise .3."""
        results = {}
        for name, noise in (("clean", 0.0), ("noised", 0.3)):
            results |= {f"{name}_{key}": value for key, value in self._round_trip(noise).items()}
        return results

    def sample(self, folder: Path) -> None:
        """Nothing to look at: the figures of :meth:`validate` say it all."""

    def export(self, folder: Path) -> None:
        """Save the averaged codec."""
        self.codec.save_pretrained(folder)

    def _draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Bits of pitched passages ``(batch, 288, beats, octaves)`` and of drums ``(batch, 288, beats, 1)``."""
        config = self.config
        notes: list[np.ndarray] = []
        drums: list[np.ndarray] = []
        wanted = int(config.batch_size * (1 - config.random_share))
        while len(notes) < wanted or len(drums) < wanted // 2:
            row = self.rows[int(rng.integers(len(self.rows)))]
            start = int(rng.integers(self.table.clips[row]["beats"] - config.beats + 1))
            bits, hits = (np.unpackbits(packed, axis=-1).view(bool) for packed in self._passage(row, start))
            for role in np.flatnonzero(bits.any(axis=(1, 2, 3))):
                if len(notes) < wanted:
                    notes.append(_varied(rng, bits[role], notes))
            if hits.any() and len(drums) < wanted // 2:
                drums.append(hits[:, None])
        for _ in range(config.batch_size - wanted):
            notes.append(_random_notes(rng, config.beats))
            drums.append(_random_hits(rng, config.beats))
        cells, hits = (
            torch.from_numpy(np.stack(many)).permute(0, 3, 1, 2).float().to(self.device) for many in (notes, drums)
        )
        return cells, hits

    def _passage(self, row: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Packed bits of some beats of a score, which is read once."""
        if row not in self._packed:
            grid = grid_from_score(self.table.score(row), self.table.clips[row]["beats"])
            self._packed[row] = (np.packbits(cell_bits(grid), axis=-1), np.packbits(drum_bits(grid), axis=-1))
        bits, hits = self._packed[row]
        beats = slice(start, start + self.config.beats)
        return bits[:, beats], hits[beats]

    def _loss(self, bits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        drums = bits.shape[-1] == 1
        encode = self.codec.encode_drums if drums else self.codec.encode_notes
        filled, cells = bits.any(dim=1), bits.permute(0, 2, 3, 1)
        codes = encode(cells[filled]).float()
        points = codes.new_zeros(*filled.shape, codes.shape[-1]).index_put((filled,), codes).permute(0, 3, 1, 2)
        level = torch.rand(len(bits), 1, 1, 1, generator=generator) * self.config.noise
        points = points + (level * torch.randn(points.shape, generator=generator)).to(points)
        # Every cell with notes, and few of the empty ones, most by far.
        chosen = filled | (torch.rand(filled.shape, generator=generator) < self.config.empty_share).to(filled.device)
        logits = decode_at(self.codec.drums_out if drums else self.codec.notes_out, points, chosen)
        weight = torch.tensor(self.config.positive_weight, device=bits.device)
        target = cells[chosen]
        every = F.binary_cross_entropy_with_logits(logits.float(), target, pos_weight=weight, reduction="sum")
        return every / filled.sum().clamp_min(1)

    def _round_trip(self, noise: float) -> dict[str, float]:
        generator = torch.Generator().manual_seed(5)
        hits = missed = extra = lengths = drums_same = drums_all = 0
        for row in self.held_out:
            grid = grid_from_score(self.table.score(row), self.table.clips[row]["beats"])
            points, drum_points = encode_cells(self.codec, grid)
            points = points + noise * torch.randn(points.shape, generator=generator).to(points)
            drum_points = drum_points + noise * torch.randn(drum_points.shape, generator=generator).to(drum_points)
            made = Grid(*self.codec_bits(points, drum_points))
            hits += int((made.onset & grid.onset).sum())
            missed += int((grid.onset & ~made.onset).sum())
            extra += int((made.onset & ~grid.onset).sum())
            lengths += int((made.hold != grid.hold).sum())
            drums_same += int(((made.hits == grid.hits) & (made.accents == grid.accents)).all(axis=(1, 2)).sum())
            drums_all += grid.beats
        return {
            "onset_f": 2 * hits / max(2 * hits + missed + extra, 1),
            "hold_errors": lengths / max(hits + missed, 1),
            "drum_beats": drums_same / max(drums_all, 1),
        }

    def codec_bits(self, points: torch.Tensor, drum_points: torch.Tensor) -> tuple[np.ndarray, ...]:
        """Decode points at threshold one half.

        Args:
            points: Of shape ``(roles, dim, beats, octaves)``.
            drum_points: Of shape ``(drum_dim, beats)``.

        Returns:
            What a :class:`~melfusion_core.engines.score.grid.Grid` is made of.
        """
        notes = (self.codec.decode_notes(points) > 0).cpu().numpy().transpose(0, 2, 3, 1)
        notes = notes.reshape(*notes.shape[:3], 2, 12, TICKS)
        drums = (self.codec.decode_drums(drum_points[None])[0] > 0).cpu().numpy().T
        drums = drums.reshape(len(drums), 2, len(DRUM_CLASSES), TICKS)
        return notes[..., 0, :, :], notes[..., 1, :, :], drums[:, 0], drums[:, 1] & drums[:, 0]


def _varied(rng: np.random.Generator, bits: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """A passage moved in pitch and time, or played together with another one: more combinations than any corpus has.

    Args:
        rng: Source of randomness.
        bits: Of shape ``(beats, octaves, 288)``, bool.
        others: Passages of the same shape.

    Returns:
        Same shape.
    """
    beats = len(bits)
    onset, hold = bits.reshape(beats, OCTAVES, 2, 12, TICKS).transpose(2, 1, 3, 0, 4).reshape(2, OCTAVES * 12, -1)
    if rng.random() < 0.5:
        shift = int(rng.integers(-11, 12))
        onset, hold = (np.roll(part, shift, axis=0) for part in (onset, hold))
    if rng.random() < 0.3:
        ticks = int(rng.integers(1, TICKS))
        onset, hold = (np.roll(part, ticks, axis=1) for part in (onset, hold))
        hold = hold.copy()
        hold[:, :ticks] = False  # what came round from the end has lost its beginning
    if others and rng.random() < 0.2:
        other = others[int(rng.integers(len(others)))]
        more = other.reshape(beats, OCTAVES, 2, 12, TICKS).transpose(2, 1, 3, 0, 4).reshape(2, OCTAVES * 12, -1)
        onset = onset | more[0]
        hold = (hold | more[1]) & ~onset
    both = np.stack([onset, hold]).reshape(2, OCTAVES, 12, beats, TICKS)
    return both.transpose(3, 1, 0, 2, 4).reshape(beats, OCTAVES, -1)


def decode_at(decoder: torch.nn.Sequential, points: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Run a decoder of :class:`CellCodec` at some cells only: the same numbers for a fraction of the work.

    Args:
        decoder: ``notes_out`` or ``drums_out``: one convolution over neighbours, then some over single cells.
        points: Of shape ``(batch, dim, beats, octaves)``.
        chosen: The cells, of shape ``(batch, beats, octaves)``, bool.

    Returns:
        Log-odds of shape ``(cells, 288)``.
    """
    first, *others = decoder
    assert isinstance(first, torch.nn.Conv2d) and isinstance(first.padding, tuple)
    patches = F.unfold(points, first.kernel_size, padding=first.padding).unflatten(2, points.shape[2:])
    hidden = F.linear(patches.permute(0, 2, 3, 1)[chosen], first.weight.flatten(1), first.bias)
    for layer in others:
        if isinstance(layer, torch.nn.Conv2d):
            hidden = F.linear(hidden, layer.weight.flatten(1), layer.bias)
        else:
            hidden = layer(hidden)
    return hidden


def _random_notes(rng: np.random.Generator, beats: int) -> np.ndarray:
    """A passage of a few random notes, as bits of shape ``(beats, octaves, 288)``."""
    grid = Grid.empty(beats)
    total = beats * TICKS
    onset, hold = (np.zeros((OCTAVES * 12, total), dtype=bool) for _ in range(2))
    step = int(rng.choice([1, 2, 3, 4, 6, 12]))
    for _ in range(int(rng.integers(4, 3 * beats))):
        row, start = int(rng.integers(OCTAVES * 12)), int(rng.integers(total // step)) * step
        if not onset[row].any() or rng.random() < 0.5:
            onset[row, start] = True
            hold[row, start + 1 : start + int(rng.integers(1, 2 * TICKS))] = True
    hold &= ~onset
    for target, rows in ((grid.onset, onset), (grid.hold, hold)):
        target[0] = rows.reshape(OCTAVES, 12, beats, TICKS).transpose(2, 0, 1, 3)
    return cell_bits(grid)[ROLES.index("lead")]


def _random_hits(rng: np.random.Generator, beats: int) -> np.ndarray:
    """A passage of random hits, as bits of shape ``(beats, 1, 288)``."""
    grid = Grid.empty(beats)
    grid.hits[:] = rng.random(grid.hits.shape) < rng.choice([0.005, 0.02])
    grid.accents[:] = grid.hits & (rng.random(grid.hits.shape) < 0.4)
    return drum_bits(grid)[:, None]


def train(config: ScoreCodecConfig) -> TrainResult:
    """Train the cell codec.

    Args:
        config: The configuration.

    Returns:
        How it ended.
    """
    loop = TrainLoop(config)
    return loop.run(ScoreCodecTask(config, loop.device))
