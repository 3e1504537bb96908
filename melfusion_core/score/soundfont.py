"""Reading SoundFonts (.sf2, and .sf3 whose samples are Ogg Vorbis): which samples a note plays, and how.

Names and units follow the SoundFont 2.04 specification; where FluidSynth departs from it on purpose (attenuation, no
filtering by velocity), so does this reader, since banks are voiced with FluidSynth. Modulators are not read.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from melfusion_core.score.riff import VORBIS, SoundFontError, Tables, read_tables, zones

DRUM_BANK = 128
"""Bank of the percussion kits."""

EMU_ATTENUATION = 0.4
"""Banks are tuned for the EMU8000 chip, on which the attenuation generator has this share of its written effect."""

_SECONDS = ("mod_lfo_delay", "vib_lfo_delay") + tuple(
    f"{envelope}_{stage}" for envelope in ("mod", "vol") for stage in ("delay", "attack", "hold", "decay", "release")
)
_DEFAULTS = dict.fromkeys(_SECONDS, -12000) | {"cutoff": 13500, "scale_tuning": 100, "root_key": -1}
_NOT_IN_PRESETS = frozenset({
    "loop_start", "loop_end", "loop_start_coarse", "loop_end_coarse",
    "keys", "velocities", "sample_modes", "exclusive_class", "root_key", "instrument", "sample",
})  # fmt: skip


@dataclass(frozen=True)
class Envelope:
    """An envelope: delay, attack, hold, decay to a level, release.

    Args:
        delay_s: silence before it starts, in seconds.
        attack_s: time to full level, in seconds.
        hold_s: time at full level for MIDI key 60, in seconds.
        decay_s: time of a decay through the whole range for key 60, in seconds.
        sustain: level after the decay, as a share of the whole range, 0 to 1.
        release_s: time of a release through the whole range, in seconds.
        hold_cents_per_key: by how much each key below 60 lengthens the hold, in timecents.
        decay_cents_per_key: likewise for the decay.
    """

    delay_s: float
    attack_s: float
    hold_s: float
    decay_s: float
    sustain: float
    release_s: float
    hold_cents_per_key: float = 0.0
    decay_cents_per_key: float = 0.0


@dataclass(frozen=True)
class Oscillator:
    """A slow triangle that moves a sound.

    Args:
        delay_s: time before it starts, in seconds.
        frequency_hz: its frequency.
        pitch_cents: how far it moves the pitch.
        cutoff_cents: how far it moves the cutoff of the filter.
        volume_db: how far it moves the volume.
    """

    delay_s: float
    frequency_hz: float
    pitch_cents: float
    cutoff_cents: float = 0.0
    volume_db: float = 0.0


@dataclass(frozen=True)
class Region:
    """One sample of a preset: when it plays, and how. Equal regions sound equal.

    Args:
        sample: number of the sample in its SoundFont.
        keys: lowest and highest MIDI key that play it.
        velocities: lowest and highest MIDI velocity that play it.
        looping: whether its loop is repeated.
        loop: first sample of the loop, and the one after its last.
        root_key: key at which it sounds as recorded.
        tuning_cents: what is added to its pitch.
        cents_per_key: 100 for a keyboard in semitones.
        gain_db: its level.
        pan: -0.5 (left) to 0.5 (right).
        cutoff_cents: cutoff of the low-pass filter, in cents above 8.176 Hz.
        resonance_db: height of the filter's peak.
        volume: envelope of its loudness.
        modulation: envelope that moves pitch and cutoff.
        envelope_pitch_cents: how far that one moves the pitch.
        envelope_cutoff_cents: how far it moves the cutoff.
        oscillators: what moves it while it sounds.
        exclusive_class: a note silences those of the same class (0: none), as a closed hi-hat does an open one.
    """

    sample: int
    keys: tuple[int, int]
    velocities: tuple[int, int]
    looping: bool
    loop: tuple[int, int]
    root_key: int
    tuning_cents: float
    cents_per_key: float
    gain_db: float
    pan: float
    cutoff_cents: float
    resonance_db: float
    volume: Envelope
    modulation: Envelope
    envelope_pitch_cents: float
    envelope_cutoff_cents: float
    oscillators: tuple[Oscillator, ...]
    exclusive_class: int


class SoundFont:
    """The presets of one or several files; samples are decoded when a note first needs them, and kept.

    Args:
        paths: files in SoundFont 2 or 3 format; of equal presets the first counts.

    Raises:
        SoundFontError: a file is missing or not a SoundFont.
    """

    def __init__(self, paths: Sequence[Path]):
        self.files = [read_tables(Path(path)) for path in paths]
        self._presets: dict[tuple[int, int], tuple[int, int]] = {}
        for number, tables in enumerate(self.files):
            for index, row in enumerate(tables.rows["phdr"][:-1]):
                self._presets.setdefault((int(row["bank"]), int(row["program"])), (number, index))
        self.regions = functools.lru_cache(maxsize=None)(self._regions)
        self.playing = functools.lru_cache(maxsize=8192)(self._playing)
        self.sample = functools.lru_cache(maxsize=512)(self._sample)

    @property
    def presets(self) -> Set[tuple[int, int]]:
        """Bank and program of every preset."""
        return self._presets.keys()

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the files, in their order: it names the sound in a recipe."""
        whole = hashlib.sha256()
        for tables in self.files:
            whole.update(hashlib.sha256(tables.path.read_bytes()).digest())
        return whole.hexdigest()

    def _regions(self, bank: int, program: int) -> tuple[Region, ...]:
        """Regions of a preset, in the order of the file."""
        if (bank, program) not in self._presets:
            what = f"percussion kit {program}" if bank == DRUM_BANK else f"sound {program} in bank {bank}"
            raise SoundFontError(f"The SoundFont has no {what}.")
        number, index = self._presets[bank, program]
        tables = self.files[number]
        found = []
        for outer in zones(tables, "p", index):
            for inner in zones(tables, "i", outer["instrument"]):
                region = _region(tables, number, outer, inner)
                if region is not None:
                    found.append(region)
        return tuple(found)

    def _playing(self, bank: int, program: int, key: int, velocity: int) -> tuple[Region, ...]:
        """Regions that a key struck at a velocity plays; none where the preset has a gap."""
        return tuple(
            region
            for region in self.regions(bank, program)
            if region.keys[0] <= key <= region.keys[1] and region.velocities[0] <= velocity <= region.velocities[1]
        )

    def _sample(self, number: int) -> tuple[np.ndarray, float]:
        """Sound of a sample as float32 of shape (samples,), and its rate in Hz."""
        tables, row = self.files[number >> 16], self.files[number >> 16].rows["shdr"][number & 0xFFFF]
        start, end = int(row["start"]), int(row["end"])
        width = 1 if row["type"] & VORBIS else 2
        with tables.path.open("rb") as file:
            file.seek(tables.samples_start + width * start)
            data = file.read(width * (end - start))
        if width == 2:
            return np.frombuffer(data, "<i2").astype(np.float32) / 32768, float(row["rate"])
        try:
            sound, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        except soundfile.LibsndfileError as error:
            raise SoundFontError(f"A sample of {tables.path.name} cannot be decoded: {error}") from error
        return sound, float(row["rate"])


def _span(zone: dict[str, int], name: str) -> tuple[int, int]:
    """Lowest and highest key or velocity, which a generator holds in one byte each."""
    amount = zone.get(name, 0x7F00)
    return amount & 0x7F, (amount >> 8) & 0x7F


def _region(tables: Tables, number: int, outer: dict[str, int], inner: dict[str, int]) -> Region | None:
    """What a zone of a preset and one of its instrument give together; nothing when they never meet."""
    value = _DEFAULTS | inner
    for name, amount in outer.items():
        if name not in _NOT_IN_PRESETS:
            value[name] = value.get(name, 0) + amount
    spans = [_span(inner, name) + _span(outer, name) for name in ("keys", "velocities")]
    keys, velocities = ((max(a, c), min(b, d)) for a, b, c, d in spans)
    row = tables.rows["shdr"][inner["sample"]]
    if keys[0] > keys[1] or velocities[0] > velocities[1] or row["type"] & 0x8000:
        return None

    def get(name: str) -> int:
        return value.get(name, 0)

    def seconds(name: str) -> float:
        if name.endswith(("delay", "hold")) and value[name] <= -12000:
            return 0.0  # the format's least, a millisecond, stands for none
        return 2.0 ** (max(value[name], -12000) / 1200)

    def envelope(kind: str) -> Envelope:
        return Envelope(
            delay_s=seconds(f"{kind}_delay"),
            attack_s=seconds(f"{kind}_attack"),
            hold_s=seconds(f"{kind}_hold"),
            decay_s=seconds(f"{kind}_decay"),
            sustain=min(max(1.0 - get(f"{kind}_sustain") / 1000, 0.0), 1.0),
            release_s=seconds(f"{kind}_release"),
            hold_cents_per_key=get(f"{kind}_key_hold"),
            decay_cents_per_key=get(f"{kind}_key_decay"),
        )

    def hertz(name: str) -> float:
        return 8.176 * 2.0 ** (get(name) / 1200)

    origin = 0 if row["type"] & VORBIS else int(row["start"])  # loops count from the start of a Vorbis sample
    begin, end = (
        int(row[name]) - origin + get(name) + 32768 * get(f"{name}_coarse") for name in ("loop_start", "loop_end")
    )
    slow = (
        Oscillator(
            seconds("mod_lfo_delay"), hertz("mod_lfo_frequency"), get("mod_lfo_to_pitch"), get("mod_lfo_to_cutoff"),
            get("mod_lfo_to_volume") / 10,
        ),
        Oscillator(seconds("vib_lfo_delay"), hertz("vib_lfo_frequency"), get("vib_lfo_to_pitch")),
    )  # fmt: skip
    return Region(
        sample=(number << 16) + inner["sample"],
        keys=keys,
        velocities=velocities,
        looping=get("sample_modes") in (1, 3) and end - begin > 1,
        loop=(begin, end),
        root_key=int(row["key"]) if value["root_key"] < 0 else value["root_key"],
        tuning_cents=100 * get("coarse_tune") + get("fine_tune") + int(row["correction"]),
        cents_per_key=value["scale_tuning"],
        gain_db=-EMU_ATTENUATION * get("attenuation") / 10,
        pan=min(max(get("pan"), -500), 500) / 1000,
        cutoff_cents=min(max(value["cutoff"], 1500), 13500),
        resonance_db=min(max(get("resonance"), 0), 960) / 10,
        volume=envelope("vol"),
        modulation=envelope("mod"),
        envelope_pitch_cents=get("mod_env_to_pitch"),
        envelope_cutoff_cents=get("mod_env_to_cutoff"),
        oscillators=tuple(o for o in slow if o.pitch_cents or o.cutoff_cents or o.volume_db),
        exclusive_class=get("exclusive_class"),
    )
