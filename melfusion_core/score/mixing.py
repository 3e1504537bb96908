"""The balance of an ensemble: the tune in front, every other part at its place behind it."""

from __future__ import annotations

import numpy as np

from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import Track

LEVEL_DB: dict[str, float] = {
    "piano": -3.0, "electric piano": 1.6, "harpsichord": -3.3, "celesta": -3.3, "music box": 2.4, "vibraphone": -1.2,
    "marimba": -1.9, "xylophone": -7.8, "tubular bells": 0.9, "organ": -2.5, "church organ": 1.3, "accordion": -2.1,
    "harmonica": 0.0, "acoustic guitar": -0.2, "steel guitar": -3.5, "electric guitar": 3.7, "distorted guitar": 1.3,
    "acoustic bass": 2.3, "electric bass": 3.0, "synth bass": -1.9, "violin": 1.4, "viola": 0.7, "cello": -0.5,
    "contrabass": -1.4, "tremolo strings": 0.3, "pizzicato strings": -0.5, "harp": -0.9, "timpani": -1.3,
    "strings": -0.7, "slow strings": 2.1, "choir": -1.9, "voice oohs": 0.4, "orchestra hit": -1.1, "trumpet": 3.3,
    "trombone": 6.7, "tuba": 4.7, "muted trumpet": 4.5, "french horn": 1.6, "brass section": 3.1, "soprano sax": 3.0,
    "saxophone": 2.1, "oboe": 3.6, "bassoon": 2.3, "clarinet": 1.7, "piccolo": 4.0, "flute": 4.5, "pan flute": 2.1,
    "whistle": 9.3, "ocarina": 6.4, "square lead": 5.6, "saw lead": 3.0, "warm pad": -8.6, "polysynth": -4.3,
    "choir pad": 3.9, "bowed pad": 2.3, "halo pad": -0.5, "crystal": -5.3, "sitar": -2.2, "banjo": -0.8,
    "koto": -1.4, "kalimba": -2.7, "steel drums": -2.6, "honky-tonk piano": -4.8, "clavinet": -2.8,
    "glockenspiel": -2.0, "dulcimer": -6.9, "rock organ": 0.0, "harmonium": -0.3, "bandoneon": -0.8,
    "jazz guitar": -0.6, "muted guitar": -3.5, "overdriven guitar": 0.8, "picked bass": 2.6, "fretless bass": 2.7,
    "slap bass": -0.2, "deep synth bass": 8.0, "synth strings": 3.8, "synth brass": -1.0, "alto sax": 3.0,
    "baritone sax": -0.6, "english horn": -2.9, "recorder": 6.0, "shakuhachi": 4.3, "calliope lead": -2.7,
    "new age pad": -0.6, "sweep pad": 2.5, "shamisen": -7.7, "bagpipes": 6.1, "fiddle": 1.2, "drums": -1.4,
}  # fmt: skip
"""Loudness in dB of each sound of the bank against the median one, as `melfusion bank levels` measures it: single
notes at velocity 90 (drums: a rock beat), ITU-R BS.1770-4."""

HIT_BEATS = 0.5
"""For how much of a beat a drum counts as sounding, whatever its length."""

ROLE_DB = {"lead": 0.0, "counter": -5.0, "bass": -4.5, "drums": -4.5, "chords": -7.0, "pad": -10.0}
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
    if track.is_drum:
        sounding = HIT_BEATS * len(track.notes) / max(length, 1.0)
    else:
        rings = 1.5 if INSTRUMENTS[track.instrument].sustained else 0.7  # beats; plucked sounds die away
        sounding = sum(min(n.duration, rings) for n in track.notes) / max(length, 1.0)
    return LEVEL_DB[track.instrument] + 40 * np.log10(level / 90) + 10 * np.log10(max(sounding, 0.2))
