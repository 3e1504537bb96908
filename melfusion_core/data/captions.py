"""Captions from the true attributes of a clip.

In the manner of MidiCaps and LP-MusicCaps: template grammar, synonyms, random word order and random omission. Mood
words are usually left out: the picture must supply the mood.
"""

from __future__ import annotations

import numpy as np

from .instruments import INSTRUMENTS
from .score import Score
from .styles import STYLES

NEUTRAL = (
    "a piece of music",
    "music",
    "an instrumental",
    "some music",
    "a short piece of music",
    "a tune",
    "a soundtrack",
)
"""Captions that say nothing: the picture decides."""

TEMPO_WORDS = (
    (72.0, "slow", ("slow", "unhurried", "at a slow tempo", "very slow")),
    (105.0, "moderate", ("moderate", "mid-tempo", "at a walking pace", "at a moderate tempo")),
    (1e9, "fast", ("fast", "quick", "up-tempo", "at a fast tempo")),
)
"""Upper bound in BPM, class word, phrases."""

_MOODS = {
    (0, 0): ("sad", "melancholic", "gloomy", "lonely", "sombre"),
    (0, 1): ("tense", "angry", "dark", "threatening", "aggressive"),
    (1, 0): ("calm", "peaceful", "tender", "serene", "dreamy"),
    (1, 1): ("happy", "joyful", "energetic", "exciting", "triumphant"),
}
_STYLE_WORDS = {style.name: (style.name, *style.words) for style in STYLES}


def tempo_word(tempo_bpm: float) -> str:
    """Class of a tempo: "slow" (below 72 BPM), "moderate" (below 105) or "fast".

    Args:
        tempo_bpm: quarter notes per minute.
    """
    return next(word for bound, word, _ in TEMPO_WORDS if tempo_bpm < bound)


def _name(rng: np.random.Generator, instrument: str) -> str:
    """The instrument's name or, one time in four, another word for it."""
    words = INSTRUMENTS[instrument].words
    return str(rng.choice(words)) if words and rng.random() < 0.25 else instrument


def _article(phrase: str) -> str:
    """Put "a" or "an" before a phrase."""
    return f"{'an' if phrase[0].lower() in 'aeiou8' else 'a'} {phrase}"


def make_captions(rng: np.random.Generator, score: Score, valence: float, arousal: float) -> list[str]:
    """Six captions of one clip, from rich to neutral.

    Args:
        rng: source of randomness.
        score: the piece.
        valence: 0 to 1, for mood words.
        arousal: 0 to 1, for mood words.

    Returns:
        Rich, two partial ones, the lead alone, tags, neutral: in this order.
    """
    lead = score.lead.instrument
    others = [t.instrument for t in score.tracks if t.role != "lead" and not t.is_drum and t.instrument != lead]
    others = list(dict.fromkeys(others))
    has_drums = any(track.is_drum for track in score.tracks)
    solo = not others and not has_drums
    style = str(rng.choice(_STYLE_WORDS.get(score.style, (score.style,))))
    pace = str(rng.choice(next(words for bound, _, words in TEMPO_WORDS if score.tempo_bpm < bound)))
    mood = str(rng.choice(_MOODS[int(valence >= 0.5), int(arousal >= 0.5)]))
    key = f"in {score.key_name}" if rng.random() < 0.5 else f"in a {score.mode} key"
    backing = [_name(rng, name) for name in others[:3]] + (["drums"] if has_drums else [])
    if solo:
        ensemble = f"solo {_name(rng, lead)}"
    elif backing:
        listed = [", ".join(backing[:-1]), backing[-1]] if len(backing) > 1 else backing
        ensemble = f"{_name(rng, lead)} with {' and '.join(listed)}"
    else:
        ensemble = _name(rng, lead)
    plain_pace = pace if not pace.startswith("at ") else ""

    def rich() -> str:
        parts = [f"{_article(f'{plain_pace} {style}'.strip())} {key}", f"{ensemble}"]
        if rng.random() < 0.3:
            parts.append(f"the mood is {mood}")
        if rng.random() < 0.3:
            parts.append(f"about {round(score.tempo_bpm)} BPM")
        if rng.random() < 0.4:
            parts = [parts[1], parts[0], *parts[2:]]
        return ", ".join(parts)

    def partial() -> str:
        options = (
            f"{_name(rng, lead)} playing {_article(style)}",
            f"{_article(style)} for {ensemble}",
            f"{_article(f'{mood} {style}')} with {_name(rng, lead)}",
            f"{_name(rng, lead)} {key}, {pace}",
            f"{_article(style)} {key}",
            f"{ensemble}, {pace}",
            f"{_article(style)}, {pace}",
            f"{pace} music with {_name(rng, lead)}",
        )
        return str(rng.choice(options))

    lead_only = str(
        rng.choice([
            f"{_name(rng, lead)} music", f"a piece with {_name(rng, lead)}", f"{_name(rng, lead)} melody",
            f"music played by {_name(rng, lead)}", f"a tune on the {_name(rng, lead)}", f"{_name(rng, lead)}",
        ])
    )  # fmt: skip
    tags = [style, _name(rng, lead), f"{score.mode} key", pace, *(backing[:2])]
    keep = [tag for tag in tags if rng.random() < 0.65] or [tags[1]]
    rng.shuffle(keep)
    return [rich(), partial(), partial(), lead_only, ", ".join(keep), str(rng.choice(NEUTRAL))]
