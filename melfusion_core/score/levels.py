"""How loud each instrument of a SoundFont is, measured as it is heard in music: on a phrase in its usual register."""

from __future__ import annotations

import numpy as np
import pyloudnorm

from melfusion_core.score.instruments import INSTRUMENTS, Instrument
from melfusion_core.score.performance import Humanise
from melfusion_core.score.score import Note, Score, Track
from melfusion_core.score.soundfont import SoundFont
from melfusion_core.score.synth import SAMPLE_RATE, Channel, Mix, render_score

VELOCITY = 90
NOTES = 7
NOTE_S = 0.6
SOUNDING = 0.9
REGISTER = (0.1, 0.7)
"""Share of an instrument's range in which it mostly plays."""


_ROCK_BEAT = ((36, (0, 4)), (38, (2, 6)), (42, range(8)))
"""Kick, snare and hi-hat, in eighths of a bar of four."""


def measure_levels(soundfont: SoundFont | None = None) -> dict[str, float]:
    """Loudness of every instrument, and of the drums, against the median instrument, in dB.

    Args:
        soundfont: what plays; by default the bank of the package.
    """
    loudness = {name: measure_level(row, soundfont) for name, row in INSTRUMENTS.items()}
    middle = float(np.median(list(loudness.values())))
    loudness["drums"] = measure_drums(soundfont)
    return {name: round(value - middle, 1) + 0.0 for name, value in loudness.items()}


def measure_level(instrument: Instrument, soundfont: SoundFont | None = None) -> float:
    """Loudness of an instrument after ITU-R BS.1770-4: single notes of 0.6 s at velocity 90, up its usual register.

    Args:
        instrument: whose.
        soundfont: what plays it; by default the bank of the package.

    Returns:
        Loudness in LUFS.
    """
    span = instrument.high - instrument.low
    low, high = (instrument.low + share * span for share in REGISTER)
    pitches = np.linspace(low, high, NOTES).round().astype(int)
    notes = [Note(i * NOTE_S, SOUNDING * NOTE_S, int(p), VELOCITY) for i, p in enumerate(pitches)]
    return _loudness(Track(instrument.name, instrument.program, notes, role="lead"), NOTES * NOTE_S, soundfont)


def measure_drums(soundfont: SoundFont | None = None) -> float:
    """Loudness of the standard kit after ITU-R BS.1770-4: two bars of a rock beat at velocity 90, 100 BPM.

    Args:
        soundfont: what plays it; by default the bank of the package.

    Returns:
        Loudness in LUFS.
    """
    eighth = NOTE_S / 2
    notes = [
        Note((8 * bar + place) * eighth, eighth / 2, pitch, VELOCITY)
        for bar in range(2)
        for pitch, places in _ROCK_BEAT
        for place in places
    ]
    return _loudness(Track("drums", 0, notes, is_drum=True, role="drums"), 16 * eighth, soundfont)


def _loudness(track: Track, seconds: float, soundfont: SoundFont | None) -> float:
    """Loudness of a track's first seconds without reverb and without unevenness; its beats are seconds."""
    score = Score([track], 60.0, 4, 0, "major", "", "", "", 0)
    dry = Mix({track.role: Channel(reverb_db=-60.0)})
    sound = render_score(score, mix=dry, humanise=Humanise(0.0, 0.0), soundfont=soundfont).mix
    begin = sound[:, : round(seconds * SAMPLE_RATE)].T.astype(np.float64)
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(begin))
