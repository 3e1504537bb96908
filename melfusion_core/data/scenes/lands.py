"""Painters of mountains, woods, fields, deserts, snow and desolate places."""

from __future__ import annotations

import math

import numpy as np

from melfusion_core.data.scenes.base import Painted, Painter, by_degree, pick
from melfusion_core.data.scenes.canvas import (
    Brush,
    below,
    blend,
    disc,
    fractal_noise,
    glow,
    hsv,
    skyline,
    vertical_gradient,
)
from melfusion_core.data.scenes.skies import clouds


def _mountains(rng: np.random.Generator, size: int) -> Painted:
    """Paint ranges of mountains, bright or gloomy."""
    gloom = float(rng.random())
    hue = rng.uniform(195, 250)
    light = 1.0 - 0.6 * gloom
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.5 - 0.3 * gloom, light)), (0.7, hsv(hue - 160, 0.12, light))])
    rgb = clouds(rng, rgb, np.full(3, light * (1 - 0.35 * gloom), dtype=np.float32), rng.uniform(0.05, 0.5))
    layers = int(rng.integers(3, 6))
    for step in range(layers):
        depth = step / (layers - 1)
        profile = skyline(rng, size, 0.42 + 0.42 * depth, 0.2 - 0.1 * depth, 3, 6)
        colour = hsv(
            hue - 90 * depth * (1 - gloom), 0.2 + 0.35 * depth * (1 - 0.6 * gloom), light * (0.8 - 0.45 * depth)
        )
        mask = below(size, profile)
        rgb = blend(rgb, colour, mask)
        if step == 0:
            line = (np.arange(size, dtype=np.float32)[:, None] + 0.5) / size
            rgb = blend(rgb, np.full(3, light, dtype=np.float32), mask * (line < profile + 0.06) * (line < 0.42))
    caption = by_degree(gloom, ["sunny mountains", "a mountain range", "dark gloomy mountains"])
    return Painted(rgb, caption, 0.55 - 0.9 * gloom, -0.3 + 0.35 * gloom)


def _forest(rng: np.random.Generator, size: int) -> Painted:
    """Paint a wood in spring, autumn or at night."""
    season = pick(rng, ["green", "autumn", "dark"])
    hue = {"green": rng.uniform(75, 135), "autumn": rng.uniform(8, 42), "dark": rng.uniform(140, 220)}[season]
    strength, light = {"green": (0.6, 0.85), "autumn": (0.8, 0.95), "dark": (0.35, 0.3)}[season]
    rgb = vertical_gradient(
        size, [(0.0, hsv(hue + 15, strength * 0.3, light)), (1.0, hsv(hue, strength * 0.8, light * 0.5))]
    )
    brush = Brush(rgb)
    for step in range(4):
        depth = step / 3
        for _ in range(int(7 - step)):
            x, width = float(rng.random()), 0.015 + 0.03 * depth
            foot = 0.75 + 0.25 * depth
            shade = hsv(hue + rng.uniform(-12, 12), strength, light * (0.85 - 0.5 * depth))
            top = float(rng.uniform(0.05, 0.3)) + 0.15 * (1 - depth)
            brush.rectangle((x - width / 2, top, x + width / 2, foot), hsv(25, 0.4, light * (0.5 - 0.25 * depth)))
            if season == "dark" or rng.random() < 0.35:
                for level in range(4):
                    low = top + (foot - top) * (level + 1.2) / 5
                    span = (0.06 + 0.07 * depth) * (level + 1.5) / 4
                    brush.polygon([(x - span, low), (x, low - 0.22), (x + span, low)], shade)
            else:
                for _ in range(5):
                    centre = (x + float(rng.normal(0, 0.05)), top + float(rng.uniform(0, 0.2)))
                    brush.ellipse(
                        centre, (0.08, 0.07), hsv(hue + rng.uniform(-15, 15), strength, light * rng.uniform(0.5, 0.95))
                    )
    rgb = blend(
        brush.array(),
        hsv(hue + 10, 0.4, 1.0),
        0.35 * (season != "dark") * glow(size, (rng.uniform(0.2, 0.8), 0.2), 0.22),
    )
    rgb = blend(rgb, hsv(hue, strength * 0.7, light * 0.35), below(size, skyline(rng, size, 0.9, 0.03), 0.03))
    caption = {"green": "a green forest in the sun", "autumn": "an autumn forest", "dark": "a dark forest at night"}[
        season
    ]
    valence, arousal = {"green": (0.55, -0.55), "autumn": (0.45, -0.25), "dark": (-0.6, 0.15)}[season]
    return Painted(rgb, caption, valence, arousal)


def _meadow(rng: np.random.Generator, size: int) -> Painted:
    """Paint a field of flowers."""
    horizon = float(rng.uniform(0.3, 0.5))
    density = float(rng.random())
    hue = rng.uniform(80, 120)
    rgb = vertical_gradient(size, [(0.0, hsv(rng.uniform(195, 215), 0.5, 1.0)), (horizon, hsv(200, 0.12, 1.0))])
    rgb = clouds(rng, rgb, np.ones(3, dtype=np.float32), rng.uniform(0.1, 0.4))
    field = vertical_gradient(size, [(horizon, hsv(hue, 0.5, 0.8)), (1.0, hsv(hue + 10, 0.75, 0.5))])
    rgb = blend(rgb, field, below(size, skyline(rng, size, horizon, 0.04, 2, 2)))
    brush = Brush(rgb)
    petals = [hsv(rng.uniform(0, 360), rng.uniform(0.5, 0.95), 1.0) for _ in range(int(rng.integers(1, 5)))]
    for y in np.sort(rng.uniform(horizon + 0.06, 1.0, int(30 + 190 * density))):
        near = (float(y) - horizon) / (1 - horizon)
        radius = 0.005 + 0.025 * near * float(rng.uniform(0.6, 1.2))
        centre = (float(rng.random()), float(y))
        brush.ellipse(centre, (radius, radius), petals[int(rng.integers(len(petals)))])
        brush.ellipse(centre, (radius * 0.35, radius * 0.35), hsv(48, 0.8, 1.0))
    caption = by_degree(
        density, ["a green meadow with a few flowers", "a meadow full of flowers", "a bright field of flowers"]
    )
    return Painted(brush.array(), caption, 0.8, -0.5 + 0.35 * density)


def _dunes(rng: np.random.Generator, size: int) -> Painted:
    """Paint desert dunes."""
    heat = float(rng.random())
    hue = rng.uniform(20, 42)
    rgb = vertical_gradient(size, [(0.0, hsv(205 - 165 * (heat > 0.6), 0.4, 0.95)), (0.5, hsv(hue + 8, 0.3, 1.0))])
    rgb = blend(rgb, hsv(48, 0.3, 1.0), disc(size, (rng.uniform(0.2, 0.8), rng.uniform(0.12, 0.3)), 0.05, 0.03))
    for step in range(4):
        profile = skyline(rng, size, 0.48 + 0.15 * step, 0.09, 1, 2)
        rgb = blend(rgb, hsv(hue - 8 * heat, 0.45 + 0.3 * heat, 0.95 - 0.12 * step), below(size, profile))
        rgb = blend(
            rgb, hsv(hue - 12, 0.7, 0.5), 0.6 * below(size, profile + skyline(rng, size, 0.07, 0.05, 2, 1), 0.1)
        )
    return Painted(
        rgb,
        by_degree(heat, ["soft desert dunes", "sand dunes", "a burning hot desert"]),
        0.15 - 0.35 * heat,
        -0.45 + 0.4 * heat,
    )


def _snow(rng: np.random.Generator, size: int) -> Painted:
    """Paint a snowy landscape, sunny or in a blizzard."""
    storm = float(rng.random())
    light = 1.0 - 0.35 * storm
    hue = rng.uniform(200, 225)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.45 - 0.35 * storm, light * 0.9)), (0.6, hsv(hue, 0.08, light))])
    rgb = blend(rgb, hsv(hue, 0.15, light * 0.85), below(size, skyline(rng, size, 0.5, 0.08, 3, 5)))
    rgb = blend(rgb, hsv(hue, 0.04, light), below(size, skyline(rng, size, 0.68, 0.05, 1, 2)))
    brush = Brush(rgb)
    for _ in range(int(rng.integers(0, 9))):
        x, foot, tall = float(rng.random()), float(rng.uniform(0.7, 0.9)), float(rng.uniform(0.12, 0.3))
        shade = hsv(150, 0.3, 0.35 * light)
        for level in range(3):
            low = foot - tall * level / 4
            brush.polygon(
                [
                    (x - tall * (0.3 - 0.07 * level), low),
                    (x, low - tall * 0.5),
                    (x + tall * (0.3 - 0.07 * level), low),
                ],
                shade,
            )
    for _ in range(int(20 + 420 * storm**2)):
        x, y = float(rng.random()), float(rng.random())
        if storm > 0.6:
            brush.line([(x, y), (x + 0.03, y + 0.015)], np.ones(3, dtype=np.float32), 0.006)
        else:
            brush.ellipse((x, y), (0.006, 0.006), np.ones(3, dtype=np.float32))
    caption = by_degree(storm, ["a snowy landscape in the sun", "falling snow", "a blizzard"])
    return Painted(brush.array(), caption, 0.45 - 0.9 * storm, -0.6 + 0.95 * storm)


def _bare_tree(rng: np.random.Generator, size: int) -> Painted:
    """Paint a bare tree or graves in fog."""
    night = float(rng.random())
    hue, light = rng.uniform(190, 260), 0.68 - 0.45 * night
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.15, light * 0.8)), (1.0, hsv(hue, 0.08, light))])
    rgb = blend(rgb, hsv(hue, 0.12, light * 0.3), below(size, skyline(rng, size, 0.8, 0.04, 2, 3), 0.02))
    brush = Brush(rgb)
    dark = hsv(hue, 0.15, light * 0.18)
    graves = rng.random() < 0.45

    def branch(x: float, y: float, angle: float, length: float, depth: int) -> None:
        tip = (x + length * math.cos(angle), y - length * math.sin(angle))
        brush.line([(x, y), tip], dark, 0.05 * length)
        if depth:
            for _ in range(2 + (depth == 4)):
                branch(*tip, angle + float(rng.normal(0, 0.5)), length * float(rng.uniform(0.6, 0.85)), depth - 1)

    if graves:
        for _ in range(int(rng.integers(3, 8))):
            x, y, width = float(rng.uniform(0.05, 0.9)), float(rng.uniform(0.8, 0.95)), 0.045
            brush.rectangle((x - width, y - 0.16, x + width, y), dark)
            brush.ellipse((x, y - 0.16), (width, width), dark)
    else:
        branch(float(rng.uniform(0.3, 0.7)), 0.88, math.pi / 2, 0.24, 4)
    fog = fractal_noise(rng, size, (2, 5), 3)
    rgb = blend(brush.array(), hsv(hue, 0.06, light), fog * below(size, 0.5, 0.8) * 0.75)
    subject = "graves" if graves else "a bare tree"
    return Painted(
        rgb, f"{subject} in fog" + (" at night" if night > 0.55 else ""), -0.6 - 0.3 * night, -0.55 + 0.3 * night
    )


PAINTERS: dict[str, tuple[str, Painter]] = {
    "mountains": ("mountains", _mountains),
    "forest": ("forest", _forest),
    "meadow": ("meadow", _meadow),
    "dunes": ("desert", _dunes),
    "snow": ("snow", _snow),
    "bare_tree": ("desolation", _bare_tree),
}
"""Themes and painters by the kinds of scenes."""
