"""Mel spectrograms as HTML: sharp at any width, readable on a phone, with one legend for all."""

from __future__ import annotations

import base64
import html
import io
from functools import cache

import numpy as np
from matplotlib import colormaps
from PIL import Image

from demo import words
from melfusion_core.engines.spectrogram.engine import SpectrogramView
from melfusion_core.mel import MelConfig
from melfusion_core.spectrogram import DB_DIFFERENCE, DB_MAX, DB_MIN, MEL_COLOURS, colourise, mel_bin

DIFFERENCE_COLOURS = "berlin"  # dark in the middle, so that silence looks alike in all three pictures
FREQUENCIES_HZ = (100, 500, 1000, 2000, 4000, 8000)
MAX_COLUMNS = 960


def mel_html(view: SpectrogramView, alt_text: str) -> str:
    """Draw one mel spectrogram on the common scale.

    Args:
        view: The spectrogram.
        alt_text: What the picture shows, for those who do not see it.

    Returns:
        HTML with the picture, its frequencies and its seconds.
    """
    return _plot(mel_source(view.mel_db), view, alt_text)


def mel_source(mel_db: np.ndarray) -> str:
    """Draw one mel spectrogram on the common scale, as the address of a picture.

    Args:
        mel_db: Mel in dB, of shape ``(frames, n_mels)``.

    Returns:
        A data URL.
    """
    return _source(colourise(_thin(mel_db)))


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


def difference_source(first_db: np.ndarray, second_db: np.ndarray) -> str:
    """Draw how two mels differ, in dB; below the scale's floor there is nothing to compare.

    Args:
        first_db: Mel in dB, of shape ``(frames, n_mels)``.
        second_db: Another of the same shape.

    Returns:
        A data URL.

    Raises:
        ValueError: When the shapes differ.
    """
    if first_db.shape != second_db.shape:
        raise ValueError(f"Two mels are compared only at one shape, not {first_db.shape} and {second_db.shape}.")
    difference = np.maximum(first_db, DB_MIN) - np.maximum(second_db, DB_MIN)
    return _source(colourise(_thin(difference), -DB_DIFFERENCE, DB_DIFFERENCE, DIFFERENCE_COLOURS))


@cache
def level_legend() -> str:
    """The colours of the spectrograms with their levels, as HTML."""
    return _legend(MEL_COLOURS, f"{DB_MIN:g} dB".replace("-", "−"), f"{DB_MAX:+g} dB", words.SCALE_NOTE)


@cache
def difference_legend() -> str:
    """The colours of the difference with their meaning, as HTML."""
    return _legend(
        DIFFERENCE_COLOURS, words.LOUDER_B, words.LOUDER_A, words.DIFFERENCE_NOTE.format(most=DB_DIFFERENCE)
    )


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


def _plot(source: str, view: SpectrogramView, alt_text: str) -> str:
    marks = "".join(f'<span style="bottom:{height}">{label}</span>' for label, height in frequency_marks(view.config))
    seconds = view.duration_s
    times = "".join(f"<span>{value:g}</span>" for value in (0.0, round(seconds / 2, 1)))
    return (
        f'<div class="mel"><div class="mel-hz" aria-hidden="true"><b>Hz</b>{marks}</div>'
        f'<img src="{source}" alt="{html.escape(alt_text, quote=True)}">'
        f'<div class="mel-s" aria-hidden="true">{times}<span>{seconds:.1f} s</span></div></div>'
    )


def _legend(colours: str, low: str, high: str, meaning: str) -> str:
    stops = ", ".join(
        "rgb({}, {}, {})".format(*colormaps[colours](position, bytes=True)[:3]) for position in np.linspace(0, 1, 9)
    )
    return (
        f'<p class="legend"><span>{low}</span><i style="background:linear-gradient(90deg, {stops})"></i>'
        f"<span>{high}</span><em>{meaning}</em></p>"
    )
