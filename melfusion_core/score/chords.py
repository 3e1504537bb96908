"""Chords, beat by beat: root, kind and bass."""

from __future__ import annotations

from dataclasses import dataclass

from melfusion_core.score.keys import PITCH_CLASSES

CHORD_KINDS: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "sus4": (0, 5, 7), "5": (0, 7), "6": (0, 4, 7, 9),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "m7b5": (0, 3, 6, 10), "dim7": (0, 3, 6, 9),
    "9": (0, 4, 10, 14), "maj9": (0, 4, 11, 14), "m9": (0, 3, 10, 14), "add9": (0, 4, 7, 14), "madd9": (0, 3, 7, 14),
    "m6": (0, 3, 7, 9),
}  # fmt: skip
"""Kinds of chords as semitones above the root; "" is the major triad."""


@dataclass(frozen=True)
class BeatChord:
    """The chord of one beat.

    Args:
        root: pitch class of the root, 0 (C) to 11 (B).
        kind: a key of `CHORD_KINDS`.
        bass: pitch class of the lowest note.
    """

    root: int
    kind: str
    bass: int

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in CHORD_KINDS:
            raise ValueError(f"unknown kind of chord {self.kind!r}")
        if not (0 <= self.root < 12 and 0 <= self.bass < 12):
            raise ValueError(f"root and bass must be pitch classes (0 to 11), got {self.root} and {self.bass}")

    @property
    def tones(self) -> tuple[int, ...]:
        """Pitch classes of the chord, root first."""
        return tuple((self.root + step) % 12 for step in CHORD_KINDS[self.kind])

    @property
    def symbol(self) -> str:
        """Chord symbol, for example "Am7" or "C/E"."""
        name = PITCH_CLASSES[self.root] + self.kind
        return name if self.bass == self.root else f"{name}/{PITCH_CLASSES[self.bass]}"

    def transposed(self, semitones: int) -> BeatChord:
        """The chord, moved.

        Args:
            semitones: up, or down when negative.
        """
        return BeatChord((self.root + semitones) % 12, self.kind, (self.bass + semitones) % 12)


def chord_names(harmony: tuple[BeatChord | None, ...]) -> tuple[str, ...]:
    """Symbols of the chords in playing order, without repeats in a row; beats without a chord are left out.

    Args:
        harmony: one chord a beat, None where it is not known.
    """
    names: list[str] = []
    for chord in harmony:
        if chord is not None and (not names or names[-1] != chord.symbol):
            names.append(chord.symbol)
    return tuple(names)
