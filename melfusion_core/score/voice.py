"""The sound of one key of a region: the sample at its pitch, looped, filtered, moved by oscillators and envelopes.

What a note's length decides (the volume envelope and its release) is kept apart, so that the notes of a piece that
play the same key of the same region share everything else. Modulation envelopes go on as if the key stayed down.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.signal
import soxr

from melfusion_core.score.soundfont import Envelope, Oscillator, Region, SoundFont

RANGE_DB = 96.0
"""What an envelope's decay or release goes through in the time given for it."""

HEARD_DB = 60.0
"""A note that is let go is not computed further once it is this far below its peak."""

CONTROL_SAMPLES = 64
"""Pitch and cutoff are moved once in so many samples."""

CUTOFF_STEP_CENTS = 50.0
"""A filter gets new coefficients when its cutoff has moved this far: as often as can be heard, and no oftener."""

OPEN_CUTOFF_CENTS = 13500.0
RESONANCE_OFFSET_DB = 3.01
"""A resonance of 0 dB means a filter without a peak, whose quality is 1/sqrt(2)."""

RESAMPLER_QUALITY = "MQ"


def envelope_curve(envelope: Envelope, key: int, times_s: np.ndarray) -> np.ndarray:
    """Level of a modulation envelope while its key is held, 0 to 1.

    Args:
        envelope: the envelope.
        key: MIDI key.
        times_s: times after the onset in seconds, of shape (times,).
    """
    attacked, decaying = _stages(envelope, key, times_s)
    with np.errstate(divide="ignore"):
        convex = np.clip(1.0 + 400.0 / 960.0 * np.log10(np.clip(attacked, 0.0, 1.0)), 0.0, 1.0)
    return np.where(decaying > 0.0, np.maximum(1.0 - decaying, envelope.sustain), convex)


def loudness_curve(envelope: Envelope, key: int, samples: int, sample_rate: int) -> np.ndarray:
    """Factor by which a volume envelope scales a sound while its key is held: float32 of shape (samples,).

    Args:
        envelope: the envelope.
        key: MIDI key.
        samples: how many samples.
        sample_rate: samples per second.
    """
    times = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    attacked, decaying = _stages(envelope, key, times)
    fall = np.minimum(decaying, np.float32(1.0 - envelope.sustain))
    curve = np.clip(attacked, 0.0, 1.0) * np.exp(np.float32(-RANGE_DB / 20 * np.log(10)) * np.maximum(fall, 0.0))
    return curve.astype(np.float32)


def _stages(envelope: Envelope, key: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of the attack and of a whole decay is over: below 0 before, above 1 after it."""
    hold = envelope.hold_s * 2.0 ** (envelope.hold_cents_per_key * (60 - key) / 1200)
    decay = envelope.decay_s * 2.0 ** (envelope.decay_cents_per_key * (60 - key) / 1200)
    attacked = (times - envelope.delay_s) / envelope.attack_s
    return attacked, (times - (envelope.delay_s + envelope.attack_s + hold)) / decay


@functools.lru_cache(maxsize=256)
def fade(seconds: float, sample_rate: int, depth_db: float = RANGE_DB) -> np.ndarray:
    """An even fall in decibels: float32 of shape (samples,), read-only.

    Args:
        seconds: how long a fall through the whole range takes.
        sample_rate: samples per second.
        depth_db: how far it falls before it ends; over the last quarter it bends down to silence.
    """
    count = max(round(seconds * depth_db / RANGE_DB * sample_rate), 1)
    curve = np.exp(np.linspace(0.0, -depth_db / 20 * np.log(10), count, dtype=np.float32))
    curve *= np.minimum(np.linspace(4.0, 0.0, count, dtype=np.float32), 1.0)
    curve.flags.writeable = False
    return curve


def release_curve(soundfont: SoundFont, region: Region, sample_rate: int) -> np.ndarray:
    """Factor by which a sound dies away once its key is let go, until it can no longer be heard: float32, read-only.

    Args:
        soundfont: where the sample is.
        region: how it is played.
        sample_rate: samples per second.
    """
    sound, rate = soundfont.sample(region.sample)
    depth_db, (first, end) = HEARD_DB, region.loop
    if region.looping and end <= len(sound):
        # Plucked sounds have fallen a good way when they reach their loop.
        faded_db = 20 * np.log10((np.abs(sound).max() + 1e-6) / (np.abs(sound[first:end]).max() + 1e-6))
        shorter_db = max(HEARD_DB - round(float(faded_db)), 20.0)
        if region.volume.release_s * shorter_db / RANGE_DB > 2 * first / rate:
            depth_db = shorter_db
    return fade(region.volume.release_s, sample_rate, depth_db)


def tone(soundfont: SoundFont, region: Region, key: int, samples: int, sample_rate: int) -> np.ndarray:
    """A key's sound before its volume envelope: float32 of shape (up to `samples`,), shorter when the sample ends.

    Args:
        soundfont: where the sample is.
        region: how it is played.
        key: MIDI key.
        samples: how many samples are wanted.
        sample_rate: samples per second.

    Raises:
        SoundFontError: the sample cannot be decoded.
    """
    sound, rate = soundfont.sample(region.sample)
    cents = region.cents_per_key * (key - region.root_key) + region.tuning_cents
    step = 2.0 ** (cents / 1200) * rate / sample_rate  # samples of the recording per sample of the output
    times = np.arange(0, samples + CONTROL_SAMPLES, CONTROL_SAMPLES) / sample_rate
    envelope = np.zeros(len(times))
    if region.envelope_pitch_cents or region.envelope_cutoff_cents:
        envelope = envelope_curve(region.modulation, key, times)
    waves = [(o, triangle(o, times)) for o in region.oscillators]
    bend = region.envelope_pitch_cents * envelope + sum(o.pitch_cents * wave for o, wave in waves)
    if np.any(bend):
        steps = step * 2.0 ** (np.interp(np.arange(samples) / sample_rate, times, bend) / 1200)
        places = np.cumsum(steps) - steps[0]
        out = _read_at(_unrolled(sound, region, int(places[-1]) + 4), places)
    else:
        source = _unrolled(sound, region, int(np.ceil(samples * step)) + 64)
        out = soxr.resample(source, step * sample_rate, sample_rate, RESAMPLER_QUALITY)[:samples]
    cutoff = region.cutoff_cents + region.envelope_cutoff_cents * envelope
    cutoff = cutoff + sum(o.cutoff_cents * wave for o, wave in waves)
    out = _filtered(out, np.broadcast_to(cutoff, times.shape), region.resonance_db, sample_rate)
    volume = sum(o.volume_db * wave for o, wave in waves)
    if np.any(volume):
        level = np.interp(np.arange(len(out)) / sample_rate, times, volume)
        out = out * np.power(10.0, level / 20)
    return out.astype(np.float32, copy=False)


def triangle(oscillator: Oscillator, times_s: np.ndarray) -> np.ndarray:
    """Course of an oscillator: 0 until its delay is over, then up first, between -1 and 1.

    Args:
        oscillator: the oscillator.
        times_s: times after the onset in seconds, of shape (times,).
    """
    phase = np.maximum(times_s - oscillator.delay_s, 0.0) * oscillator.frequency_hz
    return 1.0 - np.abs((4.0 * phase + 1.0) % 4.0 - 2.0)


def _unrolled(sound: np.ndarray, region: Region, length: int) -> np.ndarray:
    """A recording whose loop is written out until it is long enough, or as it is when it has none."""
    first, end = region.loop
    if not region.looping or end > len(sound) or first < 0:
        return sound[:length]
    if length <= end:
        return sound[:length]
    repeats = -(-(length - end) // (end - first))
    return np.concatenate([sound[:end], np.tile(sound[first:end], repeats)])[:length]


def _read_at(sound: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values between the samples of a sound, by cubic (Catmull-Rom) interpolation; it ends where the sound does."""
    places = places[: np.searchsorted(places, len(sound) - 2)]
    whole = places.astype(np.int64)
    share = (places - whole).astype(np.float32)
    padded = np.pad(sound, (1, 2))
    a, b, c, d = (padded[whole + shift] for shift in range(4))
    return b + 0.5 * share * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)))


def _filtered(sound: np.ndarray, cutoff_cents: np.ndarray, resonance_db: float, sample_rate: int) -> np.ndarray:
    """A sound through the resonant low-pass filter, whose cutoff is given once every `CONTROL_SAMPLES`."""
    quality = 10.0 ** ((resonance_db - RESONANCE_OFFSET_DB) / 20)
    steps = np.round(np.clip(cutoff_cents, 1500.0, OPEN_CUTOFF_CENTS) / CUTOFF_STEP_CENTS)
    if resonance_db == 0.0 and steps.min() * CUTOFF_STEP_CENTS >= OPEN_CUTOFF_CENTS:
        return sound * np.float32(quality**-0.5)
    out = np.empty(len(sound))
    changes = np.flatnonzero(np.diff(steps)) + 1
    state = np.zeros(2)
    bounds = [0, *(CONTROL_SAMPLES * changes).tolist(), len(sound)]
    for step, begin, end in zip(steps[[0, *changes]], bounds, bounds[1:], strict=False):
        if begin >= len(sound):
            break
        numerator, denominator = lowpass(8.176 * 2.0 ** (step * CUTOFF_STEP_CENTS / 1200), quality, sample_rate)
        out[begin:end], state = scipy.signal.lfilter(numerator, denominator, sound[begin:end], zi=state)
    return out


def lowpass(cutoff_hz: float, quality: float, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a resonant low-pass filter of second order, levelled by half its peak as SoundFonts ask.

    Args:
        cutoff_hz: where it starts to fall.
        quality: height of its peak; 1/sqrt(2) has none.
        sample_rate: samples per second.

    Returns:
        Numerator and denominator of its transfer function.
    """
    omega = 2 * np.pi * min(cutoff_hz, 0.45 * sample_rate) / sample_rate
    alpha, cosine = np.sin(omega) / (2 * quality), np.cos(omega)
    numerator = np.array([0.5, 1.0, 0.5]) * (1 - cosine) * quality**-0.5
    return numerator / (1 + alpha), np.array([1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha)
