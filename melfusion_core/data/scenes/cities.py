"""Painters of cities, rain and rooms."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.scenes.base import Painted, Painter, by_degree
from melfusion_core.data.scenes.canvas import Brush, blend, fractal_noise, glow, hsv, vertical_gradient
from melfusion_core.data.scenes.skies import clouds


def _towers(
    rng: np.random.Generator, brush: Brush, hue: float, strength: float, light: float, lit: float, neon: float
) -> None:
    for step in range(3):
        x = -0.05
        while x < 1.0:
            width, top = float(rng.uniform(0.07, 0.17)), float(rng.uniform(0.15, 0.5)) + 0.14 * step
            shade = hsv(hue + rng.uniform(-25, 25), strength, light * (1.0 - 0.25 * step))
            brush.rectangle((x, top, x + width, 1.0), shade)
            columns, rows = int(width / 0.034), int((1.0 - top) / 0.05)
            glowing = rng.random((max(columns, 1), max(rows, 1)))
            tint = rng.random(glowing.shape)
            for i in range(columns):
                for j in range(rows):
                    left, high = x + 0.012 + 0.033 * i, top + 0.02 + 0.05 * j
                    if glowing[i, j] < lit:
                        colour = hsv(
                            48 if tint[i, j] > neon else 360 * tint[i, j] / max(neon, 1e-3), 0.55 + 0.4 * neon, 1.0
                        )
                    elif lit < 0.3:
                        colour = shade * 0.7
                    else:
                        continue
                    brush.rectangle((left, high, left + 0.016, high + 0.022), colour)
            x += width + float(rng.uniform(0.0, 0.02))


def _city_day(rng: np.random.Generator, size: int) -> Painted:
    """Paint a city by day."""
    smog = float(rng.random() ** 1.5)
    rgb = vertical_gradient(
        size,
        [(0.0, hsv(208, 0.55 - 0.5 * smog, 0.95 - 0.3 * smog)), (0.7, hsv(40, 0.1 + 0.15 * smog, 0.95 - 0.25 * smog))],
    )
    rgb = clouds(rng, rgb, np.full(3, 0.97 - 0.3 * smog, dtype=np.float32), rng.uniform(0.05, 0.5))
    brush = Brush(rgb)
    _towers(rng, brush, rng.uniform(0, 360) if smog < 0.4 else 30.0, 0.55 * (1 - smog), 0.85 - 0.35 * smog, 0.0, 0.0)
    rgb = blend(brush.array(), hsv(38, 0.2, 0.7), 0.45 * smog)
    caption = by_degree(smog, ["a sunny colourful city", "a city by day", "a grey city in smog"])
    return Painted(rgb, caption, 0.45 - 0.95 * smog, 0.15)


def _city_night(rng: np.random.Generator, size: int) -> Painted:
    """Paint a city by night with lit windows."""
    busy = float(rng.random())
    hue = rng.uniform(220, 300)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.7, 0.1)), (0.9, hsv(hue + 40 * busy, 0.65, 0.25 + 0.25 * busy))])
    brush = Brush(rgb)
    _towers(rng, brush, hue, 0.5, 0.2, 0.32 + 0.45 * busy, busy)
    rgb = brush.array()
    for _ in range(int(8 * busy)):
        rgb = blend(
            rgb, hsv(rng.uniform(280, 420), 0.8, 1.0), 0.45 * glow(size, (rng.random(), rng.uniform(0.5, 1.0)), 0.09)
        )
    caption = by_degree(
        busy, ["a quiet city at night", "a city at night with lit windows", "a busy neon city at night"]
    )
    return Painted(rgb, caption, 0.05 + 0.35 * busy, -0.2 + 0.85 * busy)


def _rain(rng: np.random.Generator, size: int) -> Painted:
    """Paint rain behind a window or over a street."""
    heavy = float(rng.random())
    hue, light = rng.uniform(195, 235), rng.uniform(0.25, 0.55)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.25, light)), (1.0, hsv(hue, 0.3, light * 0.6))])
    if rng.random() < 0.5:
        brush = Brush(rgb)
        _towers(rng, brush, hue, 0.2, light * 0.7, 0.35 * rng.random(), 0.0)
        rgb = blend(brush.array(), hsv(hue, 0.2, light), 0.55)
    else:
        rgb = clouds(rng, rgb, hsv(hue, 0.2, light * 0.6), 0.6, 0.5)
    brush = Brush(rgb)
    slant = float(rng.uniform(-0.03, 0.03)) * (1 + 2 * heavy)
    for _ in range(int(40 + 300 * heavy)):
        x, y, length = float(rng.uniform(-0.05, 1.05)), float(rng.uniform(-0.1, 1.0)), float(rng.uniform(0.04, 0.12))
        brush.line([(x, y), (x + slant, y + length)], hsv(hue, 0.1, light + rng.uniform(0.1, 0.35)), 0.004)
    caption = by_degree(heavy, ["light rain on a grey day", "rain", "pouring rain"])
    return Painted(brush.array(), caption, -0.4 - 0.2 * heavy, -0.45 + 0.65 * heavy)


def _dark_corridor(rng: np.random.Generator, size: int) -> Painted:
    """Paint a dark corridor with a dim light at its end."""
    red = rng.random() < 0.3
    hue = rng.uniform(-10, 10) if red else rng.uniform(30, 230)
    strength, light = (0.75 if red else 0.2), rng.uniform(0.15, 0.4)
    brush = Brush(np.zeros((size, size, 3), dtype=np.float32))
    cx, cy = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.6))
    rings = 9
    for step in range(rings):
        half = 0.75 * (0.72**step)
        shade = light * (0.25 + 0.75 * step / rings) * (1.0 if step % 2 else 0.6)
        brush.rectangle((cx - half, cy - half, cx + half, cy + half), hsv(hue, strength, shade))
    rgb = blend(brush.array(), hsv(hue + 20, strength * 0.6, 0.9), glow(size, (cx, cy), 0.06))
    rgb = rgb * (0.7 + 0.3 * fractal_noise(rng, size, (4, 4), 4))[..., None]
    return Painted(rgb, "a dark red corridor" if red else "a dark empty corridor", -0.65, 0.45 if red else -0.15)


PAINTERS: dict[str, tuple[str, Painter]] = {
    "city_day": ("city", _city_day),
    "city_night": ("city", _city_night),
    "rain": ("rain", _rain),
    "dark_corridor": ("desolation", _dark_corridor),
}
"""Themes and painters by the kinds of scenes."""
