"""Procedural scenes: pictures painted with numpy and PIL whose mood is visible and known.

`render_scene` draws one of the painters of `SCENE_KINDS`. Each painter varies by degree (calm to raging, sunny to
gloomy), so that valence and arousal are continuous and show in colour, contrast and density.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from melfusion_core.data.scenes import abstracts, cities, energies, lands, skies, waters
from melfusion_core.data.scenes.base import Painted, Painter, Scene
from melfusion_core.data.scenes.canvas import grade, to_pil

_PAINTERS: dict[str, tuple[str, Painter]] = (
    skies.PAINTERS | waters.PAINTERS | lands.PAINTERS | cities.PAINTERS | energies.PAINTERS | abstracts.PAINTERS
)

SCENE_KINDS: tuple[str, ...] = tuple(_PAINTERS)

__all__ = ["SCENE_KINDS", "Painted", "Scene", "render_scene"]


def render_scene(rng: np.random.Generator, size: int = 128, kind: str | None = None) -> Scene:
    """Paint one scene; the same generator state gives the same scene at every size.

    Args:
        rng: Random generator; the only source of chance.
        size: Side of the square picture in pixels.
        kind: One of `SCENE_KINDS`; drawn from `rng` when None.

    Returns:
        The picture with its caption, theme and the mood of its subject.

    Raises:
        ValueError: If `kind` is unknown or `size` is below 8.
    """
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, got {size}")
    if kind is None:
        kind = SCENE_KINDS[int(rng.integers(len(SCENE_KINDS)))]
    if kind not in _PAINTERS:
        raise ValueError(f"unknown scene kind {kind!r}; choose from {', '.join(SCENE_KINDS)}")
    paint_rng, grade_rng = rng.spawn(2)
    theme, painter = _PAINTERS[kind]
    painted = painter(paint_rng, 2 * size)
    rgb = grade(
        painted.rgb,
        saturation=float(np.clip(grade_rng.normal(1.0, 0.15), 0.5, 1.4)),
        exposure=float(np.clip(grade_rng.normal(1.0, 0.08), 0.8, 1.2)),
        contrast=float(np.clip(grade_rng.normal(1.0, 0.08), 0.8, 1.25)),
        warmth=float(grade_rng.normal(0.0, 0.02)),
    )
    image = to_pil(rgb).resize((size, size), Image.Resampling.BOX)
    if grade_rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Scene(image, kind, painted.caption, theme, float(painted.valence), float(painted.arousal))
