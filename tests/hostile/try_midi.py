"""MIDI files as no program writes them, and cut and mutated ones."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from melfusion_core.data.score_files import ScoreError, read_piece
from melfusion_core.score.midi import MidiError, read_song
from tests.hostile.pictures import spoiled
from tests.hostile.run import Trial

MORE_BYTES, SECONDS = 600_000_000, 120
END = b"\x00\xff\x2f\x00"


def header(tracks: int, ticks: int = 480, kind: int = 1) -> bytes:
    """The head of a file."""
    return b"MThd" + struct.pack(">IHHH", 6, kind, tracks, ticks)


def track(events: bytes, length: int | None = None) -> bytes:
    """A track, of a claimed length."""
    return b"MTrk" + struct.pack(">I", len(events) if length is None else length) + events


def meta(kind: int, data: bytes, delta: bytes = b"\0") -> bytes:
    """A meta event."""
    return delta + b"\xff" + bytes([kind, len(data)]) + data


def note(delta: bytes = b"\x60", pitch: int = 60) -> bytes:
    """A note of one step."""
    return delta + bytes([0x90, pitch, 80]) + b"\x60" + bytes([0x80, pitch, 0])


def crafted() -> Iterator[tuple[str, bytes]]:
    """Make the files, one by one."""
    notes = b"".join(note(pitch=60 + n % 12) for n in range(60))
    yield "sound", header(1) + track(notes + END)
    yield "running", header(1) + track(b"\x60\x90\x3c\x50" + b"\x10\x3c\x00\x10\x3c\x50" * 200 + END)
    yield "running-without-status", header(1) + track(b"\x60\x3c\x50" * 200)
    yield "running-over-meta", header(1) + track(note() + meta(1, b"x") + b"\x60\x3c\x50" + END)
    yield "deltas", header(1) + track(note(b"\xff\xff\xff\x7f") * 40 + END)
    yield "long-delta", header(1) + track(b"\xff" * 4000 + notes)
    yield "no-last-note-off", header(1) + track(notes + b"\x60\x90\x40\x50" + END)
    yield "no-note-off-at-all", header(1) + track(b"".join(b"\x60\x90" + bytes([n, 80]) for n in range(128)) + END)
    yield "no-end", header(1) + track(notes)
    yield "tempo-zero", header(1) + track(meta(0x51, b"\0\0\0") + notes + END)
    yield "tempo-slowest", header(1) + track(meta(0x51, b"\xff\xff\xff") + notes + END)
    yield "tempo-short", header(1) + track(meta(0x51, b"\1") + notes + END)
    yield "tempos", header(1) + track(b"".join(meta(0x51, b"\7\0" + bytes([n % 256]), b"\1") for n in range(90_000)))
    for upper, lower in ((0, 2), (255, 255), (4, 255), (1, 64), (4, 7), (255, 0)):
        yield f"metre-{upper}-{lower}", header(1) + track(meta(0x58, bytes([upper, lower, 24, 8])) + notes * 8 + END)
    for sharps, mode in ((127, 0), (0x80, 1), (3, 200)):
        yield f"key-{sharps}-{mode}", header(1) + track(meta(0x59, bytes([sharps, mode])) + notes + END)
    yield "tracks-claimed", header(65_535) + track(notes + END)
    yield "tracks", header(65_535) + track(END) * 65_535
    yield "tracks-none", header(0)
    yield "film-frames", header(1, 0xE728) + track(notes + END)
    yield "ticks-zero", header(1, 0) + track(notes + END)
    yield "kind-2", header(2, kind=2) + track(notes + END) * 2
    yield "kind-9", header(1, kind=9) + track(notes + END)
    yield "claimed-track", header(1) + track(notes, 0xFFFFFFFF)
    yield "claimed-meta", header(1) + track(b"\0\xff\1\xff\xff\xff\x7f" + notes)
    yield "claimed-sysex", header(1) + track(b"\0\xf0\xff\xff\xff\x7f" + notes)
    yield "events", header(1) + track(b"\0\xb0\1\2" + b"\0\1\2" * 100_000)
    yield "millions-of-events", header(1) + track(b"\0\xb0\1\2" + b"\0\1\2" * 1_500_000)
    yield "notes", header(1) + track(b"\0\x90\x3c\x50" + b"\0\x3c\0\0\x3c\x50" * 100_001)
    yield "names", header(1) + track(meta(3, b"\x1b[2J\xff\xfe" * 20) * 3000 + notes + END)
    yield "data-bytes", header(1) + track(b"\0\x90\xff\xff" * 100)
    yield "empty", b""
    yield "text", b"hello"
    yield "riff", b"RIFF\0\0\0\0RMID" + header(1) + track(notes + END)


def prepare(folder: Path, count: int, seed: int) -> None:
    made = dict(crafted())
    for name, data in made.items():
        (folder / f"{name}.mid").write_bytes(data)
    for name, data in spoiled("midi", made["sound"], 4 * count, seed):
        (folder / f"{name}.mid").write_bytes(data)


def trials(folder: Path) -> Iterator[Trial]:
    for path in sorted(folder.iterdir()):
        yield f"song {path.name}", partial(read_song, path), (MidiError,)
        if path.stat().st_size < 100_000:  # it begins as the song does
            yield f"piece {path.name}", partial(_piece, path), (ScoreError,)


def _piece(path: Path) -> object:
    try:
        return read_piece(path, "mutopia_pd")
    except ScoreError as error:  # seen by builders of corpora only, in the log
        raise ScoreError(f"{str(error).rstrip('.')}.") from error
