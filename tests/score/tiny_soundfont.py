"""SoundFonts made for tests: sounds whose pitch, envelope and level are known in closed form."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from melfusion_core.score.riff import GENERATORS, list_bytes
from melfusion_core.score.soundfont import SoundFont

RATE = 44100
ROOT = 69
PERIOD = 100
"""Samples of one turn of the recorded sine: 441 Hz at key 69."""


def sine(periods: int = 50) -> np.ndarray:
    """A sine of amplitude 0.5.

    Args:
        periods: its length.
    """
    return 0.5 * np.sin(2 * np.pi * np.arange(periods * PERIOD) / PERIOD)


def span(low: int, high: int) -> int:
    """Amount of a generator that holds a range.

    Args:
        low: lowest key or velocity.
        high: highest one.
    """
    return low | high << 8


def soundfont_bytes(presets: dict[tuple[int, int], list[dict[str, int]]], sounds: list[np.ndarray]) -> bytes:
    """A SoundFont of 16-bit samples; each loops from its tenth turn to its end, should a zone ask for that.

    Args:
        presets: generators of each zone by their names in `GENERATORS`, with "sample" among them, by bank and program.
        sounds: the samples, recorded at key `ROOT`.
    """
    instruments, ibags, igens = b"", b"", []
    phdr, pbags, pgens = b"", b"", []
    for number, ((bank, program), zones) in enumerate(sorted(presets.items())):
        instruments += struct.pack("<20sH", b"instrument", len(ibags) // 4)
        for zone in zones:
            ibags += struct.pack("<HH", len(igens), 0)
            igens += sorted(
                ((GENERATORS[name], amount) for name, amount in zone.items()), key=lambda row: row[0] == 53
            )
        phdr += struct.pack("<20sHHH12x", b"preset", program, bank, number)
        pbags += struct.pack("<HH", len(pgens), 0)
        pgens.append((GENERATORS["instrument"], number))
    last = len(presets)
    data, headers = b"", b""
    for sound in sounds:
        start = len(data) // 2
        data += np.round(sound * 32768).clip(-32768, 32767).astype("<i2").tobytes() + bytes(92)
        bounds = (start, start + len(sound), start + 10 * PERIOD, start + len(sound))
        headers += struct.pack("<20sIIIIIBbHH", b"sample", *bounds, RATE, ROOT, 0, 0, 1)
    pdta = [
        ("phdr", phdr + struct.pack("<20sHHH12x", b"EOP", 0, 0, last)),
        ("pbag", pbags + struct.pack("<HH", len(pgens), 0)),
        ("pmod", bytes(10)),
        ("pgen", b"".join(struct.pack("<HH", *row) for row in pgens) + bytes(4)),
        ("inst", instruments + struct.pack("<20sH", b"EOI", len(ibags) // 4)),
        ("ibag", ibags + struct.pack("<HH", len(igens), 0)),
        ("imod", bytes(10)),
        ("igen", b"".join(struct.pack("<Hh", *row) for row in igens) + bytes(4)),
        ("shdr", headers + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    ]
    info = [("ifil", struct.pack("<HH", 2, 4)), ("INAM", b"tiny\0\0"), ("ICMT", b"free for all\0\0")]
    body = list_bytes("INFO", info) + list_bytes("sdta", [("smpl", data)]) + list_bytes("pdta", pdta)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"sfbk" + body


def tiny_soundfont(folder: Path, *zones: dict[str, int], sound: np.ndarray | None = None) -> SoundFont:
    """A SoundFont of one preset with one sample, a looped sine unless told otherwise.

    Args:
        folder: where the file goes.
        zones: generators of each zone; one that sets none by default.
        sound: the sample.
    """
    rows = [{"sample_modes": 1, "sample": 0} | zone for zone in zones or ({},)]
    path = folder / "tiny.sf2"
    path.write_bytes(soundfont_bytes({(0, 0): rows, (128, 0): rows}, [sine() if sound is None else sound]))
    return SoundFont([path])
