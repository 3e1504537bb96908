"""The General MIDI bank that comes with the package, and how it is cut from a larger one."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from melfusion_core.score.riff import GENERATORS, VORBIS, SoundFontError, Tables, list_bytes, read_tables, zones
from melfusion_core.score.soundfont import DRUM_BANK, SoundFont

BANK_FOLDER = Path(__file__).resolve().parents[1] / "soundfont"
"""Where the bank is: it is a part of the package."""

LARGEST_FILE_BYTES = 9_000_000
KITS = (0, 8, 16, 24, 25, 32, 40, 48)
"""Percussion kits of General MIDI's successors: standard, room, power, electronic, TR-808, jazz, brush, orchestra."""


@functools.cache
def default_soundfont() -> SoundFont:
    """The bank of the package, opened on first use and shared.

    Raises:
        SoundFontError: it is not there.
    """
    paths = sorted(BANK_FOLDER.glob("*.sf3"))
    if not paths:
        raise SoundFontError(f"The sounds are missing: there is no .sf3 file in {BANK_FOLDER}.")
    return SoundFont(paths)


def cut_bank(
    source: Path,
    folder: Path,
    presets: Iterable[tuple[int, int]] | None = None,
    largest_bytes: int = LARGEST_FILE_BYTES,
) -> list[Path]:
    """Write some presets of a SoundFont into files of a bounded size, each a SoundFont itself.

    Samples are copied byte by byte, and none is written twice: presets that share one go into the same file. What the
    source says of its makers and licence is kept in every file, and written beside them as `LICENSE.txt`.

    Args:
        source: a file in SoundFont 2 or 3 format.
        folder: where the files go; it is created.
        presets: bank and program of each wanted; by default General MIDI and `KITS`.
        largest_bytes: size that no file passes.

    Returns:
        The files.

    Raises:
        SoundFontError: the source cannot be read, lacks a preset, or presets that share samples do not fit in a file.
    """
    tables = read_tables(source)
    rows = {(int(row["bank"]), int(row["program"])): i for i, row in enumerate(tables.rows["phdr"][:-1])}
    if presets is None:
        presets = [*((0, program) for program in range(128)), *((DRUM_BANK, kit) for kit in KITS)]
    missing = [preset for preset in presets if preset not in rows]
    if missing:
        raise SoundFontError(f"{source.name} lacks bank {missing[0][0]}, program {missing[0][1]}.")
    groups = _groups_that_share(tables, [rows[preset] for preset in presets])
    total = sum(size for _, size in groups)
    tables_size = sum(rows.nbytes for rows in tables.rows.values())
    room = largest_bytes - tables_size
    bins: list[list[int]] = [[] for _ in range(-(-total // max(room, 1)))]
    filled = [0] * len(bins)
    for members, size in sorted(groups, key=lambda group: -group[1]):
        smallest = int(np.argmin(filled))
        bins[smallest] += members
        filled[smallest] += size
    if not bins or max(filled) > room:
        raise SoundFontError(f"These presets do not fit in files of {largest_bytes} bytes.")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, members in enumerate(bins, 1):
        paths.append(folder / f"{source.stem.lower()}-{number}{source.suffix}")
        paths[-1].write_bytes(_soundfont_bytes(tables, sorted(members)))
    notice = f"Cut from {source.name} by `melfusion bank cut`; the samples are as they were.\n\n".encode()
    notice += b"\n\n".join(tables.info[name].rstrip(b"\0") for name in ("INAM", "ICOP", "ICMT") if name in tables.info)
    (folder / "LICENSE.txt").write_bytes(notice + b"\n")
    return paths


def _instruments_of(tables: Tables, preset: int) -> list[int]:
    return sorted({zone["instrument"] for zone in zones(tables, "p", preset)})


def _samples_of(tables: Tables, instrument: int) -> list[int]:
    return sorted({zone["sample"] for zone in zones(tables, "i", instrument)})


def _bytes_of(tables: Tables, sample: int) -> int:
    row = tables.rows["shdr"][sample]
    return int(row["end"] - row["start"]) * (1 if row["type"] & VORBIS else 2)


def _groups_that_share(tables: Tables, presets: list[int]) -> list[tuple[list[int], int]]:
    """Presets in groups that have no sample in common, with the bytes of their samples."""
    groups: list[tuple[list[int], set[int]]] = []
    for preset in presets:
        samples = {sample for i in _instruments_of(tables, preset) for sample in _samples_of(tables, i)}
        members = [preset]
        for other in [group for group in groups if group[1] & samples]:
            groups.remove(other)
            members, samples = other[0] + members, samples | other[1]
        groups.append((members, samples))
    return [(members, sum(_bytes_of(tables, s) for s in samples)) for members, samples in groups]


def _soundfont_bytes(tables: Tables, presets: list[int]) -> bytes:
    """A SoundFont of some presets, with the instruments and samples that they use and no others."""
    rows = tables.rows
    instruments = sorted({i for preset in presets for i in _instruments_of(tables, preset)})
    samples = sorted({s for instrument in instruments for s in _samples_of(tables, instrument)})
    heads, data = rows["shdr"][[*samples, len(rows["shdr"]) - 1]].copy(), bytearray()
    with tables.path.open("rb") as file:
        for head, sample in zip(heads, samples, strict=False):
            unit = 1 if head["type"] & VORBIS else 2
            file.seek(tables.samples_start + unit * int(head["start"]))
            moved = len(data) // unit - int(head["start"])
            data += file.read(_bytes_of(tables, sample))
            if unit == 2:
                data += bytes(2 * 46)  # the silence that the format asks for after samples that are not compressed
            for name in ("start", "end") + (("loop_start", "loop_end") if unit == 2 else ()):
                head[name] = int(head[name]) + moved
    preset_tables = _renumbered(rows, "p", presets, {old: new for new, old in enumerate(instruments)})
    instrument_tables = _renumbered(rows, "i", instruments, {old: new for new, old in enumerate(samples)})
    body = list_bytes("INFO", tables.info.items())
    body += list_bytes(
        "sdta", [("smpl", bytes(data) + bytes(len(data) % 2))]
    )  # padded inside, as some readers want it
    every = {**preset_tables, **instrument_tables, "shdr": heads}
    body += list_bytes("pdta", [(name, table.tobytes()) for name, table in every.items()])
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"sfbk" + body


def _renumbered(
    rows: dict[str, np.ndarray], kind: str, kept: list[int], numbers: dict[int, int]
) -> dict[str, np.ndarray]:
    """The tables of some presets ("p") or instruments ("i"), which refer to what they use by new numbers."""
    head, link = ("phdr", "instrument") if kind == "p" else ("inst", "sample")
    heads = rows[head][[*kept, len(rows[head]) - 1]].copy()
    bags, generators, modulators = [], [], []
    counts = [0, 0]
    for new, old in enumerate(kept):
        heads["bag"][new] = len(bags)
        for bag in range(rows[head]["bag"][old], rows[head]["bag"][old + 1]):
            bags.append(tuple(counts))
            for part, (table, into) in enumerate(((f"{kind}gen", generators), (f"{kind}mod", modulators))):
                column = ("gen", "mod")[part]
                here = rows[table][rows[f"{kind}bag"][column][bag] : rows[f"{kind}bag"][column][bag + 1]].copy()
                if table.endswith("gen"):
                    links = here["number"] == GENERATORS[link]
                    here["amount"][links] = [numbers[int(amount)] for amount in here["amount"][links]]
                into.append(here)
                counts[part] += len(here)
    heads["bag"][-1] = len(bags)
    bags.append(tuple(counts))
    return {
        head: heads,
        f"{kind}bag": np.array(bags, rows[f"{kind}bag"].dtype),
        f"{kind}mod": np.concatenate([*modulators, rows[f"{kind}mod"][-1:]]),
        f"{kind}gen": np.concatenate([*generators, rows[f"{kind}gen"][-1:]]),
    }
