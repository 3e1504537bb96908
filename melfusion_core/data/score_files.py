"""Reading score files: parts, percussion and downbeats of MIDI files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from melfusion_core.score.midi import MidiError, read_song
from melfusion_core.score.score import Note

PACK_FOLDERS = {
    "ms_OpenScore_Lieder": "openscore_lieder", "ms_MarkGotham_Hauptstimme": "openscore_orchestra",
    "ms_sq": "openscore_quartets", "freedoom": "freedoom", "tanner_helland": "tanner_helland",
    "openewld_pre1931": "openewld_pre1931", "mutopia_pd": "mutopia_pd",
}  # fmt: skip
"""Folder inside each pack's archive -> pack name (drum-only performances are not pieces and stay out)."""

PACK_WEIGHTS = {
    "openscore_lieder": 0.16, "openscore_orchestra": 0.12, "openscore_quartets": 0.08, "freedoom": 0.26,
    "tanner_helland": 0.12, "openewld_pre1931": 0.14, "mutopia_pd": 0.12,
}  # fmt: skip
"""Share of each pack: band packs are repeated, the large classical one is capped."""

_UNSURE_BARS = frozenset({"freedoom", "tanner_helland", "mutopia_pd"})
_METRES = {1.5: (3, 2.0), 2.0: (4, 1.0), 3.0: (3, 1.0), 4.0: (4, 1.0), 6.0: (3, 1.0), 8.0: (4, 0.5)}
"""Quarter notes of a written bar -> beats per bar, and how many beats a quarter note becomes."""


class ScoreError(ValueError):
    """A score file cannot be used; the message says why."""


@dataclass
class Piece:
    """A score read from a file, times in beats.

    Args:
        name: identifier of the work, "<pack>/<file stem>".
        pack: name of the score pack.
        parts: one list of notes per part, percussion excluded.
        programs: General MIDI program of each part.
        drums: percussion notes.
        beats_per_bar: 3 or 4, from the commonest time signature.
        length: last note end, in beats.
        downbeats: first beats of the bars in that time signature.
    """

    name: str
    pack: str
    parts: list[list[Note]]
    programs: list[int]
    drums: list[Note]
    beats_per_bar: int
    length: float
    downbeats: list[float]


def find_scores(folder: Path) -> dict[str, list[Path]]:
    """MIDI files of each known pack below a folder.

    Args:
        folder: where the packs were unpacked.
    """
    found: dict[str, list[Path]] = {}
    for directory, pack in PACK_FOLDERS.items():
        files = sorted(p for p in (folder / directory).glob("**/*.mid*") if p.is_file())
        if files:
            found[pack] = files
    return found


def _bars(signatures: list[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    """Start and length in beats of every written bar; a file without a time signature is in four."""
    changes = dict(sorted(signatures)) or {0.0: 4.0}
    changes.setdefault(0.0, 4.0)
    points = [*sorted(changes), length]
    bars = []
    for begin, end in zip(points, points[1:], strict=False):
        size, beat = changes[begin], begin
        while beat < end - 1e-3:
            bars.append((beat, min(size, end - beat) if end != length else size))
            beat += size
    return bars


def _phase(parts: list[list[Note]], bar: int) -> int:
    """Beats by which the bars seem to be off, from the beat on which long and low notes start."""
    weights = [0.0] * bar
    for note in (note for part in parts for note in part):
        place = round(note.start)
        if abs(note.start - place) < 0.06:
            weights[place % bar] += min(note.duration, 4.0) * (2.0 if note.pitch < 52 else 1.0)
    best = max(range(bar), key=weights.__getitem__)
    return best if weights[best] > 1.2 * weights[0] else 0


def read_piece(path: Path, pack: str) -> Piece:
    """Read a MIDI file.

    Args:
        path: the file.
        pack: name of its pack.

    Raises:
        ScoreError: the file is broken, mostly in a metre that is not one of two, three or four, or has too few notes.
    """
    try:
        song = read_song(path, pedal=False)
    except MidiError as error:
        raise ScoreError(str(error)) from error
    drums = [note for part in song.parts if part.is_drum for note in part.notes]
    kept = [
        (sorted(part.notes, key=lambda n: n.start), part.program)
        for part in song.parts
        if not part.is_drum and len(part.notes) >= 4
    ]
    if sum(len(notes) for notes, _ in kept) < 32:
        raise ScoreError(f"{path.name}: too few notes")
    length = max(note.start + note.duration for notes, _ in kept for note in notes)
    bars = _bars([(beat, upper * 4 / lower) for beat, upper, lower in song.time_signatures], length)
    size = Counter(round(span, 3) for _, span in bars).most_common(1)[0][0]
    if size not in _METRES:
        raise ScoreError(f"{path.name}: time signature of {size} beats")
    downbeats = [start for start, span in bars if abs(span - size) < 1e-3]
    if pack in _UNSURE_BARS and size > 2:
        shift = _phase([notes for notes, _ in kept], int(size))
        downbeats = [start + shift for start in downbeats]
    beats, scale = _METRES[size]

    def scaled(notes: list[Note]) -> list[Note]:
        return [Note(n.start * scale, n.duration * scale, n.pitch, n.velocity) for n in notes]

    return Piece(
        name=f"{pack}/{path.stem}",
        pack=pack,
        parts=[scaled(notes) for notes, _ in kept],
        programs=[program for _, program in kept],
        drums=scaled(drums),
        beats_per_bar=beats,
        length=length * scale,
        downbeats=[start * scale for start in downbeats],
    )
