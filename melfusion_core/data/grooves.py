"""Feel: swing and laid-back timing, and human drum performances in place of patterns.

The performances are those of the Groove MIDI Dataset (Gillick et al. 2019): MIDI files and an `info.csv` with style,
tempo, time signature and split.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import mido
import numpy as np

from melfusion_core.score.score import Note

_TO_GENERAL_MIDI = {
    22: 42,
    26: 46,
    40: 38,
    58: 43,
    48: 50,
    50: 50,
    43: 43,
    45: 45,
    47: 47,
    52: 49,
    55: 49,
    57: 49,
    59: 51,
}
"""Notes of the drum kit of the recordings (edge hits, rims) -> General MIDI."""


def swing_beat(beat: float, ratio: float, unit: float) -> float:
    """Move a beat position by swing.

    Args:
        beat: position in beats.
        ratio: where the off-beat falls, 0.5 (straight) to 0.75.
        unit: what swings: 0.5 (eighths inside a beat) or 0.25 (sixteenths inside half a beat).
    """
    span = 2 * unit
    whole, part = divmod(beat, span)
    part /= span
    part = part * 2 * ratio if part <= 0.5 else ratio + (part - 0.5) * 2 * (1 - ratio)
    return (whole + part) * span


def swing_notes(notes: list[Note], ratio: float, unit: float, delay: float = 0.0) -> list[Note]:
    """Swing notes and bring them late.

    Args:
        notes: notes in straight time.
        ratio: where the off-beat falls, 0.5 (straight) to 0.75.
        unit: what swings: 0.5 or 0.25 beats.
        delay: beats added to every onset except the very first.
    """
    out = []
    for note in notes:
        start = swing_beat(note.start, ratio, unit) + (delay if note.start > 0 else 0.0)
        end = swing_beat(note.start + note.duration, ratio, unit) + (delay if note.start > 0 else 0.0)
        out.append(Note(start, max(end - start, 0.05), note.pitch, note.velocity))
    return out


@dataclass(frozen=True)
class Performance:
    """A human drum performance.

    Args:
        path: its MIDI file.
        style: style words joined by "/", for example "funk/rock".
        tempo_bpm: tempo of the recording.
        beats_per_bar: 3 or 4.
        bars: whole bars it lasts.
        split: "train", "validation" or "test", as published.
    """

    path: Path
    style: str
    tempo_bpm: float
    beats_per_bar: int
    bars: int
    split: str


@dataclass
class Grooves:
    """A collection of drum performances.

    Args:
        performances: what there is to choose from.
        notes: notes already read, by path.
    """

    performances: list[Performance]
    notes: dict[Path, list[Note]] = field(default_factory=dict)

    def part(self, split: str) -> Grooves:
        """Only the performances of one split, so that test pieces share none with training pieces.

        Args:
            split: "train", "validation" or "test".
        """
        return Grooves([p for p in self.performances if p.split == split], self.notes)

    def draw(
        self, rng: np.random.Generator, styles: tuple[str, ...], beats_per_bar: int, tempo_bpm: float, bars: int
    ) -> list[Note] | None:
        """Drum notes from a downbeat of a fitting performance, looped when it is short.

        Args:
            rng: source of randomness.
            styles: beginnings of style words that fit.
            beats_per_bar: 3 or 4.
            tempo_bpm: tempo at which it will be played; performances within 25 % fit.
            bars: bars to fill.

        Returns:
            Notes with starts in beats, or None when no performance fits.
        """
        fitting = [
            p
            for p in self.performances
            if p.beats_per_bar == beats_per_bar
            and p.bars >= 2
            and 0.8 <= tempo_bpm / p.tempo_bpm <= 1.25
            and p.style.startswith(styles)
        ]
        if not fitting or not styles:
            return None
        chosen = fitting[int(rng.integers(len(fitting)))]
        every = self._read(chosen)
        available = min(bars, chosen.bars)
        begin = int(rng.integers(0, chosen.bars - available + 1)) * beats_per_bar
        length = available * beats_per_bar
        loop = [n for n in every if begin - 0.06 <= n.start < begin + length - 0.06]
        if len(loop) < 2 * available:
            return None
        out = []
        for turn in range(-(-bars // available)):
            for n in loop:
                start = max(n.start - begin + turn * length, 0.0)
                out.append(Note(start, 0.2, n.pitch, n.velocity))
        return [n for n in out if n.start < bars * beats_per_bar]

    def _read(self, performance: Performance) -> list[Note]:
        if performance.path not in self.notes:
            midi = mido.MidiFile(performance.path, clip=True)
            notes, ticks = [], 0
            for message in mido.merge_tracks(midi.tracks):
                ticks += message.time
                if message.type == "note_on" and message.velocity > 0:
                    pitch = int(message.note)
                    pitch = _TO_GENERAL_MIDI.get(pitch, pitch)
                    notes.append(Note(ticks / midi.ticks_per_beat, 0.2, pitch, message.velocity))
            self.notes[performance.path] = notes
        return self.notes[performance.path]


def load_grooves(folder: Path | str) -> Grooves:
    """Find the drum performances in a folder.

    Args:
        folder: unpacked Groove MIDI Dataset with `info.csv`; files lie at their listed path or, flattened, with "/"
            replaced by "_".

    Raises:
        FileNotFoundError: there is no `info.csv` in the folder.
    """
    root = Path(folder)
    performances = []
    with open(root / "info.csv", newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            if row["beat_type"] != "beat" or row["time_signature"] not in ("4-4", "3-4"):
                continue
            name = row["midi_filename"]
            path = next((p for p in (root / name, root / name.replace("/", "_")) if p.is_file()), None)
            if path is None:
                continue
            tempo, metre = float(row["bpm"]), int(row["time_signature"][0])
            bars = int(float(row["duration"]) * tempo / 60 / metre + 0.1)
            performances.append(Performance(path, row["style"], tempo, metre, bars, row["split"]))
    return Grooves(sorted(performances, key=lambda p: p.path.name))
