"""Painters of abstract shapes, textures and colour fields."""

from __future__ import annotations

import math

import numpy as np

from melfusion_core.data.scenes.base import Painted, Painter, by_degree, pick
from melfusion_core.data.scenes.canvas import Brush, axes, blend, disc, fractal_noise, hsv, vertical_gradient


def _calm_circles(rng: np.random.Generator, size: int) -> Painted:
    """Paint a few soft circles in related pale colours."""
    hue, strength, light = rng.uniform(0, 360), rng.uniform(0.05, 0.4), rng.uniform(0.7, 1.0)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, strength, light)), (1.0, hsv(hue + 40, strength * 0.6, light))])
    for _ in range(int(rng.integers(2, 7))):
        mask = disc(size, (rng.random(), rng.random()), rng.uniform(0.08, 0.32), rng.uniform(0.01, 0.12))
        rgb = blend(rgb, hsv(hue + rng.uniform(-60, 60), strength * 1.4, light), 0.7 * mask)
    return Painted(
        rgb, pick(rng, ["soft pale circles", "a calm abstract picture with circles"]), 0.3 + 0.3 * (light - 0.7), -0.8
    )


def _jagged(rng: np.random.Generator, size: int) -> Painted:
    """Paint dense sharp triangles in hard colours."""
    dense = float(rng.random())
    hue = rng.uniform(-25, 25) if rng.random() < 0.65 else rng.uniform(0, 360)
    brush = Brush(np.zeros((size, size, 3), dtype=np.float32) + hsv(hue, 0.6, 0.1))
    for _ in range(int(14 + 60 * dense)):
        cx, cy, reach = float(rng.random()), float(rng.random()), float(rng.uniform(0.08, 0.35))
        angles = rng.uniform(0, 2 * math.pi) + np.asarray([0.0, math.pi - 0.25, math.pi + 0.25])
        points = [(cx + reach * math.cos(angle), cy + reach * math.sin(angle)) for angle in angles]
        dark = rng.random() < 0.4
        brush.polygon(points, hsv(hue + rng.uniform(-20, 20), 0.9, 0.08 if dark else rng.uniform(0.6, 1.0)))
    caption = pick(rng, ["sharp jagged shapes", "an aggressive abstract picture with spikes", "broken dark shards"])
    return Painted(brush.array(), caption, -0.5, 0.55 + 0.4 * dense)


def _stripes(rng: np.random.Generator, size: int) -> Painted:
    """Paint stripes, from broad pastel bands to narrow strong ones."""
    dense = float(rng.random())
    bright = float(rng.random())
    x, y = axes(size)
    turn = rng.uniform(0, math.pi)
    bands = np.floor((x * math.cos(turn) + y * math.sin(turn) + 2) * (3 + 16 * dense)).astype(int)
    hue = rng.uniform(0, 360)
    colours = np.stack(
        [
            hsv(
                hue + rng.uniform(-30 - 120 * dense, 30 + 120 * dense),
                0.12 + 0.8 * dense,
                0.3 + 0.7 * bright * rng.uniform(0.7, 1),
            )
            for _ in range(int(rng.integers(2, 6)))
        ]
    )
    shade = by_degree(bright, ["dark", "bright"])
    return Painted(
        colours[bands % len(colours)],
        by_degree(dense, [f"broad {shade} stripes", f"dense {shade} stripes"]),
        -0.35 + 0.7 * bright,
        -0.5 + 1.1 * dense,
    )


def _checker(rng: np.random.Generator, size: int) -> Painted:
    """Paint a board of coloured squares."""
    dense = float(rng.random())
    cells = int(3 + 14 * dense)
    bright = float(rng.random())
    hue, spread = rng.uniform(0, 360), rng.uniform(10, 180)
    board = np.stack(
        [
            hsv(
                hue + rng.uniform(-spread, spread),
                rng.uniform(0.1, 0.5) + 0.5 * dense,
                (0.25 + 0.7 * bright) * rng.uniform(1 - 0.6 * dense, 1.0),
            )
            for _ in range(cells * cells)
        ]
    ).reshape(cells, cells, 3)
    x, y = axes(size)
    rgb = board[np.minimum((y * cells).astype(int), cells - 1), np.minimum((x * cells).astype(int), cells - 1)]
    shade = by_degree(bright, ["dark", "bright"])
    return Painted(
        rgb,
        by_degree(dense, [f"large {shade} squares", f"a mosaic of {shade} squares", f"a dense {shade} mosaic"]),
        -0.4 + 0.8 * bright,
        -0.4 + 0.9 * dense,
    )


def _colour_field(rng: np.random.Generator, size: int) -> Painted:
    """Paint a smooth gradient between two colours."""
    strength, light, hue = float(rng.random()), float(rng.uniform(0.15, 1.0)), float(rng.uniform(0, 360))
    other = hsv(hue + rng.uniform(-70, 70), strength, light)
    rgb = blend(
        np.zeros((size, size, 3), dtype=np.float32) + hsv(hue, strength, light),
        other,
        fractal_noise(rng, size, (1, 1), 2),
    )
    names = ["red", "yellow", "green", "turquoise", "blue", "violet"]
    name = "grey" if strength < 0.15 else names[int(((hue + 30) % 360) // 60)]
    shade = by_degree((light - 0.15) / 0.85, ["dark", "muted", "bright"])
    redness = math.cos(math.radians(hue)) * strength
    return Painted(
        rgb,
        f"a smooth {shade} {name} gradient",
        -0.55 + 0.9 * light + 0.25 * (strength - 0.5),
        -0.55 + 0.45 * strength * light + 0.25 * redness,
    )


def _splashes(rng: np.random.Generator, size: int) -> Painted:
    """Paint splashes of paint, joyful on white or furious on black."""
    joyful = rng.random() < 0.55
    wild = float(rng.random())
    brush = Brush(np.zeros((size, size, 3), dtype=np.float32) + (0.98 if joyful else 0.04))
    for _ in range(int(6 + 22 * wild)):
        cx, cy, reach = float(rng.random()), float(rng.random()), float(rng.uniform(0.02, 0.09))
        colour = (
            hsv(rng.uniform(0, 360), 0.85, 1.0) if joyful else hsv(rng.uniform(-15, 20), 0.95, rng.uniform(0.4, 1.0))
        )
        brush.ellipse((cx, cy), (reach, reach), colour)
        for _ in range(9):
            angle, far = rng.uniform(0, 2 * math.pi), reach * rng.uniform(1.1, 3.0)
            tip = (cx + far * math.cos(angle), cy + far * math.sin(angle))
            brush.line([(cx, cy), tip], colour, reach * 0.18)
            brush.ellipse(tip, (reach * 0.2, reach * 0.2), colour)
    if joyful:
        return Painted(
            brush.array(),
            pick(rng, ["colourful splashes of paint", "bright happy splashes of paint"]),
            0.65,
            0.1 + 0.55 * wild,
        )
    return Painted(
        brush.array(), pick(rng, ["red splashes on black", "furious red splashes of paint"]), -0.6, 0.5 + 0.45 * wild
    )


PAINTERS: dict[str, tuple[str, Painter]] = {
    "calm_circles": ("abstract", _calm_circles),
    "jagged": ("abstract", _jagged),
    "stripes": ("texture", _stripes),
    "checker": ("texture", _checker),
    "colour_field": ("palette", _colour_field),
    "splashes": ("abstract", _splashes),
}
"""Themes and painters by the kinds of scenes."""
