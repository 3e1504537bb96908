"""The balance of an ensemble: the tune in front, every other part at its place behind it."""

from __future__ import annotations

import numpy as np

from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import Track

LEVEL_DB: dict[str, float] = {
    "piano": -4.9, "electric piano": 3.0, "harpsichord": 2.1, "celesta": 1.2, "music box": 1.6, "vibraphone": -3.3,
    "marimba": 1.1, "xylophone": -10.2, "tubular bells": 3.6, "organ": -4.2, "church organ": -0.0, "accordion": -4.9,
    "harmonica": -1.7, "acoustic guitar": -0.9, "steel guitar": 0.6, "electric guitar": 0.8, "distorted guitar": 4.4,
    "acoustic bass": 1.0, "electric bass": 0.5, "synth bass": -3.8, "violin": -2.7, "viola": -2.5, "cello": -6.6,
    "contrabass": -3.0, "tremolo strings": -5.8, "pizzicato strings": 0.4, "harp": 0.8, "timpani": -7.5,
    "strings": -4.2, "slow strings": -1.5, "choir": -3.8, "voice oohs": -2.1, "orchestra hit": 0.9, "trumpet": -1.1,
    "trombone": 0.8, "tuba": 1.1, "muted trumpet": 0.0, "french horn": -1.8, "brass section": -0.1, "soprano sax": 1.6,
    "saxophone": 0.0, "oboe": -1.0, "bassoon": 0.5, "clarinet": 3.6, "piccolo": -0.5, "flute": -1.4,
    "pan flute": -0.5, "whistle": 3.6, "ocarina": 0.6, "square lead": -1.6, "saw lead": -2.4, "warm pad": -7.5,
    "polysynth": -2.5, "choir pad": -1.1, "bowed pad": 0.6, "halo pad": -2.9, "crystal": -0.8, "sitar": -3.7,
    "banjo": -0.7, "koto": -2.2, "kalimba": -3.1, "steel drums": -0.6, "honky-tonk piano": -5.4, "clavinet": 0.9,
    "glockenspiel": 0.6, "dulcimer": -4.6, "rock organ": -0.3, "harmonium": -1.4, "bandoneon": -3.2,
    "jazz guitar": 3.0, "muted guitar": -3.5, "overdriven guitar": 2.0, "picked bass": -0.8, "fretless bass": 0.0,
    "slap bass": -2.8, "deep synth bass": 3.5, "synth strings": -1.1, "synth brass": -3.5, "alto sax": 0.8,
    "baritone sax": -1.6, "english horn": -8.5, "recorder": -0.6, "shakuhachi": 1.9, "calliope lead": -4.3,
    "new age pad": -4.9, "sweep pad": -3.3, "shamisen": -5.7, "bagpipes": -1.0, "fiddle": -2.4,
}  # fmt: skip
"""Loudness in dB of each sound of FluidR3 against the median one: single notes at velocity 90, BS.1770; a few slow or
high sounds are corrected by what they measure inside ensembles."""

ROLE_DB = {"lead": 0.0, "counter": -5.0, "bass": -4.5, "drums": -5.0, "chords": -7.0, "pad": -10.0}
"""Loudness of each role against the tune, in dB."""


SAME_SOUND_DB = 2.5
"""How much softer a part plays that has the tune's own sound, as a pianist's left hand does."""


def balance(tracks: list[Track]) -> None:
    """Set the gain of every track so that its loudness has its place behind the tune.

    The estimate adds the sound's own level, 40 log10 of the velocity (as General MIDI synthesizers have it) and
    10 log10 of the share of time that sounds, counting the voices of chords.

    Args:
        tracks: the ensemble; `gain_db` of each is set, within -16 to 8 dB.
    """
    lead = next(track for track in tracks if track.role == "lead")
    reference = _estimate(lead)
    own = -LEVEL_DB[lead.instrument]
    for track in tracks:
        gain = own + reference + ROLE_DB[track.role] - _estimate(track)
        if track is not lead and track.instrument == lead.instrument:
            gain -= SAME_SOUND_DB
        track.gain_db = float(np.clip(gain, -16.0, 8.0))


def _estimate(track: Track) -> float:
    """Loudness in dB of a track before its gain."""
    level = float(np.mean([n.velocity for n in track.notes]))
    length = max(n.start + n.duration for n in track.notes) - min(n.start for n in track.notes)
    rings = 1.5 if track.is_drum or INSTRUMENTS[track.instrument].sustained else 0.7  # beats; plucked sounds die away
    sounding = sum(min(n.duration, rings) for n in track.notes) / max(length, 1.0)
    if track.is_drum:
        sounding = 0.6  # hits are short whatever their number
    return LEVEL_DB.get(track.instrument, 0.0) + 40 * np.log10(level / 90) + 10 * np.log10(max(sounding, 0.2))
