"""Running the judge on clips, pictures and captions, and how good it is on real ones.

Shape legend: `n` clips, `c` classes, `d` dimensions of the joint space.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melfusion_core.data.corpus import MOODS, Triplet, read_corpus, select
from melfusion_core.evaluation.metrics import (
    Estimate,
    accuracy_interval,
    mean_interval,
    retrieval_hits,
    spearman_interval,
)
from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.models.judge import PICTURE_SIZE, SCALARS, MelFusionJudge
from melfusion_core.models.text import encode_text, load_minilm
from melfusion_core.recipe import checkpoint_sha256

BATCH = 16


@dataclass(frozen=True)
class Judgement:
    """What the judge hears in clips.

    Attributes:
        lead: Probabilities of the lead instruments, of shape `(n, c)`.
        instruments: Probability of each instrument sounding, of shape `(n, c)`.
        style: Probabilities of the styles, of shape `(n, c)`.
        tempo: Probabilities of the tempo words, of shape `(n, c)`.
        mode: Probabilities of the modes, of shape `(n, c)`.
        scalars: Log tempo, log onset rate, valence and arousal in the corpus' units, of shape `(n, 4)`.
        embedding: Penultimate layer, of shape `(n, embedding_dim)`.
        joint: Unit vectors in the joint space, of shape `(n, d)`.
    """

    lead: np.ndarray
    instruments: np.ndarray
    style: np.ndarray
    tempo: np.ndarray
    mode: np.ndarray
    scalars: np.ndarray
    embedding: np.ndarray
    joint: np.ndarray

    @property
    def affect(self) -> np.ndarray:
        """Valence and arousal, about [0, 1], of shape `(n, 2)`."""
        return self.scalars[:, [SCALARS.index("valence"), SCALARS.index("arousal")]]


class Judge:
    """A trained judge, ready to hear, see and read."""

    def __init__(self, network: MelFusionJudge, name: str = "judge") -> None:
        """Wrap a network.

        Args:
            network: The judge's network.
            name: What reports call it as embedder.
        """
        self.network, self.name = network.eval(), name
        self._text_models: tuple[Any, Any] | None = None

    @property
    def sample_rate(self) -> int:
        """Of the clips, in Hz."""
        return self.network.sample_rate

    def classes(self, attribute: str) -> tuple[str, ...]:
        """Names of an attribute's classes.

        Args:
            attribute: "lead", "instruments", "style", "tempo" or "mode".

        Returns:
            The names, in the order of the probabilities.
        """
        keys = {"lead": "leads", "instruments": "instruments", "style": "styles", "tempo": "tempi", "mode": "modes"}
        return tuple(self.network.config[keys[attribute]])

    @torch.no_grad()
    def hear(self, waveforms: Iterable[np.ndarray]) -> Judgement:
        """Judge clips of equal length, a few at a time.

        Args:
            waveforms: Mono clips, each of shape `(samples,)`, at the judge's sample rate.

        Returns:
            What is heard, in the order of the clips.

        Raises:
            ValueError: If there are no clips.
        """
        clips, parts = iter(waveforms), []
        while batch := list(islice(clips, BATCH)):
            sound = torch.from_numpy(np.stack(batch)).float().to(self.network.device)
            output = self.network(*self.network.listen(sound))
            std = torch.tensor(self.network.config.scalar_std, device=sound.device)
            mean = torch.tensor(self.network.config.scalar_mean, device=sound.device)
            scalars, present = output.scalars * std + mean, output.instruments.sigmoid()
            chosen = [getattr(output, name).softmax(-1) for name in ("style", "tempo", "mode")]
            arrays = (output.lead.softmax(-1), present, *chosen, scalars, output.embedding, output.joint)
            parts.append([array.float().cpu().numpy() for array in arrays])
        if not parts:
            raise ValueError("no clips to judge")
        return Judgement(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Embed clips for Frechet distances.

        Args:
            waveforms: Mono clips of equal length.

        Returns:
            Embeddings of shape `(n, embedding_dim)`.
        """
        return self.hear(waveforms).embedding

    @torch.no_grad()
    def see(self, paths: Sequence[Path]) -> np.ndarray:
        """Put pictures into the joint space.

        Args:
            paths: Picture files.

        Returns:
            Unit vectors of shape `(n, d)`.
        """
        parts = []
        for start in range(0, len(paths), 64):
            pixels = [image_to_tensor(load_image(path), PICTURE_SIZE) for path in paths[start : start + 64]]
            parts.append(self.network.see(torch.stack(pixels).to(self.network.device))[0].cpu().numpy())
        return np.concatenate(parts)

    @torch.no_grad()
    def read(self, captions: Sequence[str]) -> np.ndarray:
        """Put captions into the joint space.

        Args:
            captions: The captions.

        Returns:
            Unit vectors of shape `(n, d)`.
        """
        if self._text_models is None:
            self._text_models = load_minilm()
        texts = list(dict.fromkeys(captions))
        pooled = [encode_text(*self._text_models, texts[i : i + 32]).pooled for i in range(0, len(texts), 32)]
        vectors = self.network.read(torch.cat(pooled).to(self.network.device)).cpu().numpy()
        return vectors[[texts.index(caption) for caption in captions]]


def load_triplets(root: Path | str, split: str) -> list[Triplet]:
    """Read one split of a corpus whose moods and lead instruments are known.

    Args:
        root: Corpus folder.
        split: "train", "validation" or "test".

    Returns:
        The triplets, in the order of the file.

    Raises:
        CorpusError: If there is no corpus, the split is empty, or a row is damaged or lacks one of these.
    """
    return select(read_corpus(root, needs=("lead", *MOODS)), split)


def load_judge(folder: Path | str, device: str = "cpu") -> Judge:
    """Load a judge.

    Args:
        folder: Export of `melfusion train judge`.
        device: Where to run it.

    Returns:
        The judge, in single precision.

    Raises:
        ValueError: If the folder holds something else.
    """
    folder = Path(folder)
    config = folder / "config.json"
    kind = json.loads(config.read_text(encoding="utf-8")).get("_class_name") if config.is_file() else None
    if kind != MelFusionJudge.__name__:
        raise ValueError(f"{folder} holds no judge: export one with `melfusion train judge`")
    network = MelFusionJudge.from_pretrained(folder).float().to(device)
    return Judge(network, f"judge {fingerprint(folder)}")


def fingerprint(folder: Path) -> str:
    """Name a model by its content, so that takes of two models never mix.

    Args:
        folder: Folder of the model.

    Returns:
        Name of the folder and the start of the hash that recipes state.
    """
    return f"{folder.resolve().name}-{checkpoint_sha256(folder)[:12]}"


def truths(judge: Judge, attribute: str, triplets: Sequence[Triplet]) -> np.ndarray:
    """True classes of clips.

    Args:
        judge: Whose classes count.
        attribute: "lead", "style", "tempo" or "mode".
        triplets: The clips.

    Returns:
        Class indices of shape `(n,)`; -1 where the judge does not know the class.
    """
    key = {"tempo": "tempo_word"}.get(attribute, attribute)
    places = {name: place for place, name in enumerate(judge.classes(attribute))}
    return np.array([places.get(getattr(triplet, key), -1) for triplet in triplets])


def class_accuracy(
    judge: Judge, heard: Judgement, attribute: str, triplets: Sequence[Triplet], top: int = 1
) -> Estimate:
    """Share of clips whose true class is among the likeliest.

    Args:
        judge: Whose classes count.
        heard: What it hears in the clips.
        attribute: "lead", "style", "tempo" or "mode".
        triplets: What the clips are, or should be; those whose class the judge does not know are left out.
        top: Number of likeliest classes.

    Returns:
        The share with its Wilson interval.
    """
    truth = truths(judge, attribute, triplets)
    known = truth >= 0
    ranked = np.argsort(-getattr(heard, attribute), axis=1)[:, :top]
    return accuracy_interval((ranked == truth[:, None]).any(1)[known])


def commonest_share(judge: Judge, attribute: str, triplets: Sequence[Triplet]) -> float:
    """Accuracy of always naming the commonest class.

    Args:
        judge: Whose classes count.
        attribute: "lead", "style", "tempo" or "mode".
        triplets: The clips.

    Returns:
        Share in [0, 1]; 0 without clips of a known class.
    """
    truth = truths(judge, attribute, triplets)
    known = truth[truth >= 0].tolist()
    return Counter(known).most_common(1)[0][1] / len(known) if known else 0.0


def judge_quality(judge: Judge, heard: Judgement, triplets: Sequence[Triplet], seed: int = 0) -> dict[str, Any]:
    """How good the judge is on real clips: the ceiling of what it can say of generated ones.

    Args:
        judge: The judge.
        heard: What it hears in the real clips.
        triplets: Their triplets.
        seed: Seed of the resampling.

    Returns:
        By attribute accuracies with Wilson intervals, rank correlations with bootstrap intervals, and the retrieval of
        the own picture and caption among 20 with chance beside them.
    """
    quality: dict[str, Any] = {"clips": len(triplets)}
    for attribute in ("lead", "style", "tempo", "mode"):
        row = class_accuracy(judge, heard, attribute, triplets).to_dict()
        row |= {
            "classes": len(judge.classes(attribute)),
            "commonest": round(commonest_share(judge, attribute, triplets), 4),
        }
        quality[attribute] = row
    quality["lead_top3"] = class_accuracy(judge, heard, "lead", triplets, top=3).to_dict()
    names = judge.classes("instruments")
    sounding = np.array([[name in triplet.instruments for name in names] for triplet in triplets])
    found = heard.instruments > 0.5
    total = sounding.sum() + found.sum()
    quality["instruments_f1"] = round(float(2 * (sounding & found).sum() / total), 4) if total else None
    known = {"log_tempo": "tempo_bpm", "log_onset_rate": "onset_rate_hz"}
    known |= {"valence": "music_valence", "arousal": "music_arousal"}
    for column, name in enumerate(SCALARS):
        values = np.array([getattr(triplet, known[name]) or 0.0 for triplet in triplets])
        quality[f"{name}_spearman"] = spearman_interval(values, heard.scalars[:, column], seed).to_dict()
    if len(triplets) > 1:
        seen, read = judge.see([triplet.image for triplet in triplets]), judge.read([t.caption for t in triplets])
        quality["own_picture_among_20"] = mean_interval(retrieval_hits(heard.joint @ seen.T), seed).to_dict()
        quality["own_caption_among_20"] = mean_interval(retrieval_hits(heard.joint @ read.T), seed).to_dict()
        quality["chance_among_20"] = round(1 / min(20, len(triplets)), 4)
    return quality
