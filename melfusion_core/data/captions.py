"""Captions from the true attributes of a clip.

In the manner of MidiCaps (Melechovsky et al. 2024) and LP-MusicCaps (Doh et al. 2023): template grammar, synonyms,
random order and random omission of fields. Every statement is true of the clip. Mood words follow valence and arousal
and are usually left out: the picture must supply the mood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from melfusion_core.data import caption_words as words
from melfusion_core.data.caption_words import NEUTRAL
from melfusion_core.data.ensembles import STYLE_WORDS
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import Score, Track
from melfusion_core.score.tempo import TEMPO_WORDS, tempo_word

__all__ = ["NEUTRAL", "make_captions", "textures"]

_PLURALS = {"brass", "synth brass", "drums", "percussion", "vibes", "bagpipes", "pipes"}
_MOOD_SHARE = 0.22


def with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase, by its sound: "an accordion", "an 8-bit tune", "an F major waltz".

    Args:
        phrase: singular noun phrase.
    """
    vowel = re.match(r"[aeio]|hour|8|11|18|u(?!ni|se|ku)|[AEF](?:b|#| )|[AEIO][a-z]", phrase)
    return f"{'an' if vowel and not phrase.startswith(('eu', 'one')) else 'a'} {phrase}"


def noun_phrase(rng: np.random.Generator, style: str, adjectives: Sequence[str] = ()) -> str:
    """Style with adjectives as a noun phrase: "a slow waltz", "calm chamber music", "a dark techno track".

    Args:
        rng: source of randomness.
        style: a style's word.
        adjectives: words to put before it.
    """
    if style.split()[-1] in words.COUNTABLE:
        return with_article(" ".join([*adjectives, style]))
    if style.endswith("music") or style.split()[-1] in words.PLURAL:
        return " ".join([*adjectives, style])
    if rng.random() < 0.5:
        return " ".join([*adjectives, style, "music"])
    return with_article(" ".join([*adjectives, style, _pick(rng, words.STYLE_NOUNS)]))


def textures(score: Score) -> list[str]:
    """Clauses about the texture that are true of a score.

    Args:
        score: the piece.

    Returns:
        Clauses such as "with drums" or "with arpeggiated chords"; may be empty.
    """
    pitched = [track for track in score.tracks if not track.is_drum]
    names = {track.instrument for track in pitched}
    drums = len(pitched) < len(score.tracks)
    found = ["with drums", "with a drum groove"] if drums else ["without drums", "with no percussion"]
    if not drums and len(names) == 1:
        found += ["played alone", "unaccompanied" if len(pitched) == 1 else "for a single player"]
    if not drums and len(names) == 2:
        found += ["as a duo", "in a duet"]
    if len(names) + drums == 3:
        found += ["in a trio"]
    if len(names) + drums >= 4:
        found += ["in a full arrangement", "with several layers"]
    if len(pitched) == 1 and not drums and not INSTRUMENTS[pitched[0].instrument].polyphonic:
        found += ["a single melodic line"]
    for track in pitched:
        found += _track_textures(track, score)
    pitch = float(np.mean([note.pitch for note in score.lead.notes]))
    found += ["with a high melody"] if pitch > 76 else ["with a low melody"] if pitch < 53 else []
    return found


def _track_textures(track: Track, score: Score) -> list[str]:
    """What one track does."""
    onsets: dict[float, int] = {}
    for note in track.notes:
        onsets[round(note.start * 8)] = onsets.get(round(note.start * 8), 0) + 1
    single = np.mean([count == 1 for count in onsets.values()])
    length = float(np.mean([note.duration for note in track.notes]))
    per_beat = len(onsets) / max(max(note.start for note in track.notes), 1.0)
    if track.role == "chords" and len(onsets) >= 8:
        if single > 0.9 and per_beat >= 0.9:
            return ["with arpeggiated chords", "with broken chords"]
        if single < 0.2:
            return ["with block chords"] + (["with sustained chords", "with long held chords"] if length > 2.5 else [])
    if track.role == "pad" and length > 2.5:
        return ["over a soft pad" if "pad" in track.instrument else "over sustained harmony"]
    if track.role == "bass" and score.style in ("jazz", "blues") and 0.85 <= per_beat <= 1.25 and len(onsets) >= 8:
        return ["with a walking bass"]
    if track.role == "counter":
        return ["with a second voice", "with a counter-melody"]
    return []


@dataclass(frozen=True)
class _Facts:
    """What the captions of one clip may say."""

    score: Score
    lead: str
    others: list[str]
    styles: list[str]
    moods: tuple[str, ...]
    textures: list[str]


def _facts(score: Score, valence: float, arousal: float) -> _Facts:
    lead = score.lead.instrument
    weight: dict[str, float] = {}
    for track in score.tracks:
        sounding = sum(min(note.duration, 4.0) * note.velocity for note in track.notes)
        weight[track.instrument] = max(weight.get(track.instrument, 0.0), 0.0 if track.is_drum else sounding)
    others = sorted((name for name in weight if name != lead), key=lambda name: -weight[name])
    third = (min(int(valence * 3), 2), min(int(arousal * 3), 2))
    return _Facts(score, lead, others, style_words(score), words.MOODS[third], textures(score))


def style_words(score: Score) -> list[str]:
    """Words for the style that are true of this very arrangement.

    Args:
        score: the piece.
    """
    names = {track.instrument for track in score.tracks}
    drums = any(track.is_drum for track in score.tracks)
    needs = {
        "slow": score.tempo_bpm < 80, "upbeat": score.tempo_bpm > 105, "harpsichord": "harpsichord" in names,
        "choir": "choir" in names, "combo": len(names) >= 3, "epic": len(names) >= 3, "marching": len(names) >= 3,
        "beat": drums, "driving": drums, "twelve-bar": False,
        "solo": len(names) == 1, "band": len(names) >= 3, "symphonic": len(names) >= 3,
    }  # fmt: skip
    kept = [word for word in STYLE_WORDS.get(score.style, (score.style,)) if _holds(word, needs)]
    return [score.style, *kept]


def _holds(word: str, needs: dict[str, bool]) -> bool:
    return all(true for part, true in needs.items() if part in word.split())


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return str(options[int(rng.integers(len(options)))])


def _name(rng: np.random.Generator, instrument: str) -> str:
    """The instrument's name or, one time in four, another word for it."""
    if instrument == "drums":
        return _pick(rng, ("drums", "drums", "percussion", "a drum kit")).removeprefix("a ")
    others = INSTRUMENTS[instrument].words
    return _pick(rng, others) if others and rng.random() < 0.25 else instrument


def _with(rng: np.random.Generator, name: str, chance: float = 0.5) -> str:
    """The name, sometimes with its article."""
    plural = name in _PLURALS or name.endswith("s") and not name.endswith(("ss", "Rhodes"))
    return name if plural or rng.random() > chance else with_article(name)


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _slots(rng: np.random.Generator, facts: _Facts) -> dict[str, str]:
    """One choice of words for every slot of the templates."""
    score = facts.score
    lead = _name(rng, facts.lead)
    shown = [_name(rng, name) for name in facts.others[: int(rng.integers(1, 5))]]
    articles = 1.0 if rng.random() < 0.4 else 0.0
    others = _join([_with(rng, name, articles) for name in shown]) if shown else ""
    listed = [_with(rng, name, articles) for name in (lead, *shown)]
    key = score.key_name
    if rng.random() < 0.3:
        key = re.sub(r"^([A-G])#", r"\1 sharp", re.sub(r"^([A-G])b", r"\1 flat", key))
    bpm = score.tempo_bpm
    moods = [str(mood) for mood in rng.permutation(facts.moods)[: int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12]))]]
    return {
        "lead": _with(rng, lead), "name": lead, "aname": with_article(lead),
        "the": f"the {lead}", "list": _join(listed), "others": others,
        "bare": _join([lead, *shown]), "behind": _pick(rng, words.BEHIND).format(others=others) if others else "",
        "key": key, "mode": score.mode, "mood": _join(moods), "adjective": moods[0],
        "amood": with_article(_join(moods)),
        "bpm": str(round(bpm)), "round": str(5 * round(bpm / 5)), "pace": tempo_word(bpm),
        "brisk": _pick(rng, next(options for bound, _, options in TEMPO_WORDS if bpm < bound)),
        "italian": next(word for bound, word in words.ITALIAN_TEMPI if bpm < bound),
        "style": _pick(rng, facts.styles), "texture": _pick(rng, facts.textures) if facts.textures else "",
        "chords": ", ".join(dict.fromkeys(score.chords[:4])),
    }  # fmt: skip


def _tidy(rng: np.random.Generator, text: str) -> str:
    """One space between words; sometimes written as a sentence."""
    text = re.sub(r"\s+", " ", text).replace(" ,", ",").strip(" ,")
    if ". " in text or rng.random() < 0.25:
        text = ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))
        return text if text.endswith(".") else f"{text}."
    return text


def _sentence(rng: np.random.Generator, facts: _Facts, fields: set[str]) -> str:
    """A caption that states the given fields, as clauses or as sentences, in random order."""
    slots, score = _slots(rng, facts), facts.score
    adjectives = [slots["adjective"]] if "mood" in fields and rng.random() < 0.5 else []
    told = {"mood"} if adjectives else set()
    if "tempo" in fields and rng.random() < 0.45:
        adjectives.append(slots["brisk"])
        told.add("tempo")
    style = slots["style"] if "style" in fields else _pick(rng, ("piece", "instrumental music", "music", "track"))
    slots["np"] = noun_phrase(rng, style, adjectives)
    head = _pick(rng, words.HEADS).format(**slots)
    if rng.random() < 0.03:
        plain = style if style.split()[-1] not in words.COUNTABLE else "music"
        head = _pick(rng, words.DURATIONS).format(mass=" ".join([*adjectives, plain]))
    rest = [name for name in ("instruments", "key", "metre", "tempo", "texture", "mood") if name in fields - told]
    rng.shuffle(rest)
    apart = rng.random() < 0.35
    parts = [_field(rng, name, slots, score, apart and place > 0) for place, name in enumerate(rest)]
    parts = [part for part in parts if part]
    if apart and parts:
        if parts[0] in (part for part in parts if _is_clause(part)):
            head = f"{head} {parts.pop(0)}"
        if "chords" in fields and slots["chords"]:
            parts.append(_pick(rng, words.CHORD_SENTENCES).format(**slots))
        return _tidy(rng, ". ".join([head, *parts]))
    glue = ", " if len(parts) > 2 or rng.random() < 0.4 else " "
    if rng.random() < 0.2 and len(parts) > 1:  # a clause before the rest: "in D minor, a slow waltz with harp"
        head, parts, glue = parts[0], [head, *parts[1:]], ", "
    return _tidy(rng, glue.join([head, *parts]))


def _is_clause(text: str) -> bool:
    return text.split()[0] not in ("the", "it", "you") and ":" not in text


def _field(rng: np.random.Generator, name: str, slots: dict[str, str], score: Score, sentence: bool) -> str:
    """One field in words: a clause, or a sentence without its full stop."""
    if name == "instruments":
        options = words.INSTRUMENT_SENTENCES if sentence else words.INSTRUMENT_CLAUSES
    elif name == "key":
        options = words.KEY_SENTENCES if sentence else words.KEY_CLAUSES
    elif name == "metre":
        options = (words.METRE_SENTENCES if sentence else words.METRE_CLAUSES)[score.beats_per_bar]
    elif name == "tempo" and sentence:
        options = words.BPM_SENTENCES
    elif name == "tempo":
        options = words.BPM_CLAUSES if rng.random() < 0.5 else words.TEMPO_PHRASES[slots["pace"]]
    elif name == "mood":
        options = words.MOOD_SENTENCES if sentence else words.MOOD_CLAUSES
    else:
        single = slots["texture"].startswith("a ")
        options = ("it is {texture}" if single else "it comes {texture}",) if sentence else ("{texture}",)
    return _pick(rng, options).format(**slots)


def _tags(rng: np.random.Generator, facts: _Facts) -> str:
    """A list of tags with gaps."""
    slots, score = _slots(rng, facts), facts.score
    tags = [slots["style"], slots["name"], f"{score.mode} key", slots["brisk"], f"{slots['bpm']} BPM", slots["key"]]
    tags += [_name(rng, name) for name in facts.others[:3]]
    chosen = [tag for tag, chance in zip(tags, (0.7, 0.8, 0.4, 0.5, 0.2, 0.25, 0.5, 0.4, 0.3), strict=False)
              if rng.random() < chance]  # fmt: skip
    if rng.random() < _MOOD_SHARE:
        chosen += slots["mood"].replace(" and ", ", ").split(", ")
    chosen = list(dict.fromkeys(chosen)) or [slots["name"]]
    rng.shuffle(chosen)
    return _pick(rng, (", ", ", ", ", ", " / ", "; ")).join(chosen)


def _draw_fields(rng: np.random.Generator, facts: _Facts, least: int, most: int) -> set[str]:
    """Some fields, the instruments most often; the metre only where the notation is known to be what is played."""
    chances = {"instruments": 3.0, "style": 2.5, "tempo": 1.5, "key": 1.2, "texture": 1.2, "mood": 0.9}
    if facts.score.source == "composer" and facts.score.beats_per_bar in words.METRE_CLAUSES:
        chances["metre"] = 0.5
    weights = np.array(list(chances.values()))
    count = min(int(rng.integers(least, most + 1)), len(chances))
    drawn = rng.choice(list(chances), size=count, replace=False, p=weights / weights.sum())
    return {str(name) for name in drawn} | ({"chords"} if rng.random() < 0.06 else set())


def make_captions(rng: np.random.Generator, score: Score, valence: float, arousal: float) -> list[str]:
    """Eight captions of one clip, from rich to neutral.

    Args:
        rng: source of randomness.
        score: the piece.
        valence: 0 to 1, for mood words.
        arousal: 0 to 1, for mood words.

    Returns:
        Rich, rich, partial, the lead alone, partial, tags, a few words, neutral: in this order.
    """
    facts = _facts(score, valence, arousal)

    def few() -> str:
        slots = _slots(rng, facts)
        options: list[Callable[[], str]] = [
            lambda: slots["style"],
            lambda: f"{slots['brisk']} music",
            lambda: f"{score.mode} key",
            lambda: noun_phrase(rng, slots["style"]),
            lambda: noun_phrase(rng, slots["style"], [slots["brisk"]]),
            lambda: f"{slots['adjective']} music",
            lambda: f"music {slots['texture']}" if slots["texture"] and slots["texture"][:2] != "a " else "music",
            lambda: f"{slots['name']} and {facts.others[0]}" if facts.others else f"solo {slots['name']}",
        ]
        return options[int(rng.choice(8, p=[0.2, 0.15, 0.05, 0.15, 0.15, 0.1, 0.1, 0.1]))]()

    lead = _pick(rng, words.LEAD_ONLY).format(**_slots(rng, facts))
    return [
        _sentence(rng, facts, _draw_fields(rng, facts, 3, 6) | {"instruments", "style"}),
        _sentence(rng, facts, _draw_fields(rng, facts, 3, 5) | {"instruments"}),
        _sentence(rng, facts, _draw_fields(rng, facts, 1, 3)),
        lead,
        _sentence(rng, facts, _draw_fields(rng, facts, 1, 3)),
        _tags(rng, facts),
        few(),
        _pick(rng, NEUTRAL),
    ]
