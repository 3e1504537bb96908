"""Training the judge on real clips."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from melfusion_core.audio import load_audio

from .classifier import LEVEL_STATISTICS, ClipJudge, clip_statistics
from .metrics import Estimate, accuracy_interval, spearman
from .triplets import Triplet, load_triplets

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgeSettings:
    """How the judge is trained.

    Args:
        epochs: Passes over the train split.
        batch_size: Clips per step.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: AdamW weight decay.
        seed: Seed of weights, order and augmentation.
        least_clips: Leads with fewer clips in the train split are no class.
        gain_db: Random gain in training, in both directions.
        noise: Standard deviation of noise on the standardised statistics in training.
        max_clips: Use only so many clips of the train split; None for all.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 5e-2
    seed: int = 0
    least_clips: int = 12
    gain_db: float = 3.0
    noise: float = 0.15
    max_clips: int | None = None


@dataclass(frozen=True)
class JudgeQuality:
    """How well the judge does on held-out real clips.

    Attributes:
        top1: Accuracy of the lead instrument.
        top3: Share of clips whose lead is among the three likeliest.
        commonest: Accuracy of always saying the commonest lead.
        valence: Rank correlation of the judged with the known valence.
        arousal: Rank correlation of the judged with the known arousal.
    """

    top1: Estimate
    top3: Estimate
    commonest: float
    valence: float
    arousal: float

    def to_dict(self) -> dict[str, object]:
        """Give the fields for JSON."""
        return {
            "lead_top1": self.top1.to_dict(),
            "lead_top3": self.top3.to_dict(),
            "commonest_lead": round(self.commonest, 4),
            "valence_spearman": round(self.valence, 4),
            "arousal_spearman": round(self.arousal, 4),
        }


def clip_features(judge: ClipJudge, triplets: Sequence[Triplet], progress: bool = True) -> torch.Tensor:
    """Compute the judge's input for clips.

    Args:
        judge: The judge; its spectrogram is used.
        triplets: What to read.
        progress: Show a progress bar.

    Returns:
        Statistics of shape `(clips, 9, n_mels)`, on the CPU.
    """
    rows: list[torch.Tensor] = []
    hop = judge.mel_config.hop_length
    for triplet in tqdm(triplets, desc="listening", disable=not progress):
        waveform = load_audio(triplet.audio, judge.mel_config.sample_rate)
        waveform = waveform[: len(waveform) // hop * hop]
        with torch.no_grad():
            rows.append(clip_statistics(judge.spectrogram(waveform[None].to(judge.device)))[0].cpu())
    return torch.stack(rows)


def train_judge(
    corpus_root: Path | str,
    out: Path | str,
    settings: JudgeSettings = JudgeSettings(),
    device: str = "cpu",
    progress: bool = True,
) -> tuple[ClipJudge, JudgeQuality]:
    """Train a judge on the train split, measure it on the test split and save it.

    Args:
        corpus_root: Corpus folder.
        out: Folder to save the judge in.
        settings: How to train.
        device: Device to train on.
        progress: Show progress bars.

    Returns:
        The judge in evaluation mode and its quality on real clips of the test split.

    Raises:
        ValueError: If fewer than two leads have enough clips.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    train = load_triplets(corpus_root, "train")
    if settings.max_clips is not None and len(train) > settings.max_clips:
        train = [train[i] for i in np.sort(rng.permutation(len(train))[: settings.max_clips])]
    counts = Counter(triplet.lead for triplet in train)
    leads = tuple(sorted(name for name, count in counts.items() if count >= settings.least_clips))
    if len(leads) < 2:
        raise ValueError(f"fewer than two lead instruments have {settings.least_clips} clips in the train split")
    train = [triplet for triplet in train if triplet.lead in leads]
    instruments = tuple(sorted({name for triplet in train for name in triplet.instruments}))
    judge = ClipJudge(leads, instruments).to(device)
    features = clip_features(judge, train, progress)
    judge.statistics_mean.copy_(features.mean(0))
    judge.statistics_std.copy_(features.std(0).clamp_min(1e-2))
    lead_of = torch.tensor([leads.index(triplet.lead) for triplet in train])
    sounding = torch.tensor([[name in triplet.instruments for name in instruments] for triplet in train]).float()
    affect = torch.tensor([[triplet.music_valence, triplet.music_arousal] for triplet in train])
    optimizer = torch.optim.AdamW(judge.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * max(len(train) // settings.batch_size, 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    bar = tqdm(total=steps, desc="training the judge", disable=not progress)
    judge.train()
    for _ in range(settings.epochs):
        order = rng.permutation(len(train))
        for step in range(max(len(train) // settings.batch_size, 1)):
            rows = torch.from_numpy(order[step * settings.batch_size : (step + 1) * settings.batch_size].copy())
            lead, present, mood, _ = judge(_augment(features[rows], judge, settings, rng).to(device))
            loss = (
                functional.cross_entropy(lead, lead_of[rows].to(device), label_smoothing=0.05)
                + 2.0 * functional.binary_cross_entropy_with_logits(present, sounding[rows].to(device))
                + 2.0 * functional.mse_loss(mood, affect[rows].to(device))
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    bar.close()
    judge.eval()
    quality = judge_quality(judge, load_triplets(corpus_root, "test"), progress)
    logger.info("judge on real clips of the test split: %s", quality.to_dict())
    judge.register_to_config(training={**asdict(settings), "clips": len(train), "test": quality.to_dict()})
    judge.save_pretrained(out)
    return judge, quality


def _augment(
    statistics: torch.Tensor, judge: ClipJudge, settings: JudgeSettings, rng: np.random.Generator
) -> torch.Tensor:
    """Random gain per clip, and noise."""
    gain = rng.uniform(-settings.gain_db, settings.gain_db, (len(statistics), 1, 1)) * np.log(10) / 20
    noise = torch.from_numpy(rng.normal(0.0, settings.noise, statistics.shape)).float()
    changed = statistics + noise * judge.statistics_std.cpu()
    changed[:, :LEVEL_STATISTICS] += torch.from_numpy(gain / judge.mel_config.log_std).float()
    return changed


@torch.no_grad()
def judge_quality(judge: ClipJudge, triplets: Sequence[Triplet], progress: bool = True) -> JudgeQuality:
    """Measure a judge on real clips whose lead it knows.

    Args:
        judge: The judge.
        triplets: Held-out triplets.
        progress: Show a progress bar.

    Returns:
        Its quality.

    Raises:
        ValueError: If the judge knows the lead of none of them.
    """
    leads = tuple(judge.config.leads)
    known = [triplet for triplet in triplets if triplet.lead in leads]
    if not known:
        raise ValueError("the judge knows the lead instrument of none of these clips")
    features = clip_features(judge, known, progress)
    judge.eval()
    lead, _, affect, _ = (output.cpu() for output in judge(features.to(judge.device)))
    truth = torch.tensor([leads.index(triplet.lead) for triplet in known])
    ranked = lead.topk(min(3, len(leads)), dim=-1).indices
    return JudgeQuality(
        top1=accuracy_interval((ranked[:, 0] == truth).numpy()),
        top3=accuracy_interval((ranked == truth[:, None]).any(-1).numpy()),
        commonest=Counter(truth.tolist()).most_common(1)[0][1] / len(known),
        valence=spearman(affect[:, 0].numpy(), np.array([triplet.music_valence for triplet in known])),
        arousal=spearman(affect[:, 1].numpy(), np.array([triplet.music_arousal for triplet in known])),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train a judge from the command line: `melfusion train judge`.

    Args:
        argv: Command line without the program's name; None takes that of the process.

    Returns:
        Exit code: 0, or 2 when the corpus is not usable.
    """
    parser = argparse.ArgumentParser(prog="melfusion train judge", description="Train the judge of the evaluation.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder to save the judge in")
    parser.add_argument("--epochs", type=int, default=JudgeSettings.epochs, help=f"(default {JudgeSettings.epochs})")
    parser.add_argument("--seed", type=int, default=JudgeSettings.seed, help=f"(default {JudgeSettings.seed})")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    args = parser.parse_args(argv)
    try:
        settings = JudgeSettings(epochs=args.epochs, seed=args.seed)
        _, quality = train_judge(args.data, args.out, settings, args.device)
    except (OSError, ValueError) as error:
        print(f"melfusion train judge: {error}", file=sys.stderr)
        return 2
    print(f"lead instrument on held-out real clips: {quality.top1.value:.1%}; saved in {args.out}")
    return 0
