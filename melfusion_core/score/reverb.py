"""A room: a convolution reverb whose impulse response is made from a fixed seed.

It is linear, so that the reverberated stems of a piece sum to its reverberated mix.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft
import scipy.signal

LENGTH_S = 1.5
DECAY_S = 1.4
"""Time in which the low and middle frequencies fall by 60 dB."""
BRIGHT_DECAY_S = 0.6
"""The same for high frequencies, which walls and air take first."""
CROSSOVER_HZ = 2500.0
LOWEST_HZ = 180.0
"""Below it the room is silent: reverberated bass makes a mix muddy."""
BEFORE_S = 0.014
"""Time until the first reflection, which keeps attacks clear."""
SEED = 1977
BLOCK = 2**18
"""Samples of one transform: long ones make the convolution of a long room cheap."""


@functools.lru_cache(maxsize=4)
def impulse_response(sample_rate: int) -> np.ndarray:
    """What the room answers to a click: float32 of shape (2, samples), with unit energy on each side.

    Args:
        sample_rate: samples per second.
    """
    rng = np.random.default_rng(SEED)
    count = round(LENGTH_S * sample_rate)
    noise = rng.standard_normal((2, count))
    split = scipy.signal.butter(2, [LOWEST_HZ, CROSSOVER_HZ], "bandpass", fs=sample_rate, output="sos")
    bright = scipy.signal.butter(2, CROSSOVER_HZ, "highpass", fs=sample_rate, output="sos")
    times = np.arange(count) / sample_rate
    room = sum(
        scipy.signal.sosfilt(band, noise, axis=1) * 10 ** (-3 * times / decay)
        for band, decay in ((split, DECAY_S), (bright, BRIGHT_DECAY_S))
    )
    room *= 1 - np.exp(-times / 0.008)  # reflections grow dense within some milliseconds
    room *= np.minimum((LENGTH_S - times) / 0.1, 1.0)
    room /= np.linalg.norm(room, axis=1, keepdims=True)
    return np.pad(room, ((0, 0), (round(BEFORE_S * sample_rate), 0))).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _spectrum(sample_rate: int) -> np.ndarray:
    """Spectrum of the impulse response, of shape (2, BLOCK // 2 + 1)."""
    return np.asarray(scipy.fft.rfft(impulse_response(sample_rate), BLOCK))


def add_room(stem: np.ndarray, level: float, sample_rate: int) -> None:
    """Add the room's answer to a sound, as if it stood in the middle of the room (overlap-add convolution).

    Args:
        stem: float32 of shape (2, samples), changed in place; its last `LENGTH_S + BEFORE_S` seconds are silent.
        level: factor on the answer.
        sample_rate: samples per second.
    """
    spectrum = _spectrum(sample_rate)
    sound = (stem[0] + stem[1]) * np.float32(0.5 * level)
    step = BLOCK - impulse_response(sample_rate).shape[1] + 1
    for begin in range(0, len(sound), step):
        block = sound[begin : begin + step]
        if block.any():
            answer = np.asarray(scipy.fft.irfft(scipy.fft.rfft(block, BLOCK) * spectrum, BLOCK))
            stem[:, begin : begin + BLOCK] += answer[:, : stem.shape[1] - begin]
