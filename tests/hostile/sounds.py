"""Hostile sound and video files: bombs in their tags, nested containers, and mutations of sound ones."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from melfusion_core.recipe import RECIPE_TAG
from melfusion_core.tags import write_tags
from tests import system
from tests.hostile.pictures import png

SUFFIXES = (".wav", ".flac", ".mp3", ".mp4")


def tone(suffix: str, folder: Path) -> Path:
    """Write a short sound without tags.

    Args:
        suffix: One of ``SUFFIXES``.
        folder: Where.

    Returns:
        The file.
    """
    path, sound = folder / f"tone{suffix}", 0.1 * np.sin(np.arange(8000) / 20.0)
    if suffix != ".mp4":
        soundfile.write(path, sound, 16000)
        return path
    soundfile.write(folder / "source.wav", sound, 16000)
    command = [system.require_program("ffmpeg"), "-v", "error", "-y", "-i", str(folder / "source.wav"), str(path)]
    subprocess.run(command, check=True)
    return path


def whole(suffix: str, folder: Path) -> bytes:
    """Make a sound file with a text and a cover.

    Args:
        suffix: One of ``SUFFIXES``.
        folder: For the work.

    Returns:
        The file.
    """
    path = tone(suffix, folder)
    write_tags(path, RECIPE_TAG, json.dumps({"version": 1}), "Title", Image.new("RGB", (64, 48), "teal"))
    return path.read_bytes()


def id3(*frames: bytes) -> bytes:
    """Write an ID3 tag of version 2.4.

    Args:
        frames: Its frames.

    Returns:
        The tag.
    """
    body = b"".join(frames)
    return b"ID3\4\0\0" + _syncsafe(len(body)) + body


def frame(name: bytes, data: bytes, flags: int = 0) -> bytes:
    """Write a frame of an ID3 tag.

    Args:
        name: Four letters.
        data: What it holds.
        flags: 0x0009 for compressed data after its length.

    Returns:
        The frame.
    """
    return name + _syncsafe(len(data)) + struct.pack(">H", flags) + data


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _compressed(name: bytes, data_size: int, head: bytes) -> bytes:
    squeeze = zlib.compressobj(9)
    data = squeeze.compress(head)
    data += b"".join(squeeze.compress(b"x" * 1_000_000) for _ in range(data_size // 1_000_000)) + squeeze.flush()
    return frame(name, _syncsafe(data_size & 0xFFFFFFF) + data, 0x0009)


def _nested_chapters(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = frame(b"CHAP", b"a\0" + b"\0" * 16 + inner)
    return inner


def _wav(tag: bytes, plain: bytes) -> bytes:
    chunk = b"id3 " + struct.pack("<I", len(tag)) + tag + b"\0" * (len(tag) % 2)
    return b"RIFF" + struct.pack("<I", len(plain) - 8 + len(chunk)) + plain[8:] + chunk


def _atom(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + name + data


def crafted(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Make the bombs, one by one.

    Args:
        folder: For the work.

    Yields:
        Name and content of a file.
    """
    text = RECIPE_TAG.encode()
    cover = b"\3image/png\0\3Cover\0"
    huge = io.BytesIO()
    Image.new("L", (11_000, 11_000)).save(huge, "PNG", compress_level=1)
    tags = {
        "text-bomb": id3(_compressed(b"TXXX", 300_000_000, b"\3" + text + b"\0")),
        "cover-bomb": id3(_compressed(b"APIC", 300_000_000, cover)),
        "chapters": id3(_nested_chapters(1200)),
        "large-cover": id3(frame(b"APIC", cover + huge.getvalue())),
        "pixel-cover": id3(frame(b"APIC", cover + png(20_000, 20_000, rows=b""))),
        "no-cover": id3(frame(b"APIC", cover)),
        "frames": id3(*[frame(b"TXXX", b"\3" + b"%d\0x" % n) for n in range(20_000)]),
        "long-text": id3(frame(b"TXXX", b"\3" + text + b"\0" + b'{"' * 4_000_000)),
        "surrogates": id3(frame(b"TXXX", b"\1" + text.decode().encode("utf-16") + b"\0\0" + b"\xff\xfe\0\xd8")),
        "larger-than-file": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + b"\0" * 40,
        "encrypted": id3(frame(b"TXXX", b"\0" * 20, 0x0004)),
    }
    plain = {suffix: tone(suffix, folder).read_bytes() for suffix in SUFFIXES}
    for name, tag in tags.items():
        yield f"{name}.mp3", tag + plain[".mp3"]
        yield f"{name}.wav", _wav(tag, plain[".wav"])
    picture = struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">I", 0) + b"\0" * 16
    for name, data in (("cover", png(20_000, 20_000, rows=b"")), ("claimed-cover", b"")):
        block = picture + struct.pack(">I", len(data) or 0xFFFFFFF0) + data
        head = b"\x06" + len(block).to_bytes(3, "big") + block
        yield f"{name}.flac", plain[".flac"][:42] + head + plain[".flac"][42:]
    comments = struct.pack("<I", 0) + struct.pack("<I", 2**32 - 1) + struct.pack("<I", 3) + b"A=x"
    yield "comments.flac", plain[".flac"][:42] + b"\4" + len(comments).to_bytes(3, "big") + comments
    pads = b"\x01\x00\x00\x00" * 500_000
    yield "blocks.flac", plain[".flac"][:42] + pads + plain[".flac"][42:]
    nested = b""
    for _ in range(3000):
        nested = _atom(b"moov", nested)
    yield "nested.mp4", _atom(b"ftyp", b"isom\0\0\2\0isom") + nested
    yield "atoms.mp4", _atom(b"ftyp", b"isom\0\0\2\0isom") + _atom(b"moov", _atom(b"udta", b"") * 1_500_000)
    yield "claimed.mp4", _atom(b"ftyp", b"isom\0\0\2\0isom") + struct.pack(">I", 0x7FFFFFFF) + b"moov"
    yield "backwards.mp4", _atom(b"ftyp", b"isom\0\0\2\0isom") + struct.pack(">I", 1) + b"moov" + b"\xff" * 8
    riff = b"".join(b"LIST" + struct.pack("<I", 4) + b"INFO" for _ in range(500_000))
    yield "chunks.wav", b"RIFF" + struct.pack("<I", len(riff) + 4) + b"WAVE" + riff
    for suffix in SUFFIXES:
        yield f"empty{suffix}", b""
        yield f"text{suffix}", b"hello" * 20
        yield f"zeros{suffix}", b"\0" * 3_000_000
    yield "nested.json", b"[" * 200_000
    yield "nested-objects.json", b'{"a":' * 40_000
    yield "long.json", b'{"prompt": "' + b"x" * 400_000 + b'"}'
    yield "numbers.json", b'{"seed": ' + b"9" * 200_000 + b"}"
    yield "bytes.json", b"\xff\xfe\0\x01"
