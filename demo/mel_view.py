"""Mel spectrograms as pictures: sharp at any width, on one scale for all that are shown together."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from demo import words
from melfusion_core.audio import resample
from melfusion_core.engines.spectrogram.engine import SpectrogramView
from melfusion_core.mel import MelConfig
from melfusion_core.spectrogram import DB_DIFFERENCE, MEL_COLOURS, colourise, level_range, mel_bin

DIFFERENCE_COLOURS = "berlin"  # dark in the middle, so that silence looks alike in all three pictures
FREQUENCIES_HZ = (100, 500, 1000, 2000, 4000, 8000)
MAX_COLUMNS = 960
LITTLE_DB = 1.5
WINDOW_S = 1.0


def sound_view(samples: np.ndarray, sample_rate: int) -> SpectrogramView:
    """Look at any sound.

    Args:
        samples: Of shape ``(channels, samples)``.
        sample_rate: In Hz.

    Returns:
        Its spectrogram, channels averaged.
    """
    config = MelConfig()
    mono = torch.from_numpy(np.asarray(samples, dtype=np.float32).mean(axis=0))
    if sample_rate != config.sample_rate:
        mono = resample(mono, sample_rate, config.sample_rate)
    least = config.n_fft - len(mono)
    return SpectrogramView.of_sound(torch.nn.functional.pad(mono, (0, max(0, least)))[None], config)


def spectrogram_source(view: SpectrogramView) -> str:
    """Draw one mel spectrogram on its own scale.

    Args:
        view: The spectrogram.

    Returns:
        A data URL.
    """
    return _source(colourise(_thin(view.mel_db), *level_range(view.mel_db)))


def spectrogram_face(views: Sequence[SpectrogramView], alts: Sequence[str], little: str) -> dict[str, Any]:
    """Draw mel spectrograms side by side on one scale, and how two of them differ.

    Args:
        views: The spectrograms.
        alts: What each picture shows, for those who do not see it.
        little: What is said where two differ little.

    Returns:
        ``name`` and ``label`` of this way to look; ``plots`` with ``src`` and ``alt``; ``marks`` on their height with
        their ``unit``; a ``legend``; and a ``difference`` with ``spans`` of seconds in which there is little of it.
    """
    mels = _equally_long([view.mel_db for view in views])
    scale = level_range(*mels)
    return {
        "name": "sound",
        "label": words.FACE_SOUND,
        "plots": [
            {"src": _source(colourise(_thin(mel), *scale)), "alt": alt} for mel, alt in zip(mels, alts, strict=False)
        ],
        "marks": frequency_marks(views[0].config),
        "unit": "Hz",
        "legend": level_legend(*scale),
        "difference": _difference(mels, scale[0], views[0].config, little) if len(mels) == 2 else None,
    }


def frequency_marks(config: MelConfig) -> list[tuple[str, str]]:
    """Place the frequencies beside a spectrogram.

    Args:
        config: Settings of the mel.

    Returns:
        Label and height in percent of each frequency.
    """
    return [
        (f"{hz // 1000}k" if hz >= 1000 else str(hz), f"{(mel_bin(hz, config) + 0.5) / config.n_mels:.2%}")
        for hz in FREQUENCIES_HZ
        if config.fmin <= hz < config.fmax
    ]


def difference_source(first_db: np.ndarray, second_db: np.ndarray, floor_db: float) -> str:
    """Draw how two mels differ, in dB; below the scale's floor there is nothing to compare.

    Args:
        first_db: Mel in dB, of shape ``(frames, n_mels)``.
        second_db: Another of the same shape.
        floor_db: Level of the darkest colour.

    Returns:
        A data URL.

    Raises:
        ValueError: When the shapes differ.
    """
    if first_db.shape != second_db.shape:
        raise ValueError(f"Two mels are compared only at one shape, not {first_db.shape} and {second_db.shape}.")
    difference = np.maximum(first_db, floor_db) - np.maximum(second_db, floor_db)
    return _source(colourise(_thin(difference), -DB_DIFFERENCE, DB_DIFFERENCE, DIFFERENCE_COLOURS))


def little_spans(little: Sequence[bool], window_s: float, seconds: float) -> list[tuple[float, float]]:
    """Join neighbouring windows.

    Args:
        little: Whether there is little in each.
        window_s: Length of a window in seconds.
        seconds: Where the last one ends.

    Returns:
        Begin and end of each span in seconds.
    """
    spans: list[tuple[float, float]] = []
    for index, found in enumerate(little):
        begin, end = index * window_s, min(seconds, (index + 1) * window_s)
        if found and spans and spans[-1][1] == begin:
            spans[-1] = spans[-1][0], end
        elif found:
            spans.append((begin, end))
    return spans


def level_legend(low_db: float, high_db: float) -> str:
    """The colours of the spectrograms with their levels.

    Args:
        low_db: Level of the darkest colour.
        high_db: Level of the brightest one.

    Returns:
        HTML.
    """
    return _legend(MEL_COLOURS, *(f"{level:+g} dB".replace("-", "−") for level in (low_db, high_db)), words.SCALE_NOTE)


@cache
def difference_legend() -> str:
    """The colours of the difference with their meaning, as HTML."""
    return _legend(
        DIFFERENCE_COLOURS, words.LOUDER_B, words.LOUDER_A, words.DIFFERENCE_NOTE.format(most=DB_DIFFERENCE)
    )


def _difference(mels: Sequence[np.ndarray], floor_db: float, config: MelConfig, little: str) -> dict[str, Any]:
    first, second = (np.maximum(mel, floor_db) for mel in mels)
    apart, heard = np.abs(first - second), np.maximum(first, second) > floor_db
    frames, rate_hz = max(1, round(WINDOW_S * config.frame_rate_hz)), config.frame_rate_hz
    windows = [slice(start, start + frames) for start in range(0, len(apart), frames)]
    little_there = [heard[window].any() and apart[window][heard[window]].mean() < LITTLE_DB for window in windows]
    return {
        "title": words.DIFFERENCE_TITLE,
        "src": difference_source(*mels, floor_db),
        "alt": words.ALT_DIFFERENCE,
        "legend": difference_legend(),
        "little": little,
        "spans": little_spans(little_there, frames / rate_hz, len(apart) / rate_hz),
    }


def _equally_long(mels: Sequence[np.ndarray]) -> list[np.ndarray]:
    longest, lowest = max(len(mel) for mel in mels), min(float(mel.min()) for mel in mels)
    return [np.pad(mel, ((0, longest - len(mel)), (0, 0)), constant_values=lowest) for mel in mels]


def _thin(mel_db: np.ndarray) -> np.ndarray:
    """Average neighbouring frames of a long mel, so that its picture stays small."""
    factor = -(-mel_db.shape[0] // MAX_COLUMNS)
    if factor == 1:
        return mel_db
    padding = -mel_db.shape[0] % factor
    padded = np.pad(mel_db, ((0, padding), (0, 0)), mode="edge")
    return padded.reshape(-1, factor, mel_db.shape[1]).mean(axis=1)


def _source(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _legend(colours: str, low: str, high: str, meaning: str) -> str:
    stops = ", ".join(
        "rgb({}, {}, {})".format(*colormaps[colours](position, bytes=True)[:3]) for position in np.linspace(0, 1, 9)
    )
    return (
        f'<p class="legend"><span>{low}</span><i style="background:linear-gradient(90deg, {stops})"></i>'
        f"<span>{high}</span><em>{meaning}</em></p>"
    )
