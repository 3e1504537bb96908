"""Kind notes on what somebody wrote: what the model cannot follow, said before it disappoints."""

from __future__ import annotations

import re
import unicodedata

from demo import words
from demo.takes import Reading

SINGING = re.compile(
    r"(?<!no )(?<!without )\b(sings?|singing|singers?|sung|vocals?(?! choir)|vocalists?|lyrics?|rap(?:s|ping|pers?)?|"
    r"a cappella|karaoke)\b",
    re.IGNORECASE,
)
# Small words that captions in these languages can hardly do without, and English ones do not have.
OTHER_LANGUAGES = frozenset(
    (
        "und mit der das ein eine einen nicht sehr ohne für ist langsam langsame ruhig ruhige klavier geige musik "
        "avec une les des dans très sans lente doux douce musique guitare "
        "una los las muy suave música guitarra uma com muito sem não"
    ).split()
)
LEAST_HITS = 2


def caption_notes(caption: str, reading: Reading) -> tuple[str, ...]:
    """Say what of a caption the model cannot follow.

    Args:
        caption: What was written.
        reading: How the model reads it.

    Returns:
        Sentences; none where there is nothing to say.
    """
    notes = []
    if SINGING.search(caption):
        notes.append(words.NOTE_SINGING)
    if _is_foreign(caption):
        notes.append(words.NOTE_LANGUAGE)
    elif reading.strange:
        listed = ", ".join(f"\u201c{word[:30]}\u201d" for word in reading.strange[:3])
        notes.append(words.NOTE_STRANGE.format(words=listed))
    if reading.cut:
        notes.append(words.NOTE_CUT.format(rest=reading.cut[:60]))
    return tuple(notes)


def _is_foreign(caption: str) -> bool:
    letters = [letter for letter in caption if letter.isalpha()]
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    if letters and latin < 0.7 * len(letters):
        return True
    found = re.findall(r"[^\W\d_]+", caption.lower())
    hits = sum(word in OTHER_LANGUAGES for word in found)
    return hits >= LEAST_HITS or (hits > 0 and len(found) <= 4)
