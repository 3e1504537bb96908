"""Training the judge on real clips."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from melfusion_core.audio import load_audio

from .classifier import ClipJudge
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
        max_clips: Use only so many clips of the train split; None for all.
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0
    least_clips: int = 12
    gain_db: float = 3.0
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
        Normalised log-mel of shape `(clips, 1, frames, n_mels)`, half precision, on the CPU.

    Raises:
        ValueError: If clips differ in length.
    """
    rows: list[torch.Tensor] = []
    hop = judge.mel_config.hop_length
    for triplet in tqdm(triplets, desc="listening", disable=not progress):
        waveform = load_audio(triplet.audio, judge.mel_config.sample_rate)
        waveform = waveform[: len(waveform) // hop * hop]
        with torch.no_grad():
            rows.append(judge.spectrogram(waveform[None].to(judge.device))[0].half().cpu())
        if rows[-1].shape != rows[0].shape:
            raise ValueError(f"{triplet.audio} has another length than {triplets[0].audio}")
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
            mel = _augment(features[rows].float(), judge, settings, rng).to(device)
            lead, present, mood, _ = judge(mel)
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
    del features
    quality = judge_quality(judge, load_triplets(corpus_root, "test"), progress)
    logger.info("judge on real clips of the test split: %s", quality.to_dict())
    judge.register_to_config(training={**asdict(settings), "clips": len(train), "test": quality.to_dict()})
    judge.save_pretrained(out)
    return judge, quality


def _augment(mel: torch.Tensor, judge: ClipJudge, settings: JudgeSettings, rng: np.random.Generator) -> torch.Tensor:
    """Random gain, time shift and one blanked band of time and frequency per clip."""
    gains = rng.uniform(-settings.gain_db, settings.gain_db, (len(mel), 1, 1, 1)) * np.log(10) / 20
    mel = mel + torch.from_numpy(gains / judge.mel_config.log_std).float()
    mel = torch.roll(mel, int(rng.integers(mel.shape[2])), dims=2)
    low = float(mel.min())
    for row in mel:
        for axis, most in ((1, mel.shape[2] // 6), (2, mel.shape[3] // 10)):
            width = int(rng.integers(most + 1))
            start = int(rng.integers(row.shape[axis] - width + 1))
            row.narrow(axis, start, width).fill_(low)
    return mel


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
    parts = [judge(features[start : start + 32].float().to(judge.device)) for start in range(0, len(known), 32)]
    lead = torch.cat([part[0] for part in parts]).cpu()
    affect = torch.cat([part[2] for part in parts]).cpu().numpy()
    truth = torch.tensor([leads.index(triplet.lead) for triplet in known])
    ranked = lead.topk(min(3, len(leads)), dim=-1).indices
    return JudgeQuality(
        top1=accuracy_interval((ranked[:, 0] == truth).numpy()),
        top3=accuracy_interval((ranked == truth[:, None]).any(-1).numpy()),
        commonest=Counter(truth.tolist()).most_common(1)[0][1] / len(known),
        valence=spearman(affect[:, 0], np.array([triplet.music_valence for triplet in known])),
        arousal=spearman(affect[:, 1], np.array([triplet.music_arousal for triplet in known])),
    )
