"""Valence and arousal of a picture from its colours, texture and subject.

The colour model is linear in z-scores. Its first terms are the ridge regression on the non-person photographs of OASIS
(Kurdi, Lozano & Banaji 2017, *Behavior Research Methods*, human ratings):
`V = .24 S + .06 L* - .14 edge` and `A = .17 S - .13 L* + .22 std(L*) - .10 b* - .21 edge`, with S the mean saturation.
In scenery the best single cues of arousal are redness (r = +.36), lightness (-.29) and dark area (+.28); redness and
dark area enter with half of these, since they overlap with saturation and lightness. The signs agree with Wilms &
Oberfeld (2018): saturated and bright colours arouse, blue < green < red; valence is highest for saturated + bright.
The older formula of Valdez & Mehrabian (1994) reaches only r = .16 and .11 on OASIS and is not used. Even the ridge
explains little (r = .36 and .41 on scenery), so the subject of a procedural scene counts for more than its colours,
and human ratings, where they exist, replace both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

MEASURE_SIZE = 96  # pictures are measured at this size, so that edge density does not depend on resolution

# Mean and standard deviation of each feature over the 356 OASIS photographs (centre square, MEASURE_SIZE pixels),
# measured with `reference_statistics`.
FEATURE_MEAN = {
    "saturation": 0.3443, "lightness": 47.79, "contrast": 21.27, "yellowness": 7.057, "edges": 0.2276,
    "redness": 6.067, "darkness": 0.2322,
}  # fmt: skip
FEATURE_STD = {
    "saturation": 0.1951, "lightness": 15.00, "contrast": 6.062, "yellowness": 15.07, "edges": 0.1290,
    "redness": 8.073, "darkness": 0.2074,
}  # fmt: skip

VALENCE_WEIGHTS = {"saturation": 0.24, "lightness": 0.06, "edges": -0.14}
AROUSAL_WEIGHTS = {
    "saturation": 0.17, "lightness": -0.13, "contrast": 0.22, "yellowness": -0.10, "edges": -0.21,
    "redness": 0.18, "darkness": 0.14,
}  # fmt: skip

# Standard deviation of the two weighted sums over the same photographs (their mean is 0). On the 237 of them without
# people the sums correlate with the human ratings by r = .28 (valence) and .37 (arousal).
VALENCE_SPREAD = 0.258
AROUSAL_SPREAD = 0.524

# Mean and standard deviation of semantic valence and arousal over 2,040 scenes, 60 of each kind, seeds 0 to 59.
SEMANTICS_MEAN = (0.081, 0.031)
SEMANTICS_STD = (0.511, 0.546)
SEMANTICS_SHARE = 0.8  # weight of the subject; colour gets sqrt(1 - share^2)
# Mean and standard deviation of the sum of subject and colours over the same scenes: painted colours are stronger than
# photographed ones, which would otherwise move all scenes up.
SCENE_MEAN = (0.313, -0.004)
SCENE_STD = (1.117, 1.524)
COLOUR_LIMIT = 2.5  # z-scores of the colour model are clipped here: painted pictures lie far outside photographs


@dataclass(frozen=True)
class PictureFeatures:
    """What is measured of a picture.

    Attributes:
        saturation: Mean HSV saturation, [0, 1].
        lightness: Mean CIELAB L*, [0, 100].
        contrast: Standard deviation of L*.
        yellowness: Mean CIELAB b*; positive is yellow, negative blue.
        edges: Share of pixels whose L* gradient exceeds 8 per pixel, [0, 1].
        redness: Mean of max(0, a*) over pixels, CIELAB.
        darkness: Share of pixels with L* below 25, [0, 1].
    """

    saturation: float
    lightness: float
    contrast: float
    yellowness: float
    edges: float
    redness: float
    darkness: float


def srgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB to CIELAB (D65).

    Args:
        rgb: Colours of shape `(..., 3)` in [0, 1].

    Returns:
        L*, a*, b* of shape `(..., 3)`.
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.asarray(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = linear @ matrix.T / np.asarray([0.95047, 1.0, 1.08883])
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def picture_features(image: Image.Image) -> PictureFeatures:
    """Measure the centre square of a picture.

    Args:
        image: Picture of any size and mode.

    Returns:
        The features.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").resize(
        (MEASURE_SIZE, MEASURE_SIZE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    rgb = np.asarray(square, dtype=np.float64) / 255.0
    highest, lowest = rgb.max(axis=-1), rgb.min(axis=-1)
    lab = srgb_to_lab(rgb)
    lightness = lab[..., 0]
    down, across = np.gradient(lightness)
    return PictureFeatures(
        saturation=float(np.mean((highest - lowest) / np.maximum(highest, 1e-6))),
        lightness=float(lightness.mean()),
        contrast=float(lightness.std()),
        yellowness=float(lab[..., 2].mean()),
        edges=float(np.mean(np.hypot(down, across) > 8.0)),
        redness=float(np.maximum(lab[..., 1], 0.0).mean()),
        darkness=float(np.mean(lightness < 25.0)),
    )


def colour_affect(features: PictureFeatures, painted: bool = False) -> tuple[float, float]:
    """Apply the colour model.

    Args:
        features: Measured features.
        painted: Leave the edges out: in photographs they mark foliage, bark and grass, hence their negative weight;
            in painted scenes they mark rain, confetti and crowds, whose mood the subject already tells.

    Returns:
        Valence and arousal as z-scores over the OASIS photographs, clipped to `COLOUR_LIMIT`.
    """
    scores = {name: (value - FEATURE_MEAN[name]) / FEATURE_STD[name] for name, value in asdict(features).items()}
    if painted:
        scores["edges"] = 0.0
    valence = sum(weight * scores[name] for name, weight in VALENCE_WEIGHTS.items()) / VALENCE_SPREAD
    arousal = sum(weight * scores[name] for name, weight in AROUSAL_WEIGHTS.items()) / AROUSAL_SPREAD
    return float(np.clip(valence, -COLOUR_LIMIT, COLOUR_LIMIT)), float(np.clip(arousal, -COLOUR_LIMIT, COLOUR_LIMIT))


def picture_affect(image: Image.Image, semantics: tuple[float, float] | None = None) -> tuple[float, float]:
    """Estimate how pleasant and how exciting a picture is.

    Args:
        image: Picture of any size and mode.
        semantics: Valence and arousal of its subject, about [-1, 1] each, as the scenes give them; None when unknown.

    Returns:
        Valence and arousal as z-scores.
    """
    if semantics is None:
        return colour_affect(picture_features(image))
    colour = colour_affect(picture_features(image), painted=True)
    rest = (1.0 - SEMANTICS_SHARE**2) ** 0.5
    subject = [(semantics[axis] - SEMANTICS_MEAN[axis]) / SEMANTICS_STD[axis] for axis in range(2)]
    sums = [SEMANTICS_SHARE * subject[axis] + rest * colour[axis] for axis in range(2)]
    return (sums[0] - SCENE_MEAN[0]) / SCENE_STD[0], (sums[1] - SCENE_MEAN[1]) / SCENE_STD[1]


def reference_statistics(images: list[Image.Image]) -> dict[str, tuple[float, float]]:
    """Measure the constants of the colour model over a reference sample.

    Args:
        images: Reference pictures.

    Returns:
        Mean and standard deviation of each feature.

    Raises:
        ValueError: If `images` is empty.
    """
    if not images:
        raise ValueError("reference_statistics needs at least one picture")
    rows = [asdict(picture_features(image)) for image in images]
    return {
        name: (float(np.mean([r[name] for r in rows])), float(np.std([r[name] for r in rows]))) for name in rows[0]
    }
