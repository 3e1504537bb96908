"""Pictures at the border of the system: from any file to a clean RGB image, and on to a tensor."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from melfusion_core import apart

if TYPE_CHECKING:  # torch is slow to load, and the reader of strangers' files does without it
    import torch

FORMATS = {
    "JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "GIF": "GIF", "BMP": "BMP", "TIFF": "TIFF", "AVIF": "AVIF",
    "HEIF": "HEIC",
}  # fmt: skip
MAX_SIDE = 65_535
MAX_ASPECT = 10_000
# Above this many pixels a picture is made smaller before its colours are converted, and not the other way round.
LARGE_PIXELS = 16_000_000
STRIP_PIXELS = 1_000_000
MAX_SCANNED_PIXELS = 2_000_000_000
MAX_COMMENT_BYTES = 1_000_000
# Measured peaks of Pillow's readers in bytes per pixel, where that is more than the pixels they give.
_READER_BYTES = {"WEBP": 18, "AVIF": 9, "HEIF": 8, "TIFF": 8}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


class ImageError(ValueError):
    """A picture that cannot be used; the message is meant for people."""


def load_image(
    source: str | Path | bytes | Image.Image, max_bytes: int = apart.MAX_BYTES, max_side: int | None = 2048
) -> Image.Image:
    """Open a picture and make it plain: upright, opaque, RGB, one frame, no metadata.

    What decoding will take is reckoned from the header, before any pixel is decoded. EXIF rotation is applied and all
    metadata dropped, transparency is flattened on white, and of an animation the first frame is taken.

    Args:
        source: A JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file, its bytes, or a picture already opened.
        max_bytes: Memory that decoding may take, in bytes. A JPEG is decoded at the size that is needed, so a large
            photograph takes little of it.
        max_side: Pictures with a longer side than this are scaled down to it; `None` keeps the size.

    Returns:
        An RGB picture that shares nothing with the source.

    Raises:
        ImageError: When the file is missing, not a picture, damaged or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bound on memory is ours, and what is odd in metadata concerns nobody
        if isinstance(source, Image.Image):
            return _plain(source, "The picture", max_bytes, max_side)
        name = "The picture" if isinstance(source, bytes) else short_name(source)
        with _opened(source, name, max_bytes) as image:
            return _plain(image, name, max_bytes, max_side)


def load_image_apart(source: str | Path | bytes, max_side: int = 2048) -> Image.Image:
    """Do as :func:`load_image` does with a file that comes from a stranger, in a process apart.

    Args:
        source: The file, or its bytes.
        max_side: Pictures with a longer side than this are scaled down to it.

    Returns:
        An RGB picture.

    Raises:
        ImageError: When the file is missing, not a picture, damaged, too large, or too costly to read.
    """
    data = source if isinstance(source, bytes) else b""
    request = {"path": None if isinstance(source, bytes) else str(source), "max_side": max_side}
    try:
        reply, pixels = apart.ask("melfusion_core.image", request, data)
    except apart.ApartError as error:
        name = "The picture" if isinstance(source, bytes) else short_name(source)
        raise ImageError(f"{name} takes too much memory or time to read.") from error
    if "error" in reply:
        raise ImageError(reply["error"])
    return Image.frombytes("RGB", tuple(reply["size"]), pixels)


def short_name(path: str | Path) -> str:
    """Name a file in a message.

    Args:
        path: The file.

    Returns:
        Its name without its folder, cut to 60 characters, and what no terminal or page shows replaced by "?".
    """
    name = "".join(letter if letter.isprintable() else "?" for letter in Path(path).name)
    return name if len(name) <= 60 else f"{name[:40]}...{name[-17:]}"


def image_to_tensor(image: Image.Image, size: int = 64) -> torch.Tensor:
    """Centre-crop a picture to a square and resize it with antialiasing.

    Args:
        image: An RGB picture, as from :func:`load_image`.
        size: Side of the result in pixels.

    Returns:
        Pixels of shape ``(3, size, size)``, float32 in [-1, 1].

    Raises:
        ImageError: When the picture is not RGB.
    """
    import numpy as np
    import torch

    if image.mode != "RGB":
        raise ImageError(f"Expected an RGB picture, got mode {image.mode}; use load_image first.")
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float32).copy()).permute(2, 0, 1)
    return (pixels / 127.5 - 1.0).contiguous()


def _opened(source: str | Path | bytes, name: str, max_bytes: int) -> ImageFile.ImageFile:
    import pillow_heif

    try:
        if not isinstance(source, bytes) and not Path(source).is_file():
            raise ImageError(f"There is no picture at {Path(source).parent / name}.")
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            _check_opening(file, name, max_bytes)
        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=list(FORMATS))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        *others, last = FORMATS.values()
        message = f"{name} is not a picture that can be read here. Use {', '.join(others)} or {last}."
        raise ImageError(message) from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise ImageError(f"{name} has too many pixels, more than {most:.0f} million.") from error
    except Exception as error:  # noqa: BLE001  (each reader raises what it likes)
        raise _unreadable(name, error) from error


def _check_opening(file: BinaryIO, name: str, max_bytes: int) -> None:
    """Refuse what costs Pillow much before it tells the size: large WebP files, and GIF files full of comments."""
    head = file.read(30)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        fields = {b"VP8X": (head[24:27], head[27:30]), b"VP8 ": (head[26:28], head[28:30])}.get(head[12:16])
        if head[12:16] == b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif fields is not None:
            width, height = ((int.from_bytes(field, "little") & 0x3FFFFF) + 1 for field in fields)
        else:
            return
        if width * height * _READER_BYTES["WEBP"] > max_bytes:
            raise ImageError(_too_large(name, "WEBP", width * height, max_bytes / _READER_BYTES["WEBP"]))
    elif head[:6] in (b"GIF87a", b"GIF89a"):
        file.seek(13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0))
        skipped = 0
        while file.read(1) == b"!":
            file.read(1)
            while length := int.from_bytes(file.read(1), "little"):
                file.seek(length, 1)
                skipped += length
                if skipped > MAX_COMMENT_BYTES:
                    raise ImageError(f"{name} holds more comments than picture.")


def _plain(image: Image.Image, name: str, max_bytes: int, max_side: int | None) -> Image.Image:
    try:
        _check_size(image, name)
        turn = _TURNS.get(_orientation(image))
        pixels, needed = image.width * image.height, _scan_bytes(image, name)
        # A second image in the file, as phones write it, makes a JPEG an MPO, which is read in the same way.
        if max_side is not None and isinstance(image, JpegImageFile):
            image.draft("RGB", (max_side, max_side))  # decode at 1/2, 1/4 or 1/8 where that is still large enough
        needed += image.width * image.height * _bytes_per_pixel(image, turn is not None)
        if needed > max_bytes:
            raise ImageError(_too_large(name, image.format, pixels, pixels * max_bytes / needed))
        image.load()
        large = image.width * image.height > LARGE_PIXELS
        rgb = _to_rgb(image, max(1, max(image.size) // max_side) if max_side is not None and large else 1)
        if turn is not None:
            rgb = rgb.transpose(turn)
        if max_side is not None and max(rgb.size) > max_side:
            rgb = rgb.copy() if rgb is image and not isinstance(image, ImageFile.ImageFile) else rgb
            rgb.thumbnail((max_side, max_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
        clean = Image.new("RGB", rgb.size)
        clean.paste(rgb)
    except ImageError:
        raise
    except Exception as error:  # noqa: BLE001  (each reader raises what it likes)
        raise _unreadable(name, error) from error
    return clean


def _unreadable(name: str, error: Exception) -> ImageError:
    if isinstance(error, MemoryError):
        return ImageError(f"{name} needs more memory than there is for a picture.")
    return ImageError(f"{name} is damaged or incomplete.")


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels.")
    if max(width, height) > min(MAX_SIDE, MAX_ASPECT * min(width, height)):
        raise ImageError(f"{name} is {width} x {height} pixels: too long a strip to be a picture.")


def _orientation(image: Image.Image) -> int:
    # Cameras write tags of the wrong type, over which Pillow stumbles; only this one matters.
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  (each reader raises what it likes)
        return 1


def _scan_bytes(image: Image.Image, name: str) -> int:
    """Memory for the coefficients of a whole JPEG, which its reader keeps where they come in several scans."""
    if not isinstance(image, JpegImageFile):
        return 0
    length = 6 + 2 * image.layers  # of the first scan's header, which was read last, if it has all components
    file = image.fp
    assert file is not None  # it is open
    file.seek(-length, 1)
    header = file.read(length)
    whole = header[:3] == bytes((0, length, image.layers)) and image.layers in (1, 3)
    if whole and "progressive" not in image.info:
        return 0
    start = file.tell()
    scans = sum(part.count(b"\xff\xda") for part in iter(lambda: file.read(1 << 20), b""))
    file.seek(start)
    if scans * image.width * image.height > MAX_SCANNED_PIXELS:
        raise ImageError(f"{name} is written in {scans + 1} scans, too many to read.")
    sampling = [(across, down) for _, across, down, _ in image.layer]
    most = max(across for across, _ in sampling) * max(down for _, down in sampling)
    return 2 * image.width * image.height * sum(across * down for across, down in sampling) // most


def _bytes_per_pixel(image: Image.Image, turned: bool) -> int:
    stored = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}.get(image.mode, 4)
    made = 2 if image.width * image.height > LARGE_PIXELS else 4 * (image.mode != "RGB") + 4 * turned
    return max(stored, _READER_BYTES.get(image.format or "", 0)) + made


def _too_large(name: str, kind: str | None, pixels: int, most: float) -> str:
    given, bound, kind = pixels / 1e6, most / 1e6, FORMATS.get(kind or "", "such")
    return f"{name} has too many pixels, {given:.0f} million; {kind} pictures may have {bound:.0f}."


def _to_rgb(image: Image.Image, factor: int) -> Image.Image:
    """Convert a picture strip by strip, so that no second copy of it is needed; `factor` makes it smaller."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.reduce(factor) if factor > 1 else image
    width, height = image.size
    rgb = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        strip = _flat(image.crop((0, top, width, min(top + rows, height))))
        rgb.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return rgb


def _flat(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        flat = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        flat.alpha_composite(layer)
        return flat.convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":  # more than 8 bits of grey: PIL would clip it to 255
        import numpy as np

        grey = np.asarray(image, dtype=np.float32)
        full_scale = 65535.0 if image.mode.startswith("I") else 1.0
        grey = np.nan_to_num(grey / full_scale).clip(0.0, 1.0)
        return Image.fromarray((grey * 255.0).round().astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    Image.MAX_IMAGE_PIXELS = None  # what is needed is reckoned more closely here, and bounded in any case
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    try:
        image = load_image(data if request["path"] is None else request["path"], max_side=request["max_side"])
    except ImageError as error:
        return {"error": str(error)}, b""
    return {"size": image.size}, image.tobytes()


if __name__ == "__main__":
    apart.answer(_answer)
