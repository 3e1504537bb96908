"""Pictures at the border of the system: from any file to a clean RGB image, and on to a tensor."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 64_000_000


class ImageError(ValueError):
    """A picture that cannot be used; the message is meant for people."""


def load_image(
    source: str | Path | Image.Image, max_pixels: int = MAX_PIXELS, max_side: int | None = 2048
) -> Image.Image:
    """Open a picture and make it plain: upright, opaque, RGB, one frame, no metadata.

    The size is checked before any pixel is decoded. EXIF rotation is applied and all metadata dropped, transparency is
    flattened on white, and of an animation the first frame is taken.

    Args:
        source: A file, or a picture already opened.
        max_pixels: Largest accepted width times height.
        max_side: Pictures with a longer side than this are scaled down to it; ``None`` keeps the size.

    Returns:
        An RGB picture that shares nothing with the source.

    Raises:
        ImageError: When the file is missing, not a picture, damaged or too large.
    """
    if isinstance(source, Image.Image):
        return _plain(source, "The picture", max_pixels, max_side)
    path = Path(source)
    if not path.is_file():
        raise ImageError(f"There is no picture at {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path.name} is not a picture that can be read here. Use JPEG, PNG, WebP or GIF (HEIC is not supported)."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path.name} has too many pixels; at most {max_pixels / 1e6:.0f} million.") from error
    except OSError as error:
        raise ImageError(f"{path.name} could not be opened: {error}") from error
    with image:
        return _plain(image, path.name, max_pixels, max_side)


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
    if image.mode != "RGB":
        raise ImageError(f"Expected an RGB picture, got mode {image.mode}; use load_image first.")
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float32).copy()).permute(2, 0, 1)
    return (pixels / 127.5 - 1.0).contiguous()


def _plain(image: Image.Image, name: str, max_pixels: int, max_side: int | None) -> Image.Image:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels.")
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width * height / 1e6:.0f} million pixels; at most {max_pixels / 1e6:.0f} million."
        )
    try:
        if getattr(image, "n_frames", 1) > 1:
            image.seek(0)
        if max_side is not None and image.format == "JPEG":
            image.draft("RGB", (max_side, max_side))  # decode at 1/2, 1/4 or 1/8 where that is still large enough
        image.load()
        upright = ImageOps.exif_transpose(image)
        rgb = _to_rgb(upright)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name} is damaged or incomplete: {error}") from error
    if max_side is not None and max(rgb.size) > max_side:
        rgb.thumbnail((max_side, max_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    clean = Image.new("RGB", rgb.size)
    clean.paste(rgb)
    return clean


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        flat = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        flat.alpha_composite(layer)
        return flat.convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":  # more than 8 bits of grey: PIL would clip it to 255
        grey = np.asarray(image, dtype=np.float32)
        full_scale = 65535.0 if image.mode.startswith("I") else 1.0
        grey = np.nan_to_num(grey / full_scale).clip(0.0, 1.0)
        return Image.fromarray((grey * 255.0).round().astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
