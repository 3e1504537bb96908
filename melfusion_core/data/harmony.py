"""Functional harmony: chords from Roman numerals, progressions by family, cadences at phrase ends, voice leading.

A phrase has four slots. An antecedent opens (it ends on the dominant, or turns around), a consequent closes (it ends
on the tonic). Families hold progressions usual in their music; the "functional" family is a small grammar of tonic,
predominant and dominant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from melfusion_core.score.chords import CHORD_KINDS
from melfusion_core.score.keys import PITCH_CLASSES, SCALES

_ROMAN = {"i": 0, "ii": 1, "iii": 2, "iv": 3, "v": 4, "vi": 5, "vii": 6}
_NUMERAL = re.compile(r"^([b#]?)([ivIV]+)(.*?)(?:/([35]))?$")
_LOWER = {"": "m", "7": "m7", "9": "m9", "6": "m6", "°": "dim", "°7": "dim7", "ø7": "m7b5", "add9": "madd9"}
_UPPER = {"": "", "sus": "sus4"}


@dataclass(frozen=True)
class Chord:
    """One chord in a key.

    Args:
        numeral: Roman numeral, for example "V7" or "ii/3" (third in the bass).
        quality: a key of `CHORD_KINDS`.
        root: pitch class of the root, 0 to 11.
        tones: pitch classes, root first.
        bass: pitch class of the lowest note.
        function: "T" (tonic), "P" (predominant) or "D" (dominant).
    """

    numeral: str
    quality: str
    root: int
    tones: tuple[int, ...]
    bass: int
    function: str

    @property
    def symbol(self) -> str:
        """Chord symbol, for example "Am7" or "C/E"."""
        name = PITCH_CLASSES[self.root] + self.quality
        return name if self.bass == self.root else f"{name}/{PITCH_CLASSES[self.bass]}"


@dataclass(frozen=True)
class Slot:
    """A chord in time.

    Args:
        start: first beat.
        length: beats.
        chord: what sounds.
        phrase: number of the phrase, from 0.
        cadence: "half", "authentic" or "turn" on the last slot of a phrase, otherwise "".
    """

    start: float
    length: float
    chord: Chord
    phrase: int
    cadence: str


def parse_chord(numeral: str, tonic: int, mode: str) -> Chord:
    """Chord of a Roman numeral.

    Upper case is major, lower case minor; "b" lowers the root; in minor keys "vii°" stands on the leading note.

    Args:
        numeral: for example "I", "ii7", "bVII", "viiø7", "V7/3".
        tonic: pitch class of the key.
        mode: "major" or "minor".

    Raises:
        ValueError: the numeral is not understood.
    """
    match = _NUMERAL.match(numeral)
    degree = _ROMAN.get(match.group(2).lower()) if match else None
    if match is None or degree is None:
        raise ValueError(f"not a Roman numeral: {numeral!r}")
    accidental, roman, suffix, inversion = match.groups()
    lower = roman.islower()
    quality = (_LOWER if lower else _UPPER).get(suffix, suffix)
    if quality not in CHORD_KINDS:
        raise ValueError(f"unknown chord quality {suffix!r} in {numeral!r}")
    root = SCALES[mode][degree] + {"b": -1, "#": 1, "": 0}[accidental]
    if mode == "minor" and degree == 6 and "dim" in quality:
        root = 11
    if mode == "minor" and accidental == "b":
        root = SCALES["major"][degree] - 1
    steps = CHORD_KINDS[quality]
    tones = tuple((tonic + root + step) % 12 for step in steps)
    bass = {"3": steps[1], "5": 7, None: 0}[inversion]
    if root % 12 in (7, 11) or (mode == "minor" and root % 12 == 10):
        function = "D"
    elif root % 12 in ({0, 9, 4} if mode == "major" else {0, 3, 8}) and not (mode == "major" and quality == "7"):
        function = "T"
    else:
        function = "P"
    return Chord(numeral, quality, (tonic + root) % 12, tones, (tonic + root + bass) % 12, function)


# "antecedent | consequent"; a slot with "-" holds two chords. Each line is weighted by how bright its chords are.
FAMILIES: dict[str, dict[str, tuple[str, ...]]] = {
    "pop": {
        "major": (
            "I V vi IV | I V IV I", "I vi IV V | I vi IV-V I", "I IV I V | I IV V I", "I iii IV V | vi IV V I",
            "I V/3 vi V | IV I/3 ii-V I", "vi IV I V | vi IV V I", "I IV vi V | I IV V7 I", "I ii IV V | I IV-iv I I",
        ),
        "minor": (
            "i VI iv V | i VI V i", "i iv VII V | i iv V i", "i VII VI V | i iv-V7 i i", "i VI III V | i iv V7 i",
            "i iv i V | VI iv V i", "i v VI V | iv i/3 V i",
        ),
    },
    "jazz": {
        "major": (
            "Imaj7 vi7 ii7 V7 | ii7 V7 Imaj7 I6", "Imaj7 VI7 ii7 V7 | iii7-VI7 ii7-V7 Imaj7 I6",
            "I6 I7 IVmaj7 iv6 | iii7-vi7 ii7-V7 I6 I6", "ii7 V7 Imaj7 vi7-V7 | ii7 V7 Imaj9 I6",
        ),
        "minor": (
            "i7 iv7 iiø7 V7 | iiø7 V7 i6 i7", "i6 VImaj7 iiø7 V7 | iv7 V7 i6 i6", "i9 iv7 i7 V7 | VImaj7 V7 i6 i6",
        ),
    },
    "bossa": {
        "major": ("Imaj7 II7 ii7 V7 | ii7 V7 Imaj7 I6", "Imaj9 vi7 ii9 V7 | IVmaj7 iv6 Imaj7 I6",
                  "Imaj7 iii7 ii7 V7 | ii7 V9 Imaj9 Imaj9"),
        "minor": ("i7 iv7 iiø7 V7 | iv7 V7 i9 i9", "i9 VImaj7 iiø7 V7 | iv7 V7 i7 i7"),
    },
    "soul": {
        "major": ("Imaj7 vi7 IVmaj7 V7 | ii7 V7 Imaj7 Imaj7", "Imaj9 iii7 IVmaj9 V9 | IVmaj7 iv6 Imaj7 Imaj7",
                  "IVmaj7 iii7 ii7 V7 | IVmaj7 V7 Imaj9 Imaj9"),
        "minor": ("i9 iv9 i7 V7 | i9 iv9 V7 i9", "i7 VImaj7 iv7 V7 | iv7 V7 i7 i9", "i9 IV9 i9 v7 | i9 IV9 V7 i9"),
    },
    "funk": {
        "major": ("I9 I9 IV9 V9 | I9 IV9 I9 I9", "I7 IV7 I7 V7 | I7 bVII IV7 I7"),
        "minor": ("i7 i7 IV9 V7 | i7 iv7 V7 i7", "i9 i9 iv9 V7 | i9 VI V7 i9"),
    },
    "rock": {
        "major": ("I bVII IV V | I bVII IV I", "I IV V V | I IV V I", "I V IV V | I V IV I", "I IV bVII V | I IV V I"),
        "minor": ("i VII VI V | i VII V i", "i i VI VII | i VI V i", "i iv v i | i iv V i", "i VI VII v | i VI V i"),
    },
    "metal": {
        "major": ("I5 bVI5 bVII5 V5 | I5 bVI V I5",),
        "minor": ("i bII i V | i bII V i", "i VI bII V | i iv V i", "i i vii°7 V | i bII V i",
        "i VI iv V | i bII V i"),
    },
    "dance": {
        "major": ("I V vi IV | I V IV I", "I IV vi V | I IV V I", "I I IV V | I vi V I"),
        "minor": ("i VI iv V | i VI V i", "i i VI v | i VI v i", "i iv i V | i VI V i", "i i iv VII | i iv v i"),
    },
    "epic": {
        "major": ("I V/3 vi IV | I IV V I", "I bVI bVII V | I bVI bVII I", "I II IV V | I II V I",
                  "I iii IV iv | I IV V I"),
        "minor": ("i VI iv V | i VI V i", "i bII i V | i VI bII i", "i iv VI V | iv VI V i", "i III iv V | VI iv V i"),
    },
    "ambient": {
        "major": ("Iadd9 IVmaj7 Iadd9 V | IVmaj7 V Iadd9 Iadd9", "Imaj7 II Imaj7 V | IVmaj7 I/3 V Iadd9",
                  "I IVadd9 vi V | IVadd9 I/3 IV I"),
        "minor": ("iadd9 iv7 iadd9 v | VImaj7 v iadd9 iadd9", "iadd9 VImaj7 iv v | iv v i iadd9",
        "i v iv V | i iv V i"),
    },
    "folk": {
        "major": ("I IV I V | I IV V I", "I I V V | I IV V I", "I V vi V | IV I V I", "I vi IV V | I V7 I I"),
        "minor": ("i VII i V | i iv V i", "i VII VI V | i iv V i", "i iv i V | i VI V i"),
    },
    "celtic": {
        "major": ("I bVII I V | I bVII IV I", "I IV I V | I V IV-V I", "I ii IV V | I ii V I"),
        "minor": ("i VII i v | i VII v i", "i IV i v | i VI v i", "i VII VI v | i VII v i"),
    },
    "blues": {
        "major": ("I7 IV7 I7 V7 | IV7 I7 V7 I7", "I7 I7 IV7 V7 | I7 IV7 V7 I7", "I7 IV7 I7 I7-V7 | IV7 I7 V7 I7"),
        "minor": ("i7 iv7 i7 V7 | iv7 i7 V7 i7", "i7 i7 iv7 V7 | VI7 V7 i7 i7"),
    },
    "tango": {
        "major": ("I V7 I V7 | ii V7 I I", "I VI7 ii V7 | IV I/5 V7 I"),
        "minor": ("i V7 i V7 | iv i/5 V7 i", "i i/3 iiø7 V7 | iv V7 i i", "i VI iiø7 V7 | VI bII V7 i"),
    },
    "reggae": {
        "major": ("I IV I V | I IV V I", "I ii I V | I IV V I", "I V vi V | I IV V I"),
        "minor": ("i iv i V | i VII v i", "i VII i v | i iv v i", "i i iv v | i iv V i"),
    },
    "march": {
        "major": ("I I V7 V7 | I IV-V7 I I", "I V7 I V | IV I/5 V7 I", "I I/3 IV V | ii V7 I I"),
        "minor": ("i i V7 V7 | i iv-V7 i i", "i V7 i V | iv i/5 V7 i"),
    },
}  # fmt: skip
"""Progressions by family and mode."""

_GRAMMAR = {
    "major": {"T": ("I", "I/3", "vi", "I"), "P": ("IV", "ii/3", "ii7", "IV"), "T2": ("I/3", "vi", "IV", "V/3"),
              "D": ("V", "V7"), "close": ("IV-V7", "ii/3-V7", "ii7-V7", "I/5-V7"), "end": ("I",)},
    "minor": {"T": ("i", "i/3", "VI", "i"), "P": ("iv", "ii°/3", "iiø7", "iv"), "T2": ("i/3", "VI", "iv", "V/3"),
              "D": ("V", "V7"), "close": ("iv-V7", "iiø7-V7", "i/5-V7", "bII-V7"), "end": ("i",)},
}  # fmt: skip


def _functional_line(rng: np.random.Generator, mode: str) -> str:
    """A period by the grammar T T P D | T P D T."""
    rules = _GRAMMAR[mode]

    def pick(symbol: str) -> str:
        return str(rng.choice(rules[symbol]))

    tonic = rules["end"][0]
    return f"{tonic} {pick('T2')} {pick('P')} {pick('D')} | {tonic} {pick('T')} {pick('close')} {tonic}"


_BRIGHTNESS = {"m": -1.0, "m7": -0.7, "m9": -0.6, "m6": -1.0, "madd9": -0.8, "dim": -2.0, "dim7": -2.5, "m7b5": -1.8,
               "5": -0.3, "7": 0.3, "9": 0.3, "sus4": 0.3}  # fmt: skip


def _brightness(line: str, mode: str) -> float:
    """Mean brightness of the chords of a progression, about -1.5 to 1; borrowed flat chords count as dark."""
    chords = [parse_chord(n, 0, mode) for n in re.split(r"[ |\-]+", line) if n]
    values = [_BRIGHTNESS.get(c.quality, 1.0) - (1.2 if c.numeral.startswith("b") else 0.0) for c in chords]
    return float(np.mean(values))


def choose_progression(
    rng: np.random.Generator, family: str, mode: str, valence: float
) -> tuple[list[str], list[str]]:
    """Draw a period; darker ones are likelier when the valence is low.

    Args:
        rng: source of randomness.
        family: a key of `FAMILIES`, or "functional" for the grammar.
        mode: "major" or "minor".
        valence: 0 to 1.

    Returns:
        The four slots of the antecedent and of the consequent, as numerals; "-" joins two chords of one slot.
    """
    if family == "functional":
        lines = [_functional_line(rng, mode) for _ in range(4)]
    else:
        lines = list(FAMILIES[family][mode])
    bright = np.array([_brightness(line, mode) for line in lines])
    weights = np.exp(3.0 * (valence - 0.5) * (bright - bright.mean()))
    line = lines[int(rng.choice(len(lines), p=weights / weights.sum()))]
    first, second = line.split(" | ")
    return first.split(), second.split()


def harmonise(
    antecedent: list[str],
    consequent: list[str],
    tonic: int,
    mode: str,
    slot_beats: float,
    slots: int,
    closing_first: bool = False,
) -> list[Slot]:
    """Lay a period out in time, again and again.

    Args:
        antecedent: four slots that open.
        consequent: four slots that close.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        slot_beats: beats of a slot.
        slots: how many slots to fill.
        closing_first: start with the consequent.
    """
    phrases = (consequent, antecedent) if closing_first else (antecedent, consequent)
    out = []
    for index in range(slots):
        phrase = index // 4
        numerals = phrases[phrase % 2][index % 4].split("-")
        length = slot_beats / len(numerals)
        for part, numeral in enumerate(numerals):
            chord = parse_chord(numeral, tonic, mode)
            last = index % 4 == 3 and part == len(numerals) - 1
            cadence = ""
            if last:
                cadence = "authentic" if chord.root == tonic else "half" if chord.function == "D" else "turn"
            out.append(Slot(index * slot_beats + part * length, length, chord, phrase, cadence))
    return out


def chord_scale(chord: Chord, tonic: int, scale: tuple[int, ...]) -> tuple[int, ...]:
    """Scale degrees over a chord: the key's scale, bent by a semitone where the chord needs it.

    Args:
        chord: what sounds.
        tonic: pitch class of the key.
        scale: seven semitones above the tonic.

    Returns:
        Seven semitones above the tonic; degree n stays degree n, so melodies keep their shape.
    """
    steps = list(scale)
    tones = {(tone - tonic) % 12 for tone in chord.tones}
    for tone in sorted(tones - set(steps)):
        near = [i for i, step in enumerate(steps) if abs(step - tone) == 1 and step not in tones]
        if near:
            steps[near[-1] if tone > 6 else near[0]] = tone
    return tuple(steps)


def voice_lead(tones: tuple[int, ...] | list[int], previous: list[int] | None, centre: float) -> list[int]:
    """Voice a chord close to the previous one, so that every voice moves little.

    Args:
        tones: pitch classes of the chord.
        previous: MIDI pitches of the previous voicing, or None.
        centre: MIDI pitch around which the chords lie.
    """
    tones = list(tones)
    best: list[int] = []
    best_cost = np.inf
    for inversion in range(len(tones)):
        rotated = tones[inversion:] + tones[:inversion]
        for octave in range(1, 8):
            pitches = [12 * octave + rotated[0]]
            for tone in rotated[1:]:
                pitches.append(pitches[-1] + ((tone - pitches[-1]) % 12 or 12))
            if pitches[-1] - pitches[0] > 16:
                pitches = sorted(p - 12 if p - pitches[0] > 12 else p for p in pitches)
            mean = sum(pitches) / len(pitches)
            cost = 0.5 * abs(mean - centre)
            if previous:
                cost += sum(min(abs(a - b) for b in previous) for a in pitches) / len(pitches)
                cost += abs(mean - sum(previous) / len(previous))
            if cost < best_cost:
                best, best_cost = pitches, cost
    return best
