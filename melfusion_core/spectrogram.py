"""Pictures of mel spectrograms: one, or a pair with its difference on one dB scale.

Figures are plain `matplotlib.figure.Figure` objects; pyplot and its global state are not used. Mels are decibels as
`melfusion_core.mel.mel_to_db` gives them, tensors or arrays of shape `(frames, n_mels)`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from melfusion_core.mel import MelConfig

DB_DIFFERENCE = 12.0
PERCENTILES = (5.0, 99.9)
"""Shares of the levels below the darkest colour and below the brightest."""
NARROWEST_DB, WIDEST_DB = 20, 60
MEL_COLOURS = "magma"
DIFFERENCE_COLOURS = "RdBu_r"
FREQUENCY_TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16000)


def _as_array(mel_db: torch.Tensor | np.ndarray) -> np.ndarray:
    if isinstance(mel_db, torch.Tensor):
        mel_db = mel_db.detach().cpu().float().numpy()
    array = np.asarray(mel_db, dtype=np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"A mel spectrogram here has the shape (frames, n_mels), not {array.shape}.")
    return array


def level_range(*mels_db: torch.Tensor | np.ndarray) -> tuple[float, float]:
    """Find the levels between which mels are coloured, one range for all that are shown together.

    Args:
        mels_db: Mels in dB, each of shape `(frames, n_mels)`.

    Returns:
        Level of the darkest and of the brightest colour, whole dB.
    """
    levels = np.concatenate([_as_array(mel).ravel() for mel in mels_db])
    low, high = np.percentile(levels, PERCENTILES)
    top = float(np.ceil(high))
    return float(np.clip(np.floor(low), top - WIDEST_DB, top - NARROWEST_DB)), top


def mel_bin(frequency_hz: float, config: MelConfig) -> float:
    """Place a frequency on the mel axis.

    Args:
        frequency_hz: Frequency in Hz.
        config: Settings of the mel.

    Returns:
        Position in bins, with the centre of the lowest bin at 0, on the scale of the mel's filters.
    """
    from librosa import hz_to_mel  # takes a second

    low, high, here = (hz_to_mel(hz, htk=not config.slaney) for hz in (config.fmin, config.fmax, frequency_hz))
    return float((here - low) / (high - low) * (config.n_mels + 1) - 1.0)


def colourise(
    mel_db: torch.Tensor | np.ndarray,
    db_min: float,
    db_max: float,
    colours: str = MEL_COLOURS,
) -> np.ndarray:
    """Colour a mel pixel by pixel, without axes: for previews, and for players that draw their own.

    Args:
        mel_db: Mel in dB, of shape `(frames, n_mels)`.
        db_min: Level of the darkest colour, in dB.
        db_max: Level of the brightest colour, in dB.
        colours: Name of a matplotlib colour map.

    Returns:
        Pixels of shape `(n_mels, frames, 3)`, uint8, low frequencies at the bottom.

    Raises:
        ValueError: The shape or the scale is not usable.
    """
    if not db_max > db_min:
        raise ValueError(f"db_max ({db_max}) must lie above db_min ({db_min}).")
    scaled = np.clip((_as_array(mel_db) - db_min) / (db_max - db_min), 0.0, 1.0)
    return np.ascontiguousarray(colormaps[colours](scaled.T[::-1], bytes=True)[..., :3])


def _draw(axes: Axes, mel: np.ndarray, config: MelConfig, title: str, limits: tuple[float, float], colours: str):
    seconds = mel.shape[0] / config.frame_rate_hz
    image: AxesImage = axes.imshow(
        mel.T,
        origin="lower",
        aspect="auto",
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0.0, seconds, -0.5, mel.shape[1] - 0.5),
        interpolation="nearest",
    )
    ticks = [hz for hz in FREQUENCY_TICKS_HZ if config.fmin <= hz <= config.fmax]
    axes.set_yticks(
        [mel_bin(hz, config) for hz in ticks], [f"{hz / 1000:g}k" if hz >= 1000 else f"{hz}" for hz in ticks]
    )
    axes.set_ylim(-0.5, mel.shape[1] - 0.5)
    axes.set_ylabel("Hz")
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    return image


def plot_mel(
    mel_db: torch.Tensor | np.ndarray,
    config: MelConfig,
    title: str = "",
) -> Figure:
    """Draw one mel spectrogram with axes and a colour bar.

    Args:
        mel_db: Mel in dB, of shape `(frames, n_mels)`.
        config: Settings of the mel, for the axes.
        title: Heading.

    Returns:
        The figure.

    Raises:
        ValueError: The mel has another shape.
    """
    figure = Figure(figsize=(9.0, 3.0), layout="constrained")
    axes = figure.subplots()
    image = _draw(axes, _as_array(mel_db), config, title, level_range(mel_db), MEL_COLOURS)
    axes.set_xlabel("seconds")
    figure.colorbar(image, ax=axes, label="dB")
    return figure


def plot_pair(
    mel_a_db: torch.Tensor | np.ndarray,
    mel_b_db: torch.Tensor | np.ndarray,
    config: MelConfig,
    titles: tuple[str, str] = ("With the picture", "Caption only"),
) -> Figure:
    """Draw two mel spectrograms on one dB scale, and below them their difference.

    Args:
        mel_a_db: First mel in dB, of shape `(frames, n_mels)`.
        mel_b_db: Second mel, of the same shape.
        config: Settings of the mels, for the axes.
        titles: Headings of the first and the second.

    Returns:
        The figure. In the third panel red is where the first is louder, blue where the second is.

    Raises:
        ValueError: The shapes differ.
    """
    first, second = _as_array(mel_a_db), _as_array(mel_b_db)
    if first.shape != second.shape:
        raise ValueError(f"Two mels are compared only at one shape, not {first.shape} and {second.shape}.")
    levels = level_range(first, second)
    figure = Figure(figsize=(9.0, 8.0), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    for axes, mel, title in zip(panels, (first, second), titles, strict=False):
        image = _draw(axes, mel, config, title, levels, MEL_COLOURS)
    figure.colorbar(image, ax=list(panels[:2]), label="dB")
    # Silence is silence: below the scale's floor there is nothing to compare.
    difference = np.maximum(first, levels[0]) - np.maximum(second, levels[0])
    limits = (-DB_DIFFERENCE, DB_DIFFERENCE)
    image = _draw(panels[2], difference, config, f"{titles[0]} − {titles[1]}", limits, DIFFERENCE_COLOURS)
    figure.colorbar(image, ax=panels[2], label="dB")
    panels[2].set_xlabel("seconds")
    return figure


def save_figure(figure: Figure, path: str | Path, dpi: int = 120) -> Path:
    """Write a figure as PNG, the same bytes for the same figure.

    Args:
        figure: As one of this module's functions gives it.
        path: Of the PNG file.
        dpi: Pixels per inch.

    Returns:
        The path.
    """
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})
    return Path(path)
