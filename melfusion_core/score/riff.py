"""The file format of SoundFonts: a RIFF file with texts, samples, and tables of presets, instruments and samples.

Names follow the SoundFont 2.04 specification. In version 3 (.sf3) every sample is an Ogg Vorbis stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

GENERATORS = {
    "loop_start": 2, "loop_end": 3, "mod_lfo_to_pitch": 5, "vib_lfo_to_pitch": 6, "mod_env_to_pitch": 7,
    "cutoff": 8, "resonance": 9, "mod_lfo_to_cutoff": 10, "mod_env_to_cutoff": 11, "mod_lfo_to_volume": 13,
    "pan": 17, "mod_lfo_delay": 21, "mod_lfo_frequency": 22, "vib_lfo_delay": 23, "vib_lfo_frequency": 24,
    "mod_delay": 25, "mod_attack": 26, "mod_hold": 27, "mod_decay": 28, "mod_sustain": 29, "mod_release": 30,
    "mod_key_hold": 31, "mod_key_decay": 32, "vol_delay": 33, "vol_attack": 34, "vol_hold": 35, "vol_decay": 36,
    "vol_sustain": 37, "vol_release": 38, "vol_key_hold": 39, "vol_key_decay": 40, "instrument": 41, "keys": 43,
    "velocities": 44, "loop_start_coarse": 45, "attenuation": 48, "loop_end_coarse": 50, "coarse_tune": 51,
    "fine_tune": 52, "sample": 53, "sample_modes": 54, "scale_tuning": 56, "exclusive_class": 57, "root_key": 58,
}  # fmt: skip
"""Numbers of the settings of a zone that are read; their names here say what they do."""
_NAMES = {number: name for name, number in GENERATORS.items()}

_RECORDS = {
    "phdr": np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]),
    "pbag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    "pmod": np.dtype("V10"),
    "pgen": np.dtype([("number", "<u2"), ("amount", "<i2")]),
    "inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    "ibag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    "imod": np.dtype("V10"),
    "igen": np.dtype([("number", "<u2"), ("amount", "<i2")]),
    "shdr": np.dtype([
        ("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"),
        ("rate", "<u4"), ("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2"),
    ]),
}  # fmt: skip
"""Layout of the tables of a SoundFont; they name presets, their zones, instruments, their zones, and samples."""

VORBIS = 0x10
"""Bit of a sample's type: it is a whole Ogg Vorbis stream, and its bounds count bytes."""


class SoundFontError(ValueError):
    """A SoundFont that is not there or cannot be read; the message is meant for people."""


def read_chunks(file: BinaryIO, start: int, end: int) -> dict[str, tuple[int, int]]:
    """Find the chunks of a RIFF list; lists inside are named "LIST" and what they hold.

    Args:
        file: the file.
        start: byte of the first chunk.
        end: byte after the last one.

    Returns:
        First byte and size of what each chunk holds.

    Raises:
        SoundFontError: a chunk is longer than what holds it.
    """
    found = {}
    while start + 8 <= end:
        file.seek(start)
        name, size = struct.unpack("<4sI", file.read(8))
        if start + 8 + size > end:
            raise SoundFontError("it is cut off or damaged")
        first = start + 8
        if name == b"LIST":
            found["LIST" + file.read(4).decode("latin-1")] = (first + 4, size - 4)
        else:
            found[name.decode("latin-1")] = (first, size)
        start = first + size
        file.seek(start)
        start += size % 2 and file.read(1) == b"\0"  # some programs leave out the byte that pads an odd size
    return found


@dataclass(frozen=True)
class Tables:
    """The tables of a SoundFont file, and where its samples begin.

    Args:
        path: the file.
        info: texts about it by their four-letter names.
        rows: records by table, as named in the specification, each with its closing record.
        samples_start: byte of the first sample.
        samples_size: bytes of all samples.
    """

    path: Path
    info: dict[str, bytes]
    rows: dict[str, np.ndarray]
    samples_start: int
    samples_size: int


def read_tables(path: Path) -> Tables:
    """Read everything of a SoundFont but its samples.

    Args:
        path: a file in SoundFont 2 or 3 format.

    Raises:
        SoundFontError: it is missing or not a SoundFont.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"RIFF" or len(file.read(4)) < 4 or file.read(4) != b"sfbk":
                raise SoundFontError("it is not a SoundFont")
            lists = read_chunks(file, 12, path.stat().st_size)
            texts: dict[str, tuple[int, int]] = {}
            chunks: dict[str, tuple[int, int]] = {}
            for name, into in (("LISTINFO", texts), ("LISTsdta", chunks), ("LISTpdta", chunks)):
                first, size = lists[name]
                into.update(read_chunks(file, first, first + size))

            def read(place: tuple[int, int]) -> bytes:
                file.seek(place[0])
                return file.read(place[1])

            rows = {name: np.frombuffer(read(chunks[name]), kind) for name, kind in _RECORDS.items()}
            info = {name: read(place) for name, place in texts.items()}
    except FileNotFoundError as error:
        raise SoundFontError(f"There is no SoundFont at {path}.") from error
    except KeyError as error:
        raise SoundFontError(f"{path.name} cannot be read: it has no part {error}.") from error
    except (OSError, ValueError) as error:
        raise SoundFontError(f"{path.name} cannot be read: {error}.") from error
    return Tables(path, info, rows, *chunks["smpl"])


def zones(tables: Tables, kind: str, index: int) -> list[dict[str, int]]:
    """Zones of a preset or an instrument: generators by name, those of the global zone already in the others.

    Args:
        tables: the file.
        kind: "p" for a preset, "i" for an instrument.
        index: its number.
    """
    heads, bags, generators = (
        tables.rows[name] for name in (("phdr", "inst")[kind == "i"], f"{kind}bag", f"{kind}gen")
    )
    last = "instrument" if kind == "p" else "sample"
    found: list[dict[str, int]] = []
    common: dict[str, int] = {}
    for bag in range(heads["bag"][index], heads["bag"][index + 1]):
        rows = generators[bags["gen"][bag] : bags["gen"][bag + 1]]
        zone = {_NAMES[number]: amount for number, amount in rows.tolist() if number in _NAMES}
        if last in zone:
            found.append(common | zone)
        elif not found:
            common = zone
    return found


def list_bytes(name: str, chunks: Iterable[tuple[str, bytes]]) -> bytes:
    """The bytes of a RIFF list.

    Args:
        name: four letters that tell what it holds.
        chunks: name and content of each chunk inside.
    """
    body = name.encode("latin-1")
    for chunk, content in chunks:
        body += chunk.encode("latin-1") + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"LIST" + struct.pack("<I", len(body)) + body
