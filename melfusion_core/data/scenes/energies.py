"""Painters of violent or festive events: lightning, fire, explosions, fireworks, crowds."""

from __future__ import annotations

import math

import numpy as np

from melfusion_core.data.scenes.base import Painted, Painter, by_degree, pick
from melfusion_core.data.scenes.canvas import (
    Brush,
    axes,
    below,
    blend,
    fractal_noise,
    glow,
    hsv,
    skyline,
    vertical_gradient,
)
from melfusion_core.data.scenes.skies import clouds


def _lightning(rng: np.random.Generator, size: int) -> Painted:
    """Paint a thunderstorm with bolts."""
    hue = rng.uniform(215, 290)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.5, 0.12)), (0.9, hsv(hue, 0.45, 0.32))])
    rgb = clouds(rng, rgb, hsv(hue, 0.35, 0.07), 0.6, 0.3)
    bolts = int(rng.integers(1, 5))
    paths = []
    for _ in range(bolts):
        x, y = float(rng.uniform(0.15, 0.85)), 0.0
        path = [(x, y)]
        while y < 0.85:
            x, y = x + float(rng.normal(0, 0.05)), y + float(rng.uniform(0.04, 0.1))
            path.append((x, y))
        paths.append(path)
        rgb = blend(rgb, hsv(hue, 0.25, 1.0), 0.4 * glow(size, path[len(path) // 2], 0.16))
    brush = Brush(rgb)
    for path in paths:
        brush.line(path, hsv(hue, 0.2, 1.0), 0.016)
        for x, y in path[2::2]:
            tip = (x + float(rng.normal(0, 0.12)), y + 0.1)
            brush.line([(x, y), ((x + tip[0]) / 2 + 0.02, y + 0.04), tip], hsv(hue, 0.15, 0.95), 0.007)
    rgb = blend(brush.array(), hsv(hue, 0.4, 0.04), below(size, skyline(rng, size, 0.87, 0.04)))
    return Painted(rgb, pick(rng, ["lightning at night", "a thunderstorm with lightning"]), -0.5, 0.55 + 0.1 * bolts)


def _fire(rng: np.random.Generator, size: int) -> Painted:
    """Paint flames, from a fireplace glow to a blaze."""
    blaze = float(rng.random())
    _, y = axes(size)
    noise = fractal_noise(rng, size, (6, 3), 5, 0.6)
    heat = np.clip(noise * 0.9 + (y - 0.85) * (1.7 - 0.9 * blaze) + 0.35, 0, 1)
    rgb = np.zeros((size, size, 3), dtype=np.float32) + hsv(15, 0.6, 0.06)
    for threshold, colour in (
        (0.15, hsv(2, 0.95, 0.55)),
        (0.32, hsv(12, 0.95, 0.9)),
        (0.5, hsv(28, 0.95, 1.0)),
        (0.7, hsv(48, 0.75, 1.0)),
    ):
        rgb = blend(rgb, colour, (heat - threshold) * 9)
    brush = Brush(rgb)
    for _ in range(int(20 + 80 * blaze)):
        radius = float(rng.uniform(0.002, 0.006))
        brush.ellipse((float(rng.random()), float(rng.random())), (radius, radius), hsv(rng.uniform(20, 45), 0.8, 1.0))
    caption = by_degree(blaze, ["a warm fire", "a burning fire", "a raging blaze"])
    return Painted(brush.array(), caption, 0.1 - 0.75 * blaze, 0.25 + 0.7 * blaze)


def _explosion(rng: np.random.Generator, size: int) -> Painted:
    """Paint an explosion."""
    rgb = np.zeros((size, size, 3), dtype=np.float32) + hsv(rng.uniform(0, 250), 0.3, rng.uniform(0.03, 0.2))
    centre = (float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65)))
    x, y = axes(size)
    reach = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2) + 0.28 * (
        fractal_noise(rng, size, (6, 6), 5, 0.6) - 0.5
    )
    power = float(rng.uniform(0.7, 1.5))
    smoke = hsv(rng.uniform(0, 40), 0.25, rng.uniform(0.1, 0.4))
    for radius, colour in (
        (0.46, smoke),
        (0.34, hsv(8, 0.95, 0.75)),
        (0.25, hsv(24, 0.95, 1.0)),
        (0.14, hsv(50, 0.5, 1.0)),
    ):
        rgb = blend(rgb, colour, (radius * power - reach) / 0.03)
    brush = Brush(rgb)
    for _ in range(int(rng.integers(25, 70))):
        angle, near, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.4), rng.uniform(0.4, 0.85)
        points = [
            (centre[0] + reach_ * math.cos(angle), centre[1] + reach_ * math.sin(angle)) for reach_ in (near, far)
        ]
        brush.line(points, hsv(rng.uniform(5, 50), 0.85, 1.0), float(rng.uniform(0.004, 0.014)))
    return Painted(brush.array(), pick(rng, ["an explosion", "a huge explosion with flying sparks"]), -0.65, 1.0)


def _volcano(rng: np.random.Generator, size: int) -> Painted:
    """Paint an erupting volcano."""
    rgb = vertical_gradient(size, [(0.0, hsv(355, 0.7, 0.15)), (1.0, hsv(12, 0.85, 0.5))])
    rgb = clouds(rng, rgb, hsv(0, 0.3, 0.1), 0.6, 0.3)
    top, cx = float(rng.uniform(0.42, 0.55)), float(rng.uniform(0.4, 0.6))
    rgb = blend(rgb, hsv(20, 0.9, 1.0), 0.9 * glow(size, (cx, top), 0.13))
    brush = Brush(rgb)
    for _ in range(60):
        angle, length = float(rng.normal(math.pi / 2, 0.45)), float(rng.uniform(0.1, 0.4))
        tip = (cx + length * math.cos(angle), top - length * math.sin(angle))
        brush.line([(cx, top), tip], hsv(rng.uniform(5, 48), 0.95, 1.0), 0.008)
    brush.polygon([(cx - 0.07, top), (cx + 0.07, top), (cx + 0.6, 1.02), (cx - 0.6, 1.02)], hsv(5, 0.35, 0.1))
    for _ in range(5):
        x, y, path = cx + float(rng.uniform(-0.05, 0.05)), top, []
        while y < 1.05:
            path.append((x, y))
            x, y = x + float(rng.normal(0, 0.03)) + 0.35 * (x - cx) * 0.3, y + 0.07
        brush.line(path, hsv(rng.uniform(8, 35), 1.0, 1.0), 0.022)
    return Painted(brush.array(), pick(rng, ["an erupting volcano", "a volcano with glowing lava"]), -0.5, 0.95)


def _fireworks(rng: np.random.Generator, size: int) -> Painted:
    """Paint fireworks at night."""
    rgb = vertical_gradient(size, [(0.0, hsv(245, 0.8, 0.08)), (1.0, hsv(265, 0.6, 0.25))])
    bursts = int(rng.integers(2, 8))
    brush = Brush(rgb)
    for _ in range(bursts):
        cx, cy, hue, reach = (
            float(rng.uniform(0.1, 0.9)),
            float(rng.uniform(0.1, 0.65)),
            rng.uniform(0, 360),
            rng.uniform(0.1, 0.26),
        )
        for ray in range(22):
            angle = 2 * math.pi * ray / 22 + rng.normal(0, 0.05)
            far = reach * rng.uniform(0.7, 1.1)
            tip = (cx + far * math.cos(angle), cy + far * math.sin(angle) + 0.03)
            brush.line(
                [(cx + 0.2 * far * math.cos(angle), cy + 0.2 * far * math.sin(angle)), tip], hsv(hue, 0.85, 1.0), 0.007
            )
            brush.ellipse(tip, (0.009, 0.009), hsv(hue + 30, 0.5, 1.0))
    return Painted(brush.array(), pick(rng, ["fireworks", "colourful fireworks at night"]), 0.8, 0.45 + 0.06 * bursts)


def _confetti(rng: np.random.Generator, size: int) -> Painted:
    """Paint confetti and balloons."""
    wild = float(rng.random())
    hue = rng.uniform(0, 360)
    rgb = vertical_gradient(
        size, [(0.0, hsv(hue, 0.25 + 0.5 * wild, 1.0)), (1.0, hsv(hue + 60, 0.25 + 0.4 * wild, 0.95))]
    )
    brush = Brush(rgb)
    for _ in range(int(40 + 320 * wild)):
        x, y, turn, length = rng.random(), rng.random(), rng.uniform(0, math.pi), rng.uniform(0.012, 0.035)
        dx, dy = length * math.cos(turn), length * math.sin(turn)
        brush.polygon(
            [(x - dx, y - dy), (x + dy * 0.5, y - dx * 0.5), (x + dx, y + dy), (x - dy * 0.5, y + dx * 0.5)],
            hsv(rng.uniform(0, 360), 0.9, 1.0),
        )
    balloons = int(rng.integers(0, 7))
    for _ in range(balloons):
        centre = (float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.15, 0.75)))
        brush.line([centre, (centre[0], centre[1] + 0.28)], hsv(0, 0.0, 0.9), 0.006)
        brush.ellipse(centre, (0.075, 0.095), hsv(rng.uniform(0, 360), 0.9, 0.95))
    caption = (
        "a party with balloons and confetti"
        if balloons
        else by_degree(wild, ["a little confetti", "flying confetti", "a wild party with confetti"])
    )
    return Painted(brush.array(), caption, 0.8, 0.15 + 0.65 * wild)


def _crowd(rng: np.random.Generator, size: int) -> Painted:
    """Paint a crowd before a lit stage."""
    hue = rng.uniform(0, 360)
    rgb = vertical_gradient(
        size, [(0.0, hsv(hue, 0.8, 0.2)), (0.6, hsv(hue + 30, 0.7, 0.75)), (1.0, hsv(hue, 0.8, 0.2))]
    )
    x, y = axes(size)
    for _ in range(int(rng.integers(3, 8))):
        source, slope = rng.uniform(0.1, 0.9), rng.uniform(-0.7, 0.7)
        width = 0.015 + 0.12 * y
        beam = np.exp(-((x - source - slope * y) ** 2) / (2 * width**2)) * (1 - 0.6 * y)
        rgb = blend(rgb, hsv(hue + rng.uniform(-90, 90), 0.6, 1.0), 0.75 * beam)
    brush = Brush(rgb)
    for step in range(4):
        for _ in range(12 - 2 * step):
            cx, cy, head = (
                float(rng.random()),
                0.66 + 0.1 * step + float(rng.uniform(-0.02, 0.02)),
                0.022 + 0.009 * step,
            )
            shade = hsv(hue, 0.6, 0.2 - 0.05 * step)
            brush.ellipse((cx, cy), (head, head * 1.2), shade)
            brush.ellipse((cx, cy + head * 3.2), (head * 2.0, head * 2.4), shade)
            if rng.random() < 0.6:
                side = 1 if rng.random() < 0.5 else -1
                brush.line(
                    [(cx + side * head, cy + 2 * head), (cx + side * head * 2.2, cy - 2.5 * head)], shade, head * 0.6
                )
    return Painted(
        brush.array(), pick(rng, ["a cheering crowd at a concert", "a dancing crowd before a stage"]), 0.55, 0.85
    )


PAINTERS: dict[str, tuple[str, Painter]] = {
    "lightning": ("storm", _lightning),
    "fire": ("fire", _fire),
    "explosion": ("fire", _explosion),
    "volcano": ("fire", _volcano),
    "fireworks": ("party", _fireworks),
    "confetti": ("party", _confetti),
    "crowd": ("party", _crowd),
}
"""Themes and painters by the kinds of scenes."""
