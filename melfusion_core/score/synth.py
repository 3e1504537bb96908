"""From a score to stereo sound, with one stem for each role.

From note to sound in three steps. First a note becomes a *played note* (`performance`): seconds instead of beats, with
a little unevenness that the score's seed decides. Then the SoundFont says which *regions* (`soundfont`) its key and
velocity play, and each region gives its key's *tone* (`voice`): the recording brought to pitch, looped, filtered and
moved by its oscillators. It is made once for all notes of the piece that share it. Last, every note takes from its
tone what it needs, shaped by the volume envelope and the release, and adds it to the *stem* of its role, at its exact
sample and its place between left and right. A stem then gets the answer of the room (`reverb`), and the mix is the sum
of the stems.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyloudnorm

from melfusion_core.score.bank import default_soundfont
from melfusion_core.score.performance import Humanise, Part, perform
from melfusion_core.score.reverb import add_room, impulse_response
from melfusion_core.score.score import ROLES, Score
from melfusion_core.score.soundfont import DRUM_BANK, Region, SoundFont
from melfusion_core.score.voice import fade, loudness_curve, release_curve, tone

SAMPLE_RATE = 44100
SAMPLE_RATES_HZ = (8000, 96000)
LONGEST_S = 300.0
MOST_SOUND_S = 50_000.0
"""Longer pieces, and pieces whose notes together sound longer, are refused: they would need gigabytes or minutes."""

LOUDNESS_LUFS = -18.0
PEAK_DB = -1.0

CHOKE_S = 0.89
"""How long an open hi-hat takes to fall through the whole range once the closed one is struck."""

SILENCE_DB = -80.0
"""What is this far below the peak at the end of a piece is not kept."""

REVERB_OFF_DB = -60.0
"""A softer room is left out."""

NOMINAL_GAIN = 0.2
"""Keeps the stems of a full ensemble below full scale."""


class SynthError(ValueError):
    """A score or a mix that cannot be rendered; the message is meant for people."""


REVERB_DB: Mapping[str, float] = {
    "lead": -12.0, "counter": -11.0, "chords": -13.0, "pad": -11.0, "bass": -26.0, "drums": -19.0,
}  # fmt: skip
"""Level of the room beside each role's dry sound."""


@dataclass(frozen=True)
class Channel:
    """How one role is mixed, against how it is mixed otherwise.

    Args:
        gain_db: added to its level, -60 to 24 dB.
        pan: moves it in the stereo image, -1 (left) to 1 (right).
        reverb_db: added to its level in the room, -60 (dry) to 24 dB.
        mute: whether it is silent.
        solo: whether only this one and others with solo are heard.

    Raises:
        SynthError: a number is outside its limits.
    """

    gain_db: float = 0.0
    pan: float = 0.0
    reverb_db: float = 0.0
    mute: bool = False
    solo: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, low, high in (("gain_db", -60, 24), ("pan", -1, 1), ("reverb_db", -60, 24)):
            if not low <= getattr(self, name) <= high:
                raise SynthError(f"{name} must be from {low} to {high}, not {getattr(self, name)}.")


@dataclass(frozen=True)
class Mix:
    """How the roles are mixed.

    Args:
        channels: the roles that are mixed otherwise than usual.

    Raises:
        SynthError: a role does not exist.
    """

    channels: Mapping[str, Channel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the roles."""
        for role in self.channels:
            _check_role(role)

    def channel(self, role: str) -> Channel:
        """How a role is mixed.

        Args:
            role: one of `ROLES`.
        """
        return self.channels.get(role, Channel())

    def heard(self, role: str) -> bool:
        """Whether a role sounds.

        Args:
            role: one of `ROLES`.
        """
        solo = any(channel.solo for channel in self.channels.values())
        channel = self.channel(role)
        return not channel.mute and (channel.solo or not solo)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise SynthError(f"There is no role {role!r}; the roles are {', '.join(ROLES)}.")


@dataclass(frozen=True)
class RenderedScore:
    """A score as sound, before its final gain.

    Args:
        stems: sound by role, each float32 of shape (2, samples), in the order of `ROLES`; all have one length.
        sample_rate: samples per second.
    """

    stems: dict[str, np.ndarray]
    sample_rate: int

    @functools.cached_property
    def mix(self) -> np.ndarray:
        """The stems added one by one in their order: float32 of shape (2, samples)."""
        return add_stems(self.stems)


def add_stems(stems: Mapping[str, np.ndarray]) -> np.ndarray:
    """Add stems one by one in their order, as the mix is defined.

    Args:
        stems: sound by role, each float32 of shape (2, samples); at least one.
    """
    first, *others = stems.values()
    total = first.copy()
    for stem in others:
        total += stem
    return total


def loudness_gain(
    sound: np.ndarray, sample_rate: int, loudness_lufs: float = LOUDNESS_LUFS, peak_db: float = PEAK_DB
) -> float:
    """Factor that brings a sound to a loudness, or less where its peak would pass a ceiling.

    Args:
        sound: float32 of shape (2, samples) or (samples,), at least 0.4 s long.
        sample_rate: samples per second.
        loudness_lufs: wanted loudness after ITU-R BS.1770-4.
        peak_db: highest sample allowed, in dB below full scale.

    Raises:
        SynthError: the sound is silent, or too short to have a loudness.
    """
    if sound.shape[-1] < 0.4 * sample_rate:
        raise SynthError("Loudness needs at least 0.4 s of sound.")
    peak = float(np.abs(sound).max())
    if peak < 1e-6:
        raise SynthError("The sound is silent.")
    loudness = pyloudnorm.Meter(sample_rate).integrated_loudness(sound.T.astype(np.float64))
    if not np.isfinite(loudness):
        raise SynthError("The sound is too soft to have a loudness.")
    return min(10 ** ((loudness_lufs - loudness) / 20), 10 ** (peak_db / 20) / peak)


def render_score(
    score: Score,
    *,
    sample_rate: int = SAMPLE_RATE,
    mix: Mix | None = None,
    humanise: Humanise | None = None,
    soundfont: SoundFont | None = None,
) -> RenderedScore:
    """Play a score; the last notes and the room ring out.

    Args:
        score: what to play; the same score gives the same sound, bit for bit.
        sample_rate: samples per second.
        mix: how the roles are mixed.
        humanise: how uneven the playing is.
        soundfont: what plays; by default the bank that comes with the package.

    Raises:
        SynthError: there is nothing to play, or a track's role is not one of `ROLES`.
        SoundFontError: the SoundFont lacks an instrument, or is not there.
    """
    mix, soundfont = mix or Mix(), soundfont or default_soundfont()
    if not SAMPLE_RATES_HZ[0] <= sample_rate <= SAMPLE_RATES_HZ[1]:
        raise SynthError("The sample rate must be from {} to {} Hz, not {}.".format(*SAMPLE_RATES_HZ, sample_rate))
    struck: dict[str, list[_Strike]] = {role: [] for role in ROLES}
    for part in perform(score, humanise):
        role = part.track.role
        _check_role(role)
        if mix.heard(role):
            struck[role] += _strikes(part, soundfont, mix.channel(role), sample_rate)
    voices = {role: _voices(strikes, soundfont, sample_rate) for role, strikes in struck.items() if strikes}
    if not voices:
        raise SynthError("There is nothing to play: no role that is heard has notes.")
    _check_size([voice for several in voices.values() for voice in several], sample_rate)
    end = max(voice.end for several in voices.values() for voice in several)
    stems = {}
    for role, several in voices.items():
        stems[role] = np.zeros((2, end + impulse_response(sample_rate).shape[1]), np.float32)
        for voice in several:
            _add_voice(stems[role], voice, soundfont, sample_rate)
        room_db = REVERB_DB[role] + mix.channel(role).reverb_db
        if room_db > REVERB_OFF_DB:
            add_room(stems[role], 10 ** (room_db / 20), sample_rate)
    return RenderedScore(_without_silence(stems), sample_rate)


@dataclass
class _Strike:
    """One note on one region, in samples."""

    region: Region
    key: int
    start: int
    held: int
    gains: tuple[np.float32, np.float32]
    choked: int | None = None  # samples after its start


def _strikes(part: Part, soundfont: SoundFont, channel: Channel, sample_rate: int) -> list[_Strike]:
    """What a part strikes, in the order of its notes."""
    track = part.track
    bank, program = (DRUM_BANK, track.program) if track.is_drum else (0, track.program)
    if track.is_drum and (bank, program) not in soundfont.presets:
        program = 0  # General MIDI knows one kit
    level = NOMINAL_GAIN * 10 ** ((track.gain_db + channel.gain_db) / 20)
    strikes = []
    for note in part.notes:
        start = round(note.start_s * sample_rate)
        held = max(round(note.end_s * sample_rate) - start, 1)
        for region in soundfont.playing(bank, program, note.pitch, note.velocity):
            gain = level * (note.velocity / 127) ** 2 * 10 ** (region.gain_db / 20)
            place = min(max(region.pan + part.pan + channel.pan / 2, -0.5), 0.5)
            left, right = (np.float32(gain * np.sin((0.5 + side * place) * np.pi / 2)) for side in (-1, 1))
            strikes.append(_Strike(region, note.pitch, start, held, (left, right)))
    _choke(strikes)
    return strikes


def _choke(strikes: list[_Strike]) -> None:
    """Let every strike end the earlier ones of its exclusive class."""
    sounding: dict[int, list[_Strike]] = {}
    for strike in sorted((s for s in strikes if s.region.exclusive_class), key=lambda s: s.start):
        group = sounding.setdefault(strike.region.exclusive_class, [])
        if group and group[0].start < strike.start:
            for earlier in group:
                earlier.choked = strike.start - earlier.start
            group.clear()
        group.append(strike)


@dataclass(frozen=True)
class _Voice:
    """One key of a region, and all its notes."""

    region: Region
    key: int
    release: np.ndarray
    strikes: list[_Strike]

    @property
    def end(self) -> int:
        return max(strike.start + strike.held for strike in self.strikes) + len(self.release)


def _voices(strikes: list[_Strike], soundfont: SoundFont, sample_rate: int) -> list[_Voice]:
    """Strikes by what they play, in the order of their first ones."""
    groups: dict[tuple[int, int], list[_Strike]] = {}
    for strike in strikes:
        groups.setdefault((id(strike.region), strike.key), []).append(strike)
    return [
        _Voice(group[0].region, key, release_curve(soundfont, group[0].region, sample_rate), group)
        for (_, key), group in groups.items()
    ]


def _check_size(voices: list[_Voice], sample_rate: int) -> None:
    """Refuse what would need too much memory or time."""
    end_s = max(voice.end for voice in voices) / sample_rate
    if end_s > LONGEST_S:
        raise SynthError(f"The score lasts {end_s:.0f} s, and at most {LONGEST_S:.0f} s can be rendered.")
    sounding = sum(strike.held + len(voice.release) for voice in voices for strike in voice.strikes)
    if sounding > MOST_SOUND_S * sample_rate:
        raise SynthError("The score has too many long notes to be rendered.")


def _add_voice(stem: np.ndarray, voice: _Voice, soundfont: SoundFont, sample_rate: int) -> None:
    """Add the notes of a voice to a stem of shape (2, samples)."""
    release, choke = voice.release, fade(CHOKE_S, sample_rate)
    longest = max(strike.held for strike in voice.strikes)
    sound = tone(soundfont, voice.region, voice.key, longest + len(release), sample_rate)
    envelope = loudness_curve(voice.region.volume, voice.key, longest + 1, sample_rate)
    held_sound = sound[:longest] * envelope[: len(sound)][:longest]
    for strike in voice.strikes:
        held = strike.held
        piece = np.concatenate([held_sound[:held], sound[held : held + len(release)]])
        piece[held:] *= release[: max(len(piece) - held, 0)] * envelope[held]
        if strike.choked is not None:
            piece = piece[: strike.choked + len(choke)]
            piece[strike.choked :] *= choke[: max(len(piece) - strike.choked, 0)]
        for channel, gain in zip(stem, strike.gains, strict=True):
            channel[strike.start : strike.start + len(piece)] += gain * piece


def _without_silence(stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Stems of one length without the silence at their common end."""
    floor = max(float(np.abs(stem).max()) for stem in stems.values()) * 10 ** (SILENCE_DB / 20)
    ends = [np.flatnonzero((np.abs(stem) > floor).any(axis=0))[-1:] for stem in stems.values()]
    length = int(max(np.concatenate(ends), default=-1)) + 1
    for role, stem in stems.items():  # one at a time: they are large
        stems[role] = np.ascontiguousarray(stem[:, :length])
    return stems
