"""Words for tempi."""

from __future__ import annotations

TEMPO_WORDS = (
    (72.0, "slow", ("slow", "unhurried", "leisurely", "slow-paced")),
    (105.0, "moderate", ("moderate", "mid-tempo", "medium-paced", "steady")),
    (1e9, "fast", ("fast", "quick", "up-tempo", "brisk")),
)
"""Upper bound in BPM, class word, adjectives."""


def tempo_word(tempo_bpm: float) -> str:
    """Class of a tempo: "slow" (below 72 BPM), "moderate" (below 105) or "fast".

    Args:
        tempo_bpm: quarter notes per minute.
    """
    return next(word for bound, word, _ in TEMPO_WORDS if tempo_bpm < bound)


def tempo_range(word: str) -> tuple[float, float]:
    """Tempi of a class.

    Args:
        word: a class word of :data:`TEMPO_WORDS`.

    Returns:
        From how many BPM, and below how many.
    """
    bounds = [0.0, *(bound for bound, _, _ in TEMPO_WORDS)]
    place = [name for _, name, _ in TEMPO_WORDS].index(word)
    return bounds[place], bounds[place + 1]
