"""The facts that a caption states in so many words; whatever else it says is the model's to read."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from melfusion_core.engines.score.direction import MAX_TEMPO_BPM, MIN_TEMPO_BPM, Direction, pitch_class
from melfusion_core.engines.score.names import STYLES
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.tempo import tempo_range

_TEMPO = re.compile(r"\b(\d{2,3}(?:\.\d+)?)\s*(?:bpm|beats (?:per|a) minute)\b", re.I)
_TEMPO_BEFORE = re.compile(r"\b(?:tempo|bpm)(?: is| of|:)?\s*(\d{2,3})\b", re.I)
_PACE = {
    "slow": re.compile(r"\b(?:slow(?:ly|-paced)?|unhurried|leisurely)\b", re.I),
    "moderate": re.compile(r"\b(?:mid-tempo|medium-paced|moderate|medium tempo|walking pace)\b", re.I),
    "fast": re.compile(r"\b(?:fast(?:-paced)?|quick(?:ly)?|up-?tempo|brisk|high speed)\b", re.I),
}
_KEY = re.compile(r"\b([A-G])(?:[ -]?(sharp|flat|#|b|♯|♭))?[ -](major|minor)\b(?! (?:detail|role|part))", re.I)
_MODE = re.compile(r"\b(major|minor)\b(?=[ -](?:key|mode|tonality|harmon|chord|tune|melody|scale))", re.I)
_METRE = re.compile(r"\b([34])/4\b|\b(waltz time|three[- ]four|triple (?:time|metre|meter))\b", re.I)
_DRUMS = re.compile(r"\bdrum(?:s|[ -]?kit|[ -]?set| groove| beat)\b|\bpercussion\b", re.I)
_NOT = re.compile(
    r"\b(?:without|no|not|minus|instead of|rather than|less|never)(?: an?| the| any| too| so| very)? $", re.I
)
_DRUMLESS = re.compile(r"\b(?:without|no|minus)(?: any)? (?:drums?|percussion|beats?)\b|\bdrumless\b", re.I)

_SENTENCE = re.compile(r"\b(?:with|featuring|for|by|on|using|where|that|is|are|over|around|of)\b", re.I)
"""What a list of tags has not; in a sentence the first instrument leads, in a list any of them may."""

_MUSIC = "music|piece|track|tune|song|instrumental|number|beat|groove|band|style|anthem|ensemble|combo|solo"
_EVERYDAY = {"classical", "country", "folk", "house", "march", "metal", "rock", "world"}
"""Styles whose names are words of every day: they count before a word for music, or as a tag."""
_OVERLAPPING = {"music box tune", "piano piece", "guitar piece", "organ piece", "harpsichord piece"}


@lru_cache(maxsize=1)
def _instruments() -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of all names and words for instruments, and the instrument of each; names count before words."""
    meant = {word.lower(): name for name, row in INSTRUMENTS.items() for word in row.words}
    meant |= {name.lower(): name for name in INSTRUMENTS}
    words = sorted(meant, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, words))})(e?s)?\b", re.I), meant


@lru_cache(maxsize=1)
def _styles() -> re.Pattern[str]:
    plain = sorted((name for name in STYLES if name not in _EVERYDAY), key=len, reverse=True)
    everyday = "|".join(sorted(_EVERYDAY))
    return re.compile(
        rf"\b({'|'.join(map(re.escape, plain))})\b(?! keyboard)"
        rf"|\b({everyday})(?=[ -](?:{_MUSIC})\b)|(?:^|[,;/] *)({everyday})(?= *(?:[,;/.]|$))",
        re.I,
    )


def read_caption(caption: str) -> Direction:
    """Read the facts off a caption: tempo, key, mode, metre, style, lead and bass instrument, drums or none.

    The instrument named first leads, unless another one is said to play the melody or a solo. What is denied
    ("no piano", "not too fast") tells nothing.

    Args:
        caption: The caption.

    Returns:
        The facts; what is out of range or not said is None.
    """
    plain = _instruments()[0].sub("", caption)  # "slow strings" and "steel drums" are neither slow nor drums
    told = _tempo(plain) | _harmony(caption)
    metre = _METRE.search(caption)
    if metre:
        told["beats_per_bar"] = int(metre[1] or 3)
    found = [match for match in _instruments()[0].finditer(caption) if not _denied(caption, match)]
    style = _style(caption, found)
    if style:
        told["style"] = style
    parts = _parts(caption, found)
    if _DRUMLESS.search(caption):
        parts["drums"] = "off"
    elif any(not _denied(plain, match) for match in _DRUMS.finditer(plain)):
        parts["drums"] = "on"
    return Direction(**told, parts=parts)


def _denied(caption: str, match: re.Match[str]) -> bool:
    return bool(_NOT.search(caption[: match.start()]))


def _tempo(caption: str) -> dict[str, Any]:
    tempo = _TEMPO.search(caption) or _TEMPO_BEFORE.search(caption)
    if tempo and MIN_TEMPO_BPM <= float(tempo[1]) <= MAX_TEMPO_BPM:
        return {"tempo_bpm": float(tempo[1])}
    said = [
        word
        for word, pattern in _PACE.items()
        if any(not _denied(caption, match) for match in pattern.finditer(caption))
    ]
    if len(said) != 1:
        return {}
    low, high = tempo_range(said[0])
    return {"tempo_within": (max(low, MIN_TEMPO_BPM), min(high - 0.5, MAX_TEMPO_BPM))}


def _harmony(caption: str) -> dict[str, Any]:
    for found in _KEY.finditer(caption):
        article = found[1] == "a" and not found[2]  # "in a minor key"
        if not article:
            return {"tonic": pitch_class(found[1] + (found[2] or "")), "mode": found[3].lower()}
    mode = _MODE.search(caption)
    return {"mode": mode[1].lower()} if mode else {}


def _style(caption: str, instruments: list[re.Match[str]]) -> str | None:
    """The one style that is named; two are the model's to reconcile."""
    names = []
    for match in _styles().finditer(caption):
        name = (match[1] or match[2] or match[3]).lower()
        inside = any(each.start() <= match.start() < each.end() for each in instruments)
        if not _denied(caption, match) and (name in _OVERLAPPING or not inside):
            names.append(name)
    return names[0] if len(set(names)) == 1 else None


def _parts(caption: str, instruments: list[re.Match[str]]) -> dict[str, str]:
    meant = _instruments()[1]
    parts: dict[str, str] = {}
    leads = []
    for match in instruments:
        row = INSTRUMENTS[meant[match[1].lower()]]
        if row.family == "bass":
            parts.setdefault("bass", row.name)
        elif row.lead and not re.search(r"\bover an? $", caption[: match.start()]):  # "over a soft pad": behind
            singled = re.match(r"[ -](?:melody|tune|solo|lead\b|leads\b|theme|takes|carries)", caption[match.end() :])
            leads.append((not singled, len(leads), row.name))
    several = len({name for _, _, name in leads}) > 1
    if leads and not (several and min(leads)[0] and not _SENTENCE.search(caption)):
        parts["lead"] = min(leads)[2]
    return parts
