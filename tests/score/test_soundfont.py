"""Reading SoundFonts: zones, units, bounds; and the bank of the package."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.score.bank import BANK_FOLDER, LARGEST_FILE_BYTES, cut_bank, default_soundfont
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.riff import SoundFontError, read_tables
from melfusion_core.score.soundfont import DRUM_BANK, SoundFont
from tests import system
from tests.score.tiny_soundfont import ROOT, sine, soundfont_bytes, span, tiny_soundfont


def test_units_of_the_specification(tmp_path):
    zone = {
        "pan": -250, "attenuation": 100, "vol_attack": 0, "vol_decay": 1200, "vol_sustain": 400, "vol_release": -1200,
        "cutoff": 6900, "resonance": 60, "coarse_tune": -12, "fine_tune": 7, "scale_tuning": 50, "exclusive_class": 3,
        "vib_lfo_to_pitch": 20, "vib_lfo_frequency": -1200, "mod_lfo_to_volume": 30, "root_key": 60,
    }  # fmt: skip
    [region] = tiny_soundfont(tmp_path, zone).regions(0, 0)
    assert region.pan == -0.25 and region.gain_db == pytest.approx(-4.0)  # 10 dB, of which 40 % count
    assert region.volume.attack_s == 1.0 and region.volume.decay_s == 2.0 and region.volume.release_s == 0.5
    assert region.volume.sustain == pytest.approx(0.6)
    assert region.cutoff_cents == 6900 and region.resonance_db == 6.0 and region.exclusive_class == 3
    assert region.tuning_cents == -1193 and region.cents_per_key == 50 and region.root_key == 60
    tremolo, vibrato = region.oscillators
    assert tremolo.volume_db == 3.0 and tremolo.pitch_cents == 0
    assert vibrato.pitch_cents == 20 and vibrato.frequency_hz == pytest.approx(4.088)


def test_defaults_of_the_specification(tmp_path):
    [region] = tiny_soundfont(tmp_path, {"sample_modes": 0}).regions(0, 0)
    assert region.volume.release_s == pytest.approx(2**-10) and region.volume.sustain == 1.0
    assert region.cutoff_cents == 13500 and region.root_key == ROOT and not region.looping
    assert region.oscillators == () and region.keys == (0, 127)


def test_keys_and_velocities_choose_regions(tmp_path):
    low, high = {"keys": span(0, 59)}, {"keys": span(60, 127)}
    soft = high | {"velocities": span(1, 63), "fine_tune": 1}
    loud = high | {"velocities": span(64, 127), "fine_tune": 2}
    soundfont = tiny_soundfont(tmp_path, low, soft, loud)
    chosen = {(k, v): [r.tuning_cents for r in soundfont.playing(0, 0, k, v)] for k in (59, 60) for v in (63, 64)}
    assert chosen == {(59, 63): [0], (59, 64): [0], (60, 63): [1], (60, 64): [2]}


def test_samples_come_back(tmp_path):
    soundfont = tiny_soundfont(tmp_path)
    [region] = soundfont.regions(0, 0)
    sound, rate = soundfont.sample(region.sample)
    assert rate == 44100 and sound.dtype == np.float32
    np.testing.assert_allclose(sound, sine(), atol=1 / 32768)
    assert region.loop == (1000, 5000)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(SoundFontError, match="There is no SoundFont at"):
        SoundFont([tmp_path / "none.sf2"])
    path = tmp_path / "bad.sf2"
    whole = soundfont_bytes({(0, 0): [{"sample": 0}]}, [sine()])
    for data in (b"", b"RIFF", b"no SoundFont at all", whole[:-100], whole[:40]):
        path.write_bytes(data)
        with pytest.raises(SoundFontError, match="bad.sf2 cannot be read"):
            SoundFont([path])
    path.write_bytes(whole)
    with pytest.raises(SoundFontError, match="no sound 5 in bank 0"):
        SoundFont([path]).regions(0, 5)
    with pytest.raises(SoundFontError, match="no percussion kit 0"):
        SoundFont([path]).regions(DRUM_BANK, 0)


def test_a_cut_keeps_the_sound_and_fits(tmp_path):
    sounds = [sine(20 + i) * (1 - 0.1 * i) for i in range(4)]
    presets = {(0, i): [{"sample": i, "sample_modes": 1, "fine_tune": i}] for i in range(3)}
    presets[128, 0] = [{"sample": 2}, {"sample": 3}]  # shares a sample with program 2
    path = tmp_path / "whole.sf2"
    path.write_bytes(soundfont_bytes(presets, sounds))
    largest = 12_000
    paths = cut_bank(path, tmp_path / "cut", [(0, 0), (0, 2), (128, 0)], largest)
    assert len(paths) > 1 and all(p.stat().st_size <= largest for p in paths)
    whole, cut = SoundFont([path]), SoundFont(paths)
    assert set(cut.presets) == {(0, 0), (0, 2), (128, 0)}
    for preset in cut.presets:
        for before, after in zip(whole.regions(*preset), cut.regions(*preset), strict=True):
            assert before.tuning_cents == after.tuning_cents and before.loop == after.loop
            np.testing.assert_array_equal(whole.sample(before.sample)[0], cut.sample(after.sample)[0])
    assert sum(len(read_tables(p).rows["shdr"]) - 1 for p in paths) == 3, "a shared sample is written once"
    assert "free for all" in (tmp_path / "cut" / "LICENSE.txt").read_text()
    with pytest.raises(SoundFontError, match="lacks bank 0, program 9"):
        cut_bank(path, tmp_path / "cut", [(0, 9)])
    with pytest.raises(SoundFontError, match="do not fit"):
        cut_bank(path, tmp_path / "cut", [(0, 0)], 3000)


def test_the_hash_names_the_content(tmp_path):
    one = tiny_soundfont(tmp_path)
    before = one.sha256
    assert before == SoundFont([tmp_path / "tiny.sf2"]).sha256
    assert before != tiny_soundfont(tmp_path, {"pan": 1}).sha256


def test_the_bank_of_the_package_is_whole():
    soundfont = default_soundfont()
    assert soundfont is default_soundfont()
    assert {(0, program) for program in range(128)} | {(DRUM_BANK, 0)} <= set(soundfont.presets)
    assert all(path.stat().st_size <= LARGEST_FILE_BYTES for path in BANK_FOLDER.iterdir())
    notice = (BANK_FOLDER / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Frank Wen" in notice and "Michael Cowgill" in notice and "Permission is hereby granted" in notice
    for row in INSTRUMENTS.values():
        for key in range(row.low, row.high + 1):
            assert soundfont.playing(0, row.program, key, 90), f"{row.name} has no sound at {key}"


def test_the_bank_is_cut_from_debians(tmp_path):
    source = system.require_file("/usr/share/sounds/sf3/FluidR3Mono_GM.sf3", package="fluidr3mono-gm-soundfont")
    paths = cut_bank(source, tmp_path)
    assert SoundFont(paths).sha256 == default_soundfont().sha256
