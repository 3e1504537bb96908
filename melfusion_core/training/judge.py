"""Trainer of the judge: `melfusion train judge --data CORPUS --out RUN --max-minutes 15`.

It is trained on its own part of the train split: all clips of the pieces whose hash lies below `share` (60 %), so
that what it says of generated music does not rest on clips alone that the music model has heard as well. The
validation split chooses the weights that are kept; the test split is never read.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from melfusion_core.data.corpus import MOODS, read_corpus, select
from melfusion_core.mel import MelConfig
from melfusion_core.models.judge import SCALARS, JudgeOutput, MelFusionJudge
from melfusion_core.training.config import TrainConfig
from melfusion_core.training.data import bytes_to_pixels
from melfusion_core.training.judge_data import JudgeArrays, find_classes, from_bytes, judges_part, read_arrays, targets
from melfusion_core.training.loop import Task, TrainLoop, TrainResult
from melfusion_core.training.optim import parameter_groups

STEP_FRAMES = 4
"""Log-mel frames per step of the pitch spectrum; crops and rolls move by whole steps."""
TINY_MEL = {"n_mels": 32, "hop_length": 1024}
RETRIEVED_AMONG = 20


@dataclass(frozen=True)
class JudgeConfig(TrainConfig):
    """Train the judge of the evaluation on its own part of a corpus.

    Args:
        size: Network size, `mini` or `tiny`.
        batch_size: Clips per step and process.
        learning_rate: Peak learning rate.
        weight_decay: AdamW's weight decay.
        ema_decay: Decay of the moving average of the weights, after its own warm-up.
        precision: Autocast: `no` or `bf16`.
        validate_minutes: Minutes between two validations; the best weights are kept.
        share: Part of the train split's pieces that the judge hears, chosen by hash.
        least_clips: Leads, styles and instruments with fewer clips are no class.
        crop: Part of a clip that a training step hears.
        gain_db: Random gain, in both directions.
        noise: Standard deviation of noise on the normalised log-mel.
        blur: Largest weight of a smoothed spectrogram mixed in, as a codec smooths.
        mood_width: Width of the soft targets between clips and pictures, on the plane of valence and arousal.
        contrast_weight: Weight of each of the two contrastive losses.
        captions_per_clip: Captions used of each clip, the first ones.
    """

    size: str = "mini"
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    ema_decay: float = 0.995
    precision: str = "bf16"
    validate_minutes: float = 2.0
    share: float = 0.6
    least_clips: int = 12
    crop: float = 0.5
    gain_db: float = 4.0
    noise: float = 0.04
    blur: float = 0.8
    mood_width: float = 0.1
    contrast_weight: float = 0.4
    captions_per_clip: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.size in ("mini", "tiny"), "size must be mini or tiny")
        self.require(0 < self.share <= 1 and 0 < self.crop <= 1, "share and crop must be in (0, 1]")
        self.require(self.least_clips > 0 and self.captions_per_clip > 0, "counts must be positive")
        self.require(self.mood_width > 0 and 0 <= self.blur <= 1, "mood_width must be positive, blur in [0, 1]")


class JudgeTask(Task):
    """Attributes of clips, and the joint space of clips, pictures and captions.

    Args:
        config: The trainer's configuration.
        device: Where to train.
    """

    name = "judge"
    averaged = ("judge",)

    def __init__(self, config: JudgeConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        corpus = read_corpus(config.data, needs=MOODS)
        train = judges_part(select(corpus, "train", config.limit), config.share)
        held_out = select(corpus, "validation", config.limit)
        self.classes = find_classes(train, config.least_clips)
        self.judge = _build_judge(config.size, dataclasses.asdict(self.classes)).to(device)
        self.networks = {"judge": self.judge}
        groups = parameter_groups([self.judge], config.weight_decay)
        self.optimizers = {"judge": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))}
        cache = config.out_folder / "cache"
        front = copy.deepcopy(self.judge).cpu()
        self.train = read_arrays(front, train, cache / "train", config.captions_per_clip)
        self.held_out = read_arrays(front, held_out, cache / "validation", config.captions_per_clip)
        self.train_targets, self.held_targets = targets(train, self.classes), targets(held_out, self.classes)
        self.best_path = config.out_folder / "best.safetensors"
        self.best = self._best_score()

    def step(self, loop: TrainLoop, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw clips and update."""
        rows = torch.randperm(len(self.train.mel), generator=generator)[: self.config.batch_size]
        mel, pitch = self._augmented(rows, generator)
        pixels = self._pixels(self.train, rows, generator)
        chosen = [self.train.caption_rows[row] for row in rows.tolist()]
        draws = torch.rand(len(rows), generator=generator).tolist()
        captions = torch.tensor([own[int(draw * len(own))] for own, draw in zip(chosen, draws, strict=True)])
        wanted = {name: values[rows].to(self.device) for name, values in self.train_targets.items()}
        with loop.autocast():
            heard = self.judge(mel.to(self.device), pitch.to(self.device))
            seen, mood = self.judge.see(pixels.to(self.device))
            read = self.judge.read(self.train.captions[captions].to(self.device))
        losses = _attribute_losses(heard, wanted)
        losses["picture_mood"] = functional.mse_loss(mood, wanted["image"])
        scales = self.judge.scales.clamp(max=4.0).exp()
        near = -torch.cdist(wanted["music"], wanted["image"]).square() / (2 * self.config.mood_width**2)
        losses["pictures"] = contrast(heard.joint @ seen.T * scales[0], near.exp())
        same = (captions[:, None] == captions[None, :]).float().to(self.device)
        losses["captions"] = contrast(heard.joint @ read.T * scales[1], same)
        weights = dict.fromkeys(("pictures", "captions"), self.config.contrast_weight)
        weights |= {"instruments": 4.0, "picture_mood": 4.0, "style": 0.5, "tempo": 0.5, "mode": 0.7}
        norm = loop.update("judge", sum(weights.get(name, 1.0) * loss for name, loss in losses.items()))
        return {name: loss.detach() for name, loss in losses.items()} | {"norm": norm}

    def validate(self) -> dict[str, float]:
        """Accuracies and correlations on whole held-out clips, and their mean, the score; keeps the best weights."""
        heard, seen, read = self._hear(self.held_out)
        figures = _attribute_figures(heard, self.held_targets)
        figures["picture_top1"] = retrieval(heard.joint, seen)
        figures["caption_top1"] = retrieval(heard.joint, read)
        names = ("lead", "style", "tempo", "mode", "valence", "arousal", "picture_top1", "caption_top1")
        known = [figures[name] for name in names if math.isfinite(figures[name])]
        figures["score"] = sum(known) / max(len(known), 1)
        if figures["score"] > self.best:
            self.best = figures["score"]
            partial = self.best_path.with_suffix(".partial")
            state = {name: value.contiguous() for name, value in self.judge.state_dict().items()}
            save_file(state, partial, metadata={"figures": json.dumps(figures)})
            partial.replace(self.best_path)
        return figures

    def sample(self, folder: Path) -> None:
        """What is heard in a few held-out clips, as JSON."""
        heard, _, _ = self._hear(self.held_out)
        rows = []
        for row in range(min(16, len(heard.lead))):
            true = int(self.held_targets["lead"][row])
            names = {"true_lead": self.classes.leads[true] if true >= 0 else None}
            names |= {"lead": self.classes.leads[int(heard.lead[row].argmax())]}
            values = (heard.scalars[row] * torch.tensor(self.classes.scalar_std)).tolist()
            moved = [value + mean for value, mean in zip(values, self.classes.scalar_mean, strict=True)]
            rows.append(names | {name: round(value, 3) for name, value in zip(SCALARS, moved, strict=True)})
        (folder / "heard.json").write_text(json.dumps(rows, indent=1) + "\n")

    def export(self, folder: Path) -> None:
        """Save the best weights so far in half precision, with their figures beside them."""
        judge = copy.deepcopy(self.judge)
        if self.best_path.is_file():
            judge.load_state_dict(load_file(self.best_path))
            (folder / "validation.json").write_text(json.dumps(self._best_figures(), indent=1) + "\n")
        judge.eval().half().save_pretrained(folder)

    def _best_figures(self) -> dict[str, float]:
        from safetensors import safe_open

        with safe_open(self.best_path, "pt") as file:
            return json.loads(file.metadata()["figures"])

    def _best_score(self) -> float:
        """Score of the weights kept by an earlier sitting; an older run's are dropped."""
        if not (self.config.out_folder / "checkpoint.pt").is_file():
            self.best_path.unlink(missing_ok=True)
        return self._best_figures()["score"] if self.best_path.is_file() else -math.inf

    def _augmented(self, rows: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Crops of the clips, rolled in time, with gain, noise and blur."""
        steps, batch = self.train.pitch.shape[1], len(rows)
        kept = max(2, round(self.config.crop * steps))
        starts = torch.randint(steps, (batch, 1), generator=generator)
        pitch_places = (starts + torch.arange(kept)) % steps
        mel_places = (STEP_FRAMES * starts + torch.arange(STEP_FRAMES * kept)) % (STEP_FRAMES * steps)
        mel = from_bytes(self.train.mel[rows[:, None], mel_places])[:, None]
        pitch = from_bytes(self.train.pitch[rows[:, None], pitch_places])
        mel_config = self.judge.mel_config
        low = (math.log(mel_config.log_floor) - mel_config.log_mean) / mel_config.log_std
        gain = self.config.gain_db * math.log(10) / 20 / mel_config.log_std
        gains = (2 * torch.rand(batch, 1, 1, generator=generator) - 1) * gain
        weight = self.config.blur * torch.rand(batch, 1, 1, 1, generator=generator)
        weight = weight * (torch.rand(batch, 1, 1, 1, generator=generator) < 0.4)
        smooth = functional.avg_pool2d(mel, 3, stride=1, padding=1, count_include_pad=False)
        mel = mel + weight * (smooth - mel) + gains[:, None]
        mel = mel + self.config.noise * torch.randn(mel.shape, generator=generator)
        return mel.clamp_min(low), (pitch + gains).clamp_min(low)

    def _pixels(self, arrays: JudgeArrays, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Pictures of clips, flipped and cropped a little."""
        pixels = bytes_to_pixels(arrays.pictures[arrays.picture_rows[rows]])
        flipped = torch.rand(len(rows), generator=generator) < 0.5
        pixels[flipped] = pixels[flipped].flip(-1)
        size = pixels.shape[-1]
        top, left = torch.randint(size // 8 + 1, (2,), generator=generator).tolist()
        side = size - size // 8
        crop = pixels[..., top : top + side, left : left + side]
        return functional.interpolate(crop, size=(size, size), mode="bilinear", align_corners=False)

    def _hear(self, arrays: JudgeArrays) -> tuple[JudgeOutput, torch.Tensor, torch.Tensor]:
        parts, seen, read = [], [], []
        with torch.no_grad():
            for start in range(0, len(arrays.mel), 64):
                rows = torch.arange(start, min(start + 64, len(arrays.mel)))
                mel = from_bytes(arrays.mel[rows])[:, None].to(self.device)
                parts.append(self.judge(mel, from_bytes(arrays.pitch[rows]).to(self.device)))
                pixels = bytes_to_pixels(arrays.pictures[arrays.picture_rows[rows]])
                seen.append(self.judge.see(pixels.to(self.device))[0].cpu())
                first = torch.tensor([arrays.caption_rows[row][0] for row in rows.tolist()])
                read.append(self.judge.read(arrays.captions[first].to(self.device)).cpu())
        names = [field.name for field in dataclasses.fields(JudgeOutput)]
        heard = JudgeOutput(**{name: torch.cat([getattr(part, name).cpu() for part in parts]) for name in names})
        return heard, torch.cat(seen), torch.cat(read)


def _build_judge(size: str, classes: dict[str, object]) -> MelFusionJudge:
    """Build an untrained judge."""
    if size == "mini":
        return MelFusionJudge(**classes)
    mel = MelConfig(**TINY_MEL).to_dict()
    widths = {"channels": (8, 8), "picture_channels": (8, 8), "hidden_dim": 16, "embedding_dim": 8, "joint_dim": 8}
    return MelFusionJudge(**classes, mel=mel, pitch_octaves=2, **widths)


def _attribute_losses(heard: JudgeOutput, wanted: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Losses of the heads; clips whose attribute is unknown do not count."""
    losses = {}
    for name in ("lead", "style", "tempo", "mode"):
        logits, index = getattr(heard, name), wanted[name]
        total = functional.cross_entropy(logits, index, ignore_index=-100, label_smoothing=0.05, reduction="sum")
        losses[name] = total / (index >= 0).sum().clamp_min(1)
    losses["instruments"] = functional.binary_cross_entropy_with_logits(heard.instruments, wanted["instruments"])
    known = wanted["scalars"].isfinite()
    error = (heard.scalars - wanted["scalars"].nan_to_num()).square() * known
    losses["scalars"] = error.sum() / known.sum().clamp_min(1)
    return losses


def contrast(similarity: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Contrastive loss with soft targets, both ways.

    Args:
        similarity: Scaled similarities of shape `(batch, batch)`.
        target: Weights of the partners, not negative, of the same shape; every row is made to sum to 1.

    Returns:
        Mean cross-entropy over the distribution of the targets, less their own entropy: 0 is perfect.
    """
    losses = []
    for logits, weights in ((similarity, target), (similarity.T, target.T)):
        share = (weights + 1e-8) / (weights + 1e-8).sum(1, keepdim=True)
        losses.append((share * (share.log() - logits.log_softmax(1))).sum(1).mean())
    return sum(losses) / 2


def _attribute_figures(heard: JudgeOutput, wanted: dict[str, torch.Tensor]) -> dict[str, float]:
    """Accuracy of the classes and correlation of the values."""
    figures = {}
    for name in ("lead", "style", "tempo", "mode"):
        known = wanted[name] >= 0
        right = getattr(heard, name).argmax(1)[known] == wanted[name][known]
        figures[name] = float(right.float().mean()) if known.any() else math.nan
    sounding, found = wanted["instruments"] > 0.5, heard.instruments > 0
    figures["instruments"] = float(2 * (sounding & found).sum() / (sounding.sum() + found.sum()).clamp_min(1))
    for column, name in enumerate(SCALARS):
        known = wanted["scalars"][:, column].isfinite()
        pair = torch.stack([heard.scalars[known, column], wanted["scalars"][known, column]])
        varied = known.sum() > 2 and float(pair.std(1).min()) > 0
        figures[name] = float(torch.corrcoef(pair)[0, 1]) if varied else math.nan
    return figures


def retrieval(queries: torch.Tensor, partners: torch.Tensor, among: int = RETRIEVED_AMONG) -> float:
    """How often the own partner is the most similar of some, expected over all draws of the others.

    Args:
        queries: Unit vectors of shape `(clips, dim)`.
        partners: Unit vectors of the partners, same shape.
        among: Number of candidates, the own partner counted in; at most the number of clips.

    Returns:
        Expected share of hits.
    """
    similarity = queries @ partners.T
    clips = len(queries)
    others = min(among, clips) - 1
    better = (similarity > similarity.diagonal()[:, None]).sum(1)
    shares = [math.comb(clips - 1 - count, others) / math.comb(clips - 1, others) for count in better.tolist()]
    return sum(shares) / len(shares)


def train(config: JudgeConfig) -> TrainResult:
    """Train the judge.

    Args:
        config: The trainer's configuration.

    Returns:
        How it ended; the best network is in `out/export`.
    """
    loop = TrainLoop(config)
    return loop.run(JudgeTask(config, loop.device))
