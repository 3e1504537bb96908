"""What an encoder saw, in plain words with its confidence, and never more than it knows.

Shape legend: ``batch`` pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from melfusion_core.models.picture_encoder import MOOD_AXES, PictureEncoder, PictureReading

SURE = 0.7
"""Confidence from which on a word is said."""
MOST_WORDS = 3
RATHER, CLEARLY = 0.68, 0.85
"""Confidence from which on a mood is said to be rather, or plainly, on one side."""
MOOD_WORDS = {"valence": ("unpleasant", "pleasant"), "arousal": ("calm", "exciting")}
UNCLEAR = "hard to say what it shows"
NO_MOOD = "neither calm nor exciting for sure"


@dataclass(frozen=True)
class Said:
    """One thing that is said.

    Args:
        word: In plain words.
        confidence: How often such a thing is true, 0 to 1.
    """

    word: str
    confidence: float


@dataclass(frozen=True)
class PictureWords:
    """What is said of a picture.

    Args:
        shows: What it looks like, the surest first, no coarse word where an exact one is sure; empty where none is.
        feels: How it feels; empty where nothing is sure enough.
    """

    shows: tuple[Said, ...]
    feels: tuple[Said, ...]

    @property
    def text(self) -> str:
        """One line, such as "looks like: beach, lighthouse; calm, rather pleasant"."""
        shows = f"looks like: {', '.join(each.word for each in self.shows)}" if self.shows else UNCLEAR
        return f"{shows}; {', '.join(each.word for each in self.feels) or NO_MOOD}"


def describe(encoder: PictureEncoder, reading: PictureReading) -> list[PictureWords]:
    """Say what was read.

    Args:
        encoder: The encoder that read it.
        reading: What it read.

    Returns:
        The words for each picture.
    """
    spoken = [(word, list(places)) for word, places in encoder.config.spoken.items()]
    chances = torch.stack([reading.words[:, places].sum(dim=1) for _, places in spoken], dim=1)
    slope, offset = encoder.word_truth.tolist()
    confidence = torch.sigmoid(slope * torch.logit(chances.clamp(1e-6, 1 - 1e-6)) + offset)
    feels = _feelings(encoder, reading.moods)
    return [PictureWords(_surest(spoken, row.tolist()), feel) for row, feel in zip(confidence, feels, strict=True)]


def _surest(spoken: Sequence[tuple[str, Sequence[int]]], confidence: Sequence[float]) -> tuple[Said, ...]:
    sure = [(each, word, set(places)) for each, (word, places) in zip(confidence, spoken, strict=True) if each >= SURE]
    exact = [(each, word) for each, word, places in sure if not any(places > other for *_, other in sure)]
    return tuple(Said(word, each) for each, word in sorted(exact, reverse=True)[:MOST_WORDS])


def _feelings(encoder: PictureEncoder, moods: torch.Tensor) -> list[tuple[Said, ...]]:
    """Chance that a rating would lie above the mean of photographs, if errors are normal."""
    expected = moods * encoder.mood_slope / encoder.mood_error
    above = torch.distributions.Normal(0.0, 1.0).cdf(expected.float())
    return [_feeling(row) for row in above.tolist()]


def _feeling(above: Sequence[float]) -> tuple[Said, ...]:
    said = []
    for axis, chance in reversed(list(zip(MOOD_AXES, above, strict=True))):  # calm or exciting first
        word, sure = MOOD_WORDS[axis][chance > 0.5], max(chance, 1.0 - chance)
        if sure >= RATHER:
            said.append(Said(word if sure >= CLEARLY else f"rather {word}", sure))
    return tuple(said)
