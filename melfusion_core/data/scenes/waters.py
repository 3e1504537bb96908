"""Painters of seas, lakes and shores."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.scenes.base import Painted, Painter, by_degree, pick
from melfusion_core.data.scenes.canvas import (
    Brush,
    axes,
    below,
    blend,
    disc,
    fractal_noise,
    glow,
    hsv,
    skyline,
    vertical_gradient,
)
from melfusion_core.data.scenes.skies import clouds, stars


def _calm_sea(rng: np.random.Generator, size: int) -> Painted:
    """Paint a calm sea by day, at dusk or by moonlight."""
    hour = pick(rng, ["by day", "at dusk", "by moonlight"])
    horizon = float(rng.uniform(0.4, 0.6))
    hue = rng.uniform(185, 215)
    if hour == "by day":
        sky, low, water, deep, light = (
            hsv(hue + 10, 0.45, 0.95),
            hsv(hue, 0.15, 1.0),
            hsv(hue - 10, 0.5, 0.85),
            hsv(hue, 0.7, 0.6),
            hsv(50, 0.15, 1.0),
        )
    elif hour == "at dusk":
        sky, low, water, deep, light = (
            hsv(265, 0.35, 0.7),
            hsv(20, 0.45, 1.0),
            hsv(15, 0.35, 0.85),
            hsv(250, 0.45, 0.45),
            hsv(35, 0.5, 1.0),
        )
    else:
        sky, low, water, deep, light = (
            hsv(230, 0.75, 0.15),
            hsv(220, 0.6, 0.35),
            hsv(215, 0.55, 0.3),
            hsv(228, 0.8, 0.12),
            hsv(50, 0.1, 1.0),
        )
    rgb = vertical_gradient(size, [(0.0, sky), (horizon, low), (horizon + 0.005, water), (1.0, deep)])
    body = (rng.uniform(0.25, 0.75), horizon - rng.uniform(0.1, 0.3))
    if hour == "by moonlight":
        rgb = stars(rng, rgb, 50, horizon)
    rgb = blend(rgb, light, 0.6 * glow(size, body, 0.1))
    rgb = blend(rgb, light, disc(size, body, 0.06, 0.015))
    x, y = axes(size)
    ripple = fractal_noise(rng, size, (3, 40), 2)
    path = np.exp(-((x - body[0]) ** 2) / (2 * (0.03 + 0.12 * np.clip(y - horizon, 0, 1)) ** 2))
    rgb = blend(rgb, light, 0.75 * path * (ripple > 0.45) * (y > horizon))
    if rng.random() < 0.4:
        brush = Brush(rgb)
        left = float(rng.uniform(0.1, 0.8))
        brush.polygon([(left, horizon), (left + 0.06, horizon - 0.13), (left + 0.06, horizon)], hsv(40, 0.05, 0.95))
        brush.polygon(
            [(left - 0.02, horizon), (left + 0.11, horizon), (left + 0.08, horizon + 0.025)], hsv(20, 0.5, 0.3)
        )
        return Painted(brush.array(), f"a sailing boat on a calm sea {hour}", 0.6, -0.6)
    return Painted(rgb, f"a calm sea {hour}", 0.5, -0.75)


def _stormy_sea(rng: np.random.Generator, size: int) -> Painted:
    """Paint rough waves under dark clouds."""
    force = float(rng.random())
    night = rng.random() < 0.4
    light, hue = (0.22 if night else 0.5 - 0.15 * force), rng.uniform(175, 225)
    rgb = vertical_gradient(size, [(0.0, hsv(hue + 10, 0.3, light * 0.5)), (0.5, hsv(hue, 0.2, light * 1.2))])
    rgb = clouds(rng, rgb, hsv(hue, 0.25, light * 0.35), 0.65, 0.35)
    line = np.linspace(0.0, 1.0, size)
    y = axes(size)[1]
    white = hsv(hue, 0.05, min(light + 0.5, 1.0))
    for step in range(6):
        depth = step / 5
        height = (0.03 + 0.13 * depth) * (0.4 + force)
        bent = line + skyline(rng, size, 0.0, 0.05, 3, 1)[0]
        swell = np.abs(np.sin(np.pi * (5.0 - 3.4 * depth) * bent + rng.random() * 6.3))
        uneven = skyline(rng, size, 0.67, 0.33, 4, 2)[0]
        crest = (1.0 - swell**0.6) * uneven  # sharp peaks, broad troughs
        profile = (0.5 + 0.5 * depth - height * crest)[None, :]
        mask = below(size, profile)
        rgb = blend(rgb, hsv(hue, 0.6, light * (0.4 + 0.4 * depth)), mask)
        rgb = blend(
            rgb,
            hsv(hue - 15, 0.45, light * (0.8 + 0.4 * depth)),
            0.8 * mask * np.clip(1 - (y - profile) / (0.6 * height), 0, 1) * uneven[None, :],
        )
        foam = np.clip(1 - (y - profile) / (0.008 + 0.3 * height * crest[None, :]), 0, 1)
        rgb = blend(rgb, white, mask * foam * np.clip(crest[None, :] * 2.6 - 0.5, 0, 1))
    spray = fractal_noise(rng, size, (24, 24), 2)
    rgb = blend(rgb, white, 0.8 * (spray > 0.9 - 0.12 * force) * (y > 0.42) * (y < 0.85))
    word = by_degree(force, ["a rough sea", "a stormy sea", "a raging sea with huge waves"])
    return Painted(rgb, word + (" at night" if night else ""), -0.35 - 0.35 * force, 0.25 + 0.65 * force)


def _lake(rng: np.random.Generator, size: int) -> Painted:
    """Paint a lake that mirrors hills."""
    hue = rng.uniform(185, 215)
    half = vertical_gradient(size, [(0.0, hsv(hue, 0.45, 0.95)), (0.5, hsv(hue - 140, 0.1, 1.0))])
    half = clouds(rng, half, np.ones(3, dtype=np.float32), rng.uniform(0.05, 0.4))
    hill = rng.uniform(90, 220)
    for step in range(3):
        profile = skyline(rng, size, 0.36 + 0.05 * step, 0.1 - 0.02 * step, 3, 4)
        half = blend(half, hsv(hill - 25 * step, 0.3 + 0.1 * step, 0.75 - 0.15 * step), below(size, profile))
    middle = size // 2
    rgb = half.copy()
    mirrored = half[:middle][::-1]
    rgb[size - mirrored.shape[0] :] = mirrored * 0.85 + 0.08 * hsv(hue, 0.5, 0.8)
    ripple = fractal_noise(rng, size, (2, 40), 2)
    rgb = blend(rgb, hsv(hue, 0.2, 1.0), 0.3 * (ripple > 0.6) * (axes(size)[1] > 0.52))
    return Painted(rgb, pick(rng, ["a still mountain lake", "a quiet lake between hills"]), 0.6, -0.8)


def _beach(rng: np.random.Generator, size: int) -> Painted:
    """Paint a sunny beach."""
    hue = rng.uniform(178, 205)
    stops = [
        (0.0, hsv(hue + 15, 0.5, 1.0)),
        (0.4, hsv(hue, 0.2, 1.0)),
        (0.41, hsv(hue, 0.75, 0.75)),
        (0.65, hsv(hue - 10, 0.45, 0.95)),
    ]
    rgb = vertical_gradient(size, stops)
    rgb = clouds(rng, rgb, np.ones(3, dtype=np.float32), rng.uniform(0.0, 0.3))
    shore = skyline(rng, size, 0.66, 0.05, 2, 2)
    rgb = blend(rgb, np.ones(3, dtype=np.float32), below(size, shore - 0.03))
    rgb = blend(rgb, hsv(rng.uniform(36, 46), 0.35, 0.97), below(size, shore, 0.02))
    brush = Brush(rgb)
    umbrellas = int(rng.integers(0, 5))
    for _ in range(umbrellas):
        x, y = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.78, 0.92))
        brush.line([(x, y), (x, y - 0.15)], hsv(30, 0.5, 0.4), 0.01)
        colour = hsv(rng.uniform(0, 360), 0.85, 0.95)
        brush.polygon(
            [(x - 0.1, y - 0.13), (x - 0.05, y - 0.19), (x, y - 0.21), (x + 0.05, y - 0.19), (x + 0.1, y - 0.13)],
            colour,
        )
    word = "a sunny beach with colourful umbrellas" if umbrellas else "a sunny empty beach"
    return Painted(brush.array(), word, 0.8, -0.35 + 0.1 * umbrellas)


def _underwater(rng: np.random.Generator, size: int) -> Painted:
    """Paint light falling through deep water."""
    deep = float(rng.random())
    hue = rng.uniform(180, 220)
    rgb = vertical_gradient(
        size, [(0.0, hsv(hue - 10, 0.5, 0.95 - 0.4 * deep)), (1.0, hsv(hue + 15, 0.85, 0.45 - 0.38 * deep))]
    )
    x, y = axes(size)
    rays = fractal_noise(rng, size, (8, 1), 2)
    rgb = blend(rgb, hsv(hue - 15, 0.2, 1.0), 0.6 * (1 - deep) * rays**2 * (1 - y) + 0 * x)
    brush = Brush(rgb)
    for _ in range(int(rng.integers(3, 16))):
        cx, cy, radius = float(rng.random()), float(rng.random()), float(rng.uniform(0.008, 0.03))
        colour = hsv(rng.uniform(0, 60) if deep < 0.6 else hue, 0.7 * (1 - deep), 0.9 - 0.5 * deep)
        brush.ellipse((cx, cy), (radius * 1.7, radius * 0.8), colour)
        brush.polygon(
            [(cx + radius * 1.4, cy), (cx + radius * 2.4, cy - radius * 0.8), (cx + radius * 2.4, cy + radius * 0.8)],
            colour,
        )
    caption = by_degree(deep, ["fish in sunlit water", "fish in blue water", "the dark deep sea"])
    return Painted(brush.array(), caption, 0.45 - 0.75 * deep, -0.5 - 0.1 * deep)


PAINTERS: dict[str, tuple[str, Painter]] = {
    "calm_sea": ("sea", _calm_sea),
    "stormy_sea": ("sea", _stormy_sea),
    "lake": ("lake", _lake),
    "beach": ("beach", _beach),
    "underwater": ("sea", _underwater),
}
"""Themes and painters by the kinds of scenes."""
