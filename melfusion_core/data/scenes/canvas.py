"""Painting primitives for the procedural scenes: numpy arrays and PIL masks, all in relative units.

Shape legend: ``S`` is the side of the square canvas in pixels. Colours are RGB in ``[0, 1]``; positions and lengths
are fractions of the side, with ``y`` growing downwards, so that one random stream paints the same scene at every size.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw


def hsv(hue_deg: float, saturation: float, value: float) -> np.ndarray:
    """Convert one HSV colour to RGB.

    Args:
        hue_deg: Hue in degrees; wrapped to one turn.
        saturation: Saturation, clipped to [0, 1].
        value: Value (brightness), clipped to [0, 1].

    Returns:
        Array of shape `(3,)`.
    """
    rgb = colorsys.hsv_to_rgb((hue_deg % 360.0) / 360.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return np.asarray(rgb, dtype=np.float32)


def axes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the pixel-centre coordinates.

    Args:
        size: Side S in pixels.

    Returns:
        `x` of shape `(1, S)` and `y` of shape `(S, 1)`, both in (0, 1).
    """
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def vertical_gradient(size: int, stops: Sequence[tuple[float, np.ndarray]]) -> np.ndarray:
    """Paint a top-to-bottom gradient.

    Args:
        size: Side S in pixels.
        stops: Pairs of position (0 top, 1 bottom, ascending) and colour.

    Returns:
        Array of shape `(S, S, 3)`.
    """
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    places = [place for place, _ in stops]
    column = np.stack([np.interp(line, places, [colour[i] for _, colour in stops]) for i in range(3)], axis=-1)
    return np.repeat(column[:, None, :].astype(np.float32), size, axis=1)


def fractal_noise(
    rng: np.random.Generator,
    size: int,
    cells: tuple[int, int] = (4, 4),
    octaves: int = 4,
    persistence: float = 0.5,
) -> np.ndarray:
    """Paint smooth noise as a sum of bicubically enlarged random grids.

    Args:
        rng: Random generator.
        size: Side S in pixels.
        cells: Coarsest grid as (across, down); unequal numbers give stretched noise.
        octaves: Number of grids, each twice as fine as the one before.
        persistence: Factor on the weight from one grid to the next finer one.

    Returns:
        Array of shape `(S, S)` scaled to span [0, 1].
    """
    total = np.zeros((size, size), dtype=np.float32)
    weight = 1.0
    for octave in range(octaves):
        across, down = cells[0] * 2**octave + 1, cells[1] * 2**octave + 1
        grid = Image.fromarray(rng.random((down, across), dtype=np.float32))
        total += weight * np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))
        weight *= persistence
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def skyline(
    rng: np.random.Generator, size: int, base: float, amplitude: float, cells: int = 3, octaves: int = 5
) -> np.ndarray:
    """Draw a rough horizontal profile, such as a mountain ridge.

    Args:
        rng: Random generator.
        size: Side S in pixels.
        base: Mean height of the profile as a `y` coordinate.
        amplitude: Half the span of the profile.
        cells: Number of the coarsest features across the picture.
        octaves: Number of octaves of detail (1 is smooth).

    Returns:
        `y` coordinate per column, of shape `(1, S)`.
    """
    places = np.linspace(0.0, 1.0, size)
    line = np.zeros(size)
    for octave in range(octaves):
        knots = cells * 2**octave + 1
        line += 0.55**octave * np.interp(places, np.linspace(0.0, 1.0, knots), rng.random(knots) * 2 - 1)
    line /= max(float(np.abs(line).max()), 1e-6)
    return (base + amplitude * line)[None, :].astype(np.float32)


def blend(rgb: np.ndarray, colour: np.ndarray, mask: np.ndarray | float) -> np.ndarray:
    """Lay a colour over a picture.

    Args:
        rgb: Picture of shape `(S, S, 3)`.
        colour: Colour of shape `(3,)` or a picture of shape `(S, S, 3)`.
        mask: Opacity of shape `(S, S)` (or broadcastable to it), clipped to [0, 1].

    Returns:
        New picture of shape `(S, S, 3)`.
    """
    opacity = np.clip(np.broadcast_to(mask, rgb.shape[:2]), 0.0, 1.0)[..., None]
    return (rgb + (colour - rgb) * opacity).astype(np.float32)


def below(size: int, profile: np.ndarray | float, softness: float = 0.004) -> np.ndarray:
    """Mask what lies below a profile.

    Args:
        size: Side S in pixels.
        profile: `y` per column, of shape `(1, S)`, or one number.
        softness: Width of the edge.

    Returns:
        Opacity of shape `(S, S)`.
    """
    _, y = axes(size)
    return np.broadcast_to(np.clip((y - profile) / softness + 0.5, 0.0, 1.0), (size, size))


def disc(size: int, centre: tuple[float, float], radius: float, softness: float = 0.01) -> np.ndarray:
    """Mask a disc.

    Args:
        size: Side S in pixels.
        centre: Centre as (x, y).
        radius: Radius.
        softness: Width of the edge.

    Returns:
        Opacity of shape `(S, S)`.
    """
    x, y = axes(size)
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2)
    return np.clip((radius - distance) / softness + 0.5, 0.0, 1.0)


def glow(size: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Mask a bell-shaped light.

    Args:
        size: Side S in pixels.
        centre: Centre as (x, y).
        radius: Standard deviation of the bell.

    Returns:
        Opacity of shape `(S, S)`, 1 at the centre.
    """
    x, y = axes(size)
    return np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2))


class Brush:
    """Draws hard-edged coloured shapes over a picture with PIL, in relative coordinates."""

    def __init__(self, rgb: np.ndarray) -> None:
        """Start from a picture.

        Args:
            rgb: Picture of shape `(S, S, 3)`.
        """
        self.size = rgb.shape[0]
        self.image = to_pil(rgb)
        self._draw = ImageDraw.Draw(self.image)

    def _points(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * self.size, y * self.size) for x, y in points]

    def polygon(self, points: Sequence[tuple[float, float]], colour: np.ndarray) -> None:
        """Fill a polygon.

        Args:
            points: Corners as (x, y).
            colour: Colour of shape `(3,)`.
        """
        self._draw.polygon(self._points(points), fill=to_bytes(colour))

    def line(self, points: Sequence[tuple[float, float]], colour: np.ndarray, width: float) -> None:
        """Draw a broken line.

        Args:
            points: Corners as (x, y).
            colour: Colour of shape `(3,)`.
            width: Width.
        """
        self._draw.line(
            self._points(points), fill=to_bytes(colour), width=max(1, round(width * self.size)), joint="curve"
        )

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], colour: np.ndarray) -> None:
        """Fill an upright ellipse.

        Args:
            centre: Centre as (x, y).
            radii: Half axes as (horizontal, vertical).
            colour: Colour of shape `(3,)`.
        """
        (left, top), (right, bottom) = self._points(
            [(centre[0] - radii[0], centre[1] - radii[1]), (centre[0] + radii[0], centre[1] + radii[1])]
        )
        self._draw.ellipse((left, top, max(right, left + 1), max(bottom, top + 1)), fill=to_bytes(colour))

    def rectangle(self, box: tuple[float, float, float, float], colour: np.ndarray) -> None:
        """Fill an upright rectangle.

        Args:
            box: Left, top, right, bottom.
            colour: Colour of shape `(3,)`.
        """
        left, top, right, bottom = (value * self.size for value in box)
        self._draw.rectangle((left, top, max(right, left), max(bottom, top)), fill=to_bytes(colour))

    def array(self) -> np.ndarray:
        """Give the picture back.

        Returns:
            Array of shape `(S, S, 3)` in [0, 1].
        """
        return np.asarray(self.image, dtype=np.float32) / 255.0


def to_bytes(colour: np.ndarray) -> tuple[int, int, int]:
    """Convert a colour to 8-bit integers.

    Args:
        colour: Colour of shape `(3,)` in [0, 1]; clipped.

    Returns:
        Red, green and blue in 0..255.
    """
    red, green, blue = (int(round(255 * min(max(float(part), 0.0), 1.0))) for part in colour)
    return red, green, blue


def to_pil(rgb: np.ndarray) -> Image.Image:
    """Convert a picture to PIL.

    Args:
        rgb: Picture of shape `(S, S, 3)`, clipped to [0, 1].

    Returns:
        RGB image.
    """
    return Image.fromarray((np.clip(rgb, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))


def grade(
    rgb: np.ndarray, saturation: float = 1.0, exposure: float = 1.0, contrast: float = 1.0, warmth: float = 0.0
) -> np.ndarray:
    """Regrade the colours of a picture.

    Args:
        rgb: Picture of shape `(S, S, 3)` in [0, 1].
        saturation: Factor on the distance from grey.
        exposure: Factor on the light.
        contrast: Factor on the distance from middle grey.
        warmth: Added to red and taken from blue; negative is colder.

    Returns:
        New picture of shape `(S, S, 3)` in [0, 1].
    """
    grey = rgb @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
    out = grey[..., None] + (rgb - grey[..., None]) * saturation
    out = out * exposure + np.asarray([warmth, 0.0, -warmth], dtype=np.float32)
    return np.clip(0.5 + (out - 0.5) * contrast, 0.0, 1.0).astype(np.float32)
