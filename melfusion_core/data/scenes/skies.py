"""Painters of skies."""

from __future__ import annotations

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


def clouds(
    rng: np.random.Generator, rgb: np.ndarray, colour: np.ndarray, cover: float, softness: float = 0.25
) -> np.ndarray:
    """Lay flat-bottomed clouds over a picture.

    Args:
        rng: Random generator.
        rgb: Picture of shape `(S, S, 3)`.
        colour: Cloud colour of shape `(3,)`.
        cover: Share of the sky covered, [0, 1].
        softness: Width of the cloud edges in units of the noise.

    Returns:
        New picture of shape `(S, S, 3)`.
    """
    noise = fractal_noise(rng, rgb.shape[0], cells=(2, 4), octaves=5, persistence=0.55)
    return blend(rgb, colour, (noise - (1.0 - cover)) / softness * 0.8)


def stars(rng: np.random.Generator, rgb: np.ndarray, count: int, horizon: float = 1.0) -> np.ndarray:
    """Strew stars over a picture.

    Args:
        rng: Random generator.
        rgb: Picture of shape `(S, S, 3)`.
        count: Number of stars.
        horizon: Lowest `y` of a star.

    Returns:
        New picture of shape `(S, S, 3)`.
    """
    brush = Brush(rgb)
    for _ in range(count):
        radius = float(rng.uniform(0.0025, 0.007))
        colour = hsv(rng.uniform(0, 360), rng.uniform(0.0, 0.3), rng.uniform(0.6, 1.0))
        brush.ellipse((float(rng.random()), float(rng.random()) * horizon), (radius, radius), colour)
    return brush.array()


def _foreground(rng: np.random.Generator, rgb: np.ndarray, colour: np.ndarray) -> np.ndarray:
    profile = skyline(rng, rgb.shape[0], rng.uniform(0.82, 0.95), rng.uniform(0.01, 0.07), octaves=3)
    return blend(rgb, colour, below(rgb.shape[0], profile))


def _sunset(rng: np.random.Generator, size: int) -> Painted:
    """Paint a sunset from golden to deep red."""
    fire = float(rng.random())
    hue = 42 - 45 * fire
    light = rng.uniform(0.75, 1.0)
    top = hsv(hue + rng.uniform(-110, -60), rng.uniform(0.35, 0.6) + 0.25 * fire, (0.75 - 0.35 * fire) * light)
    stops = [(0.0, top), (0.5, hsv(hue - 12, 0.55 + 0.4 * fire, 0.9 * light)), (0.85, hsv(hue + 8, 0.75, light))]
    rgb = vertical_gradient(size, stops)
    sun = (rng.uniform(0.2, 0.8), rng.uniform(0.5, 0.8))
    rgb = blend(rgb, hsv(hue + 15, 0.5, 1.0), 0.8 * glow(size, sun, 0.16))
    rgb = clouds(rng, rgb, hsv(hue - 15, 0.6 + 0.3 * fire, 0.55), rng.uniform(0.1, 0.55))
    rgb = blend(rgb, hsv(hue + 18, 0.35, 1.0), disc(size, sun, rng.uniform(0.05, 0.12), 0.02))
    rgb = _foreground(rng, rgb, hsv(hue - 40, 0.5, 0.12))
    return Painted(
        rgb,
        by_degree(fire, ["a golden sunset", "an orange sunset", "a blazing red sunset"]),
        0.65 - 0.3 * fire,
        -0.25 + 0.75 * fire,
    )


def _dawn(rng: np.random.Generator, size: int) -> Painted:
    """Paint a pale dawn."""
    mist = float(rng.random())
    hue = rng.uniform(320, 400)
    pale = 0.35 - 0.25 * mist
    stops = [
        (0.0, hsv(rng.uniform(190, 230), pale, 0.85)),
        (0.6, hsv(hue, pale + 0.05, 0.97)),
        (1.0, hsv(hue + 25, pale, 1.0)),
    ]
    rgb = vertical_gradient(size, stops)
    rgb = blend(rgb, hsv(45, 0.15, 1.0), 0.7 * glow(size, (rng.uniform(0.2, 0.8), 0.8), 0.18))
    rgb = clouds(rng, rgb, np.ones(3, dtype=np.float32), rng.uniform(0.1, 0.4), 0.6)
    for step in range(3):
        profile = skyline(rng, size, 0.74 + 0.08 * step, 0.04, octaves=2)
        rgb = blend(rgb, hsv(hue - 90, 0.15 + 0.08 * step, 0.85 - 0.12 * step), below(size, profile, 0.02))
    return Painted(rgb, by_degree(mist, ["a soft pink dawn", "a pale misty dawn"]), 0.5 - 0.2 * mist, -0.7)


def _noon_sky(rng: np.random.Generator, size: int) -> Painted:
    """Paint a blue sky with white clouds."""
    cover = rng.uniform(0.05, 0.55)
    hue, depth = rng.uniform(195, 222), rng.uniform(0.45, 0.85)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, depth, 0.9)), (1.0, hsv(hue - 10, depth * 0.4, 1.0))])
    rgb = clouds(rng, rgb, np.full(3, 0.98, dtype=np.float32), cover)
    if rng.random() < 0.6:
        sun = (rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.35))
        rgb = blend(rgb, hsv(52, 0.25, 1.0), glow(size, sun, 0.1))
        rgb = blend(rgb, hsv(52, 0.3, 1.0), disc(size, sun, 0.06, 0.02))
    if rng.random() < 0.7:
        rgb = _foreground(rng, rgb, hsv(rng.uniform(85, 125), 0.65, 0.65))
    return Painted(
        rgb, by_degree(float(cover) / 0.55, ["a clear blue sky", "a blue sky with white clouds"]), 0.6, -0.25
    )


def _overcast(rng: np.random.Generator, size: int) -> Painted:
    """Paint a grey sky."""
    gloom = float(rng.random())
    light, hue = 0.72 - 0.42 * gloom, rng.uniform(195, 240)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.12, light * 0.8)), (1.0, hsv(hue, 0.06, light + 0.1))])
    rgb = clouds(rng, rgb, hsv(hue, 0.12, light * (0.8 - 0.3 * gloom)), rng.uniform(0.45, 0.8), 0.5)
    rgb = _foreground(rng, rgb, hsv(rng.uniform(80, 200), 0.12, light * 0.35))
    return Painted(
        rgb,
        by_degree(gloom, ["an overcast sky", "a grey cloudy sky", "dark heavy clouds"]),
        -0.3 - 0.35 * gloom,
        -0.55 + 0.45 * gloom,
    )


def _starry_night(rng: np.random.Generator, size: int) -> Painted:
    """Paint a night sky with stars and sometimes a moon."""
    hue, light = rng.uniform(215, 265), rng.uniform(0.12, 0.42)
    rgb = vertical_gradient(size, [(0.0, hsv(hue, 0.85, light * 0.6)), (1.0, hsv(hue - 15, 0.65, light))])
    galaxy = rng.random() < 0.35
    if galaxy:
        cloud = fractal_noise(rng, size, (3, 3), 5) ** 2
        rgb = blend(rgb, hsv(hue + rng.uniform(0, 90), 0.6, 0.85), cloud * 0.9)
    rgb = stars(rng, rgb, int(rng.integers(40, 220)), 0.9)
    moon = rng.random() < 0.45
    if moon:
        place = (rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.4))
        rgb = blend(rgb, hsv(50, 0.1, 0.9), 0.5 * glow(size, place, 0.12))
        rgb = blend(rgb, hsv(50, 0.12, 1.0), disc(size, place, rng.uniform(0.05, 0.11), 0.01))
    rgb = _foreground(rng, rgb, hsv(hue, 0.6, 0.04))
    if galaxy:
        return Painted(rgb, pick(rng, ["a colourful galaxy", "the milky way at night"]), 0.45, 0.05)
    return Painted(rgb, "a full moon in a starry sky" if moon else "a calm starry night", 0.3, -0.6)


def _aurora(rng: np.random.Generator, size: int) -> Painted:
    """Paint northern lights over snow."""
    rgb = vertical_gradient(size, [(0.0, hsv(235, 0.8, 0.1)), (1.0, hsv(215, 0.7, 0.3))])
    rgb = stars(rng, rgb, 70, 0.75)
    line = (np.arange(size, dtype=np.float32) + 0.5)[:, None] / size
    for _ in range(int(rng.integers(2, 5))):
        edge = skyline(rng, size, rng.uniform(0.35, 0.7), rng.uniform(0.04, 0.12), 2, 3)
        height = edge - line
        curtain = np.where(height > 0, np.exp(-height / rng.uniform(0.1, 0.25)), np.exp(height / 0.015))
        rays = 0.5 + 0.5 * fractal_noise(rng, size, (14, 1), 2)
        rgb = blend(rgb, hsv(rng.uniform(120, 175) + 140 * (rng.random() < 0.25), 0.75, 1.0), 0.7 * curtain * rays)
    rgb = blend(rgb, hsv(200, 0.25, 0.45), below(size, skyline(rng, size, 0.88, 0.04, 2, 3)))
    return Painted(rgb, pick(rng, ["northern lights over snow", "an aurora at night"]), 0.5, -0.15)


PAINTERS: dict[str, tuple[str, Painter]] = {
    "sunset": ("sky", _sunset),
    "dawn": ("sky", _dawn),
    "noon_sky": ("sky", _noon_sky),
    "overcast": ("sky", _overcast),
    "starry_night": ("night", _starry_night),
    "aurora": ("night", _aurora),
}
"""Themes and painters by the kinds of scenes."""
