"""Hostile pictures: whole ones of every kind, crafted bombs, and seeded cuts and mutations of the whole ones."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

KINDS = ("jpeg", "progressive", "mpo", "png", "palette", "sixteen", "webp", "gif", "bmp", "tiff", "avif", "heic")
_BMP_RLE = struct.pack("<IiiHHIIiiII", 40, 6000, 6000, 1, 8, 1, 0, 0, 0, 256, 0)
FOREIGN = ("PPM", "ICO", "PCX", "TGA", "EPS", "PDF", "SGI", "DDS", "JPEG2000", "IM")


def whole(kind: str, size: tuple[int, int] = (61, 47)) -> bytes:
    """Make a sound picture.

    Args:
        kind: One of ``KINDS``.
        size: Width and height in pixels.

    Returns:
        The file.
    """
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (image, image.transpose(Image.Transpose.ROTATE_180), Image.new("L", size, 90)))
    twin, file = image.rotate(180), io.BytesIO()
    if kind == "jpeg":
        image.save(file, "JPEG", exif=exif())
    elif kind == "progressive":
        image.save(file, "JPEG", progressive=True, quality=90, subsampling=0)
    elif kind == "mpo":
        image.save(file, "MPO", save_all=True, append_images=[twin])
    elif kind == "png":
        image.convert("RGBA").save(file, "PNG", dpi=(72, 72), exif=exif())
    elif kind == "palette":
        image.convert("P").save(file, "PNG", transparency=3)
    elif kind == "sixteen":
        image.convert("L").convert("I;16").save(file, "PNG")
    elif kind in ("gif", "webp", "avif"):
        image.save(file, kind.upper(), save_all=True, append_images=[twin, image], duration=40)
    elif kind == "tiff":
        image.save(file, "TIFF", save_all=True, append_images=[twin, image], compression="tiff_lzw")
    else:
        image.save(file, {"bmp": "BMP", "heic": "HEIF"}[kind])
    return file.getvalue()


def foreign(name: str) -> bytes:
    """Make a picture of a kind that is not read here.

    Args:
        name: One of ``FOREIGN``.

    Returns:
        The file.
    """
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(file, name)
    return file.getvalue()


def exif(orientation: int = 6, **odd: bytes) -> bytes:
    """Write EXIF data with an orientation and tags of the wrong type.

    Args:
        orientation: 1 to 8.
        odd: Text by the name of the tag, one of "x_resolution", "width", "unit".

    Returns:
        The data, with the mark that JPEG files have before it.
    """
    numbers = {"width": 0x0100, "x_resolution": 0x011A, "unit": 0x0128}
    entries = [(0x0112, 3, 1, struct.pack("<HH", orientation, 0))]
    for name, text in odd.items():
        entries.append((numbers[name], 2, len(text), text.ljust(4, b"\0")[:4]))
    entries.sort()
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + body + b"\0\0\0\0"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Write a chunk of a PNG.

    Args:
        kind: Its four letters.
        data: What it holds.

    Returns:
        The chunk with its length and checksum.
    """
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *before: bytes, depth: int = 8, colour: int = 2, rows: bytes | None = None) -> bytes:
    """Write a PNG of one colour, however large.

    Args:
        width: In pixels.
        height: In pixels.
        before: Chunks between the header and the pixels.
        depth: Bits per channel.
        colour: Colour type.
        rows: Compressed pixels; by default as many zeros as there have to be.

    Returns:
        The file.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    if rows is None:
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        row = b"\0" * (1 + (width * channels * depth + 7) // 8)
        squeeze = zlib.compressobj(1)
        rows = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    end = chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(before) + end


def tiff(entries: list[tuple[int, int, int, int]], data: bytes = b"", next_ifd: int = 0) -> bytes:
    """Write a TIFF with the given directory.

    Args:
        entries: Tag, type, count and value or offset of each.
        data: What follows the directory.
        next_ifd: Offset of the next directory.

    Returns:
        The file.
    """
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + struct.pack("<I", next_ifd) + data


def _tiff_plain(width: int, height: int, *more: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    plain = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
        (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height),
    ]  # fmt: skip
    return sorted({tag: entry for entry in (*plain, *more) for tag in entry[:1]}.values())


def _exif_bomb() -> bytes:
    """EXIF of 64 kB whose 5,000 entries each claim nearly all of it: 320 MB to whoever reads them all."""
    count = 5000
    entries = b"".join(struct.pack("<HHII", 40000 + n, 7, 60_000, 8) for n in range(count))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + b"\0" * 4


def _jpeg_with(segment: bytes) -> bytes:
    plain = whole("progressive")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def _scan_bomb() -> bytes:
    """A progressive JPEG of 60 megapixels with thousands of scans, each of a few bytes."""
    file = io.BytesIO()
    Image.new("L", (7700, 7700)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 3000 + data[-2:]


def crafted() -> Iterator[tuple[str, bytes]]:
    """Make the bombs, one by one.

    Yields:
        Name and content of a file.
    """
    bomb = zlib.compress(b"\0" * 100_000_000, 9)
    yield "pixels-400m.png", png(20_000, 20_000, rows=b"")
    yield "pixels-64m.png", png(8000, 8000)
    yield "pixels-49m-alpha.png", png(7000, 7000, colour=6)
    yield "pixels-49m-sixteen.png", png(7000, 7000, depth=16)
    yield "pixels-64m-grey.png", png(8000, 8000, colour=0)
    yield "strip.png", png(60_000, 1)
    yield "text-bomb.png", png(9, 9, chunk(b"zTXt", b"Comment\0\0" + bomb))
    yield "texts-bomb.png", png(9, 9, *[chunk(b"iTXt", b"C%d\0\1\0\0\0" % n + bomb[:90_000]) for n in range(40)])
    yield "profile-bomb.png", png(9, 9, chunk(b"iCCP", b"P\0\0" + bomb))
    for kind in ("IHDR", "pHYs", "acTL", "fcTL", "tRNS", "gAMA", "cHRM", "sRGB", "eXIf", "PLTE"):
        for data in (b"", b"\0", b"II"):
            yield f"short-{kind}-{len(data)}.png", png(9, 9, chunk(kind.encode(), data))
    yield "animated.png", png(9, 9, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))
    yield "empty-header.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"") + chunk(b"IEND", b"")
    yield "exif-bomb.png", png(9, 9, chunk(b"eXIf", _exif_bomb()[6:]))
    yield "exif-bomb.jpg", _jpeg_with(_exif_bomb())
    yield "scans.jpg", _scan_bomb()
    for name in ("x_resolution", "width", "unit"):
        yield f"text-in-{name}.jpg", _jpeg_with(exif(6, **{name: b"abc\0"}))
    big = Image.new("RGB", (12_000, 9_000), "navy")
    for name, options in (("baseline", {}), ("progressive", {"progressive": True, "subsampling": 0})):
        file = io.BytesIO()
        big.save(file, "JPEG", quality=50, **options)
        yield f"pixels-108m-{name}.jpg", file.getvalue()
    for side in (2800, 4000, 8000):
        file = io.BytesIO()
        Image.new("RGB", (side, side), "navy").save(file, "WEBP", lossless=True, method=0)
        yield f"pixels-{side * side // 1_000_000}m.webp", file.getvalue()
    for side in (4000, 6000):
        file = io.BytesIO()
        Image.new("RGB", (side, side), "navy").save(file, "AVIF", speed=10)
        yield f"pixels-{side * side // 1_000_000}m.avif", file.getvalue()
    file = io.BytesIO()
    Image.new("P", (5000, 5000)).save(file, "GIF")
    yield "pixels-25m.gif", file.getvalue()
    small = whole("gif")
    header = small[:13] + small[13 : 13 + 3 * 2 ** ((small[10] & 7) + 1)]
    block = b"\xff" + b"x" * 255
    yield "comments.gif", header + b"\x21\xfe" + block * 40_000 + b"\0" + small[len(header) :]
    yield "frames.gif", small[:-1] + (b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * 50_000 + b";"
    yield "tile-bomb.tif", tiff(_tiff_plain(64, 64, (259, 3, 1, 8), (322, 4, 1, 30_000), (323, 4, 1, 30_000),
                                            (324, 4, 1, 8), (325, 4, 1, 64)), zlib.compress(b"\0" * 4096))  # fmt: skip
    claims = [(40_000 + n, 7, 3_900_000, 8) for n in range(8000)]
    yield "tags-bomb.tif", tiff(_tiff_plain(9, 9) + claims, b"\0" * 4_000_000)
    yield "pixels-64m.tif", tiff(_tiff_plain(8000, 8000), b"\0" * 64_000_000)
    chain, frames = _tiff_plain(2, 2), []
    length = 2 + 12 * len(chain) + 4
    for n in range(12_000):
        frames.append(tiff(chain, next_ifd=8 + length * (n + 1))[8:])
    yield "frames.tif", b"II*\0\x08\0\0\0" + b"".join(frames)
    yield "loop.tif", tiff(_tiff_plain(4, 4), next_ifd=8)
    bmp = bytearray(whole("bmp"))
    yield "header-only.bmp", bytes(bmp[:54])
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    yield "pixels-900m.bmp", bytes(bmp)
    rle = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + _BMP_RLE
    yield "single-pixels.bmp", rle + b"\0" * 1024 + b"\1\7" * 1_500_000
    for name in FOREIGN:
        yield f"foreign.{name.lower()}", foreign(name)
    yield "floats.pfm", b"Pf\n4 4\n-1.0\n" + b"\0" * 64
    yield "icon.xpm", b'/* XPM */\nstatic char *x[] = {\n"1 1 1 1",\n"a c #000000",\n"a"};\n'
    yield "texture.blp", b"BLP2" + b"\0" * 200
    yield "script.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
    yield "empty.png", b""
    yield "text.jpg", b"hello"


def mutants(kind: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Cut and mutate a sound picture.

    Args:
        kind: One of ``KINDS``.
        count: How many.
        seed: The same seed gives the same files.

    Yields:
        Name and content of a file.
    """
    sound = whole(kind)
    yield from spoiled(f"{kind}-{seed}", sound, count, seed)


def spoiled(name: str, sound: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Cut and mutate any file: every fourth is cut, the others have bytes changed, put in or left out.

    Args:
        name: Begins the names.
        sound: The file.
        count: How many.
        seed: The same seed gives the same files.

    Yields:
        Name and content of a file.
    """
    draw = random.Random(f"{name} {seed}")
    for number in range(count):
        if number % 4 == 0:
            yield f"{name}-{number}-cut", sound[: draw.randrange(len(sound))]
            continue
        data = bytearray(sound)
        for _ in range(draw.choice((1, 1, 2, 4, 16))):
            # Headers decide most, so half of the changes are made there.
            place = draw.randrange(min(len(data), 200) if draw.random() < 0.5 else len(data))
            act = draw.randrange(5)
            if act == 0:
                data[place] ^= 1 << draw.randrange(8)
            elif act == 1:
                data[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif act == 2:
                data[place : place + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80"))
            elif act == 3:
                data[place:place] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 9)))
            else:
                del data[place : place + draw.randrange(1, 40)]
        yield f"{name}-{number}", bytes(data)
