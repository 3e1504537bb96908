"""The sound of one key, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.score.soundfont import Envelope, Oscillator
from melfusion_core.score.voice import envelope_curve, fade, loudness_curve, lowpass, tone, triangle
from tests.score.tiny_soundfont import RATE, sine, tiny_soundfont


def frequency_hz(sound: np.ndarray, rate: int = RATE) -> float:
    """Strongest frequency above 20 Hz, by a parabola through the peak of the log spectrum."""
    spectrum = np.log(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound))) + 1e-12)
    lowest = round(20 * 8 * len(sound) / rate)
    peak = lowest + int(spectrum[lowest:].argmax())
    a, b, c = spectrum[peak - 1 : peak + 2]
    return (peak + 0.5 * (a - c) / (a - 2 * b + c)) * rate / (8 * len(sound))


@pytest.mark.parametrize("key", [45, 60, 69, 70, 90])
@pytest.mark.parametrize("rate", [44100, 48000, 32000])
def test_a_key_has_its_pitch(tmp_path, key, rate):
    soundfont = tiny_soundfont(tmp_path, {"fine_tune": 5})
    [region] = soundfont.regions(0, 0)
    sound = tone(soundfont, region, key, rate, rate)
    assert sound.shape == (rate,) and sound.dtype == np.float32
    wanted = 441 * 2 ** ((key - 69 + 0.05) / 12)
    assert abs(1200 * np.log2(frequency_hz(sound, rate) / wanted)) < 0.5
    assert np.abs(sound[1000:-1000]).max() == pytest.approx(0.5 * 10 ** (3.01 / 40), rel=0.01)


def test_loops_have_no_seam(tmp_path):
    soundfont = tiny_soundfont(tmp_path)
    [region] = soundfont.regions(0, 0)
    sound = tone(soundfont, region, 69, 3 * RATE, RATE)
    turns = np.arange(len(sound)) / 100
    phase = np.angle(np.sum(sound[:RATE] * np.exp(-2j * np.pi * turns[:RATE])))
    clean = np.abs(sound).max() * np.cos(2 * np.pi * turns + phase)
    assert np.abs(sound - clean)[100:-100].max() < 2e-3


def test_a_sample_without_loop_ends(tmp_path):
    soundfont = tiny_soundfont(tmp_path, {"sample_modes": 0})
    [region] = soundfont.regions(0, 0)
    assert len(tone(soundfont, region, 69, RATE, RATE)) == pytest.approx(5000, abs=2)
    assert len(tone(soundfont, region, 81, RATE, RATE)) == pytest.approx(2500, abs=2)


def test_vibrato_moves_the_pitch_by_its_depth(tmp_path):
    zone = {"vib_lfo_to_pitch": 50, "vib_lfo_frequency": -3631}  # 1 Hz
    soundfont = tiny_soundfont(tmp_path, zone)
    [region] = soundfont.regions(0, 0)
    sound = tone(soundfont, region, 69, RATE, RATE)
    for middle, cents in ((0.25, 45), (0.5, 0), (0.75, -45)):  # mean over 0.1 s around the triangle's corners
        part = sound[round((middle - 0.05) * RATE) : round((middle + 0.05) * RATE)]
        assert 1200 * np.log2(frequency_hz(part) / 441) == pytest.approx(cents, abs=3)


def test_tremolo_moves_the_volume(tmp_path):
    soundfont = tiny_soundfont(tmp_path, {"mod_lfo_to_volume": 60, "mod_lfo_frequency": -3631})
    [region] = soundfont.regions(0, 0)
    sound = np.abs(tone(soundfont, region, 69, RATE, RATE))
    up, down = (sound[round(t * RATE) - 100 : round(t * RATE) + 100].max() for t in (0.25, 0.75))
    assert 20 * np.log10(up / down) == pytest.approx(12, abs=0.3)


def test_the_filter_is_the_formula():
    numerator, denominator = lowpass(1000.0, 2**-0.5, RATE)
    response = np.abs(np.polyval(numerator[::-1], np.exp(-2j * np.pi * np.array([1, 1000, 4000]) / RATE)))
    response /= np.abs(np.polyval(denominator[::-1], np.exp(-2j * np.pi * np.array([1, 1000, 4000]) / RATE)))
    levels = 20 * np.log10(response / response[0])
    assert levels[1] == pytest.approx(-3.01, abs=0.05) and levels[2] == pytest.approx(-24.1, abs=1.0)


def test_a_low_cutoff_takes_the_sound_away(tmp_path):
    levels = []
    for cutoff in (13500, 6900, 4500):  # open, 440 Hz, 110 Hz
        soundfont = tiny_soundfont(tmp_path, {"cutoff": cutoff})
        [region] = soundfont.regions(0, 0)
        levels.append(20 * np.log10(np.abs(tone(soundfont, region, 69, RATE, RATE)[20000:]).max()))
    assert levels[1] - levels[0] == pytest.approx(-3.0, abs=0.2)
    assert levels[2] - levels[0] == pytest.approx(-24.1, abs=0.7)


def test_an_envelope_opens_the_filter(tmp_path):
    zone = {"cutoff": 4500, "mod_env_to_cutoff": 9000, "mod_attack": 0}
    soundfont = tiny_soundfont(tmp_path, zone)
    [region] = soundfont.regions(0, 0)
    sound = np.abs(tone(soundfont, region, 69, 2 * RATE, RATE))
    assert sound[: RATE // 200].max() < 0.15 < 0.45 < sound[RATE:].max()
    assert np.isfinite(sound).all()


def test_loudness_follows_the_stages():
    envelope = Envelope(0.1, 0.2, 0.1, 1.0, 0.75, 0.5)
    curve = loudness_curve(envelope, 60, 2 * RATE, RATE)
    at = {t: curve[round(t * RATE)] for t in (0.05, 0.2, 0.3, 0.35, 0.5, 1.5)}
    assert at[0.05] == 0 and at[0.2] == pytest.approx(0.5, abs=1e-3) and at[0.3] == pytest.approx(1.0, abs=1e-3)
    assert at[0.35] == pytest.approx(1.0)
    assert 20 * np.log10(at[0.5]) == pytest.approx(-9.6, abs=0.02)  # a tenth of a decay through 96 dB
    assert 20 * np.log10(at[1.5]) == pytest.approx(-24.0, abs=0.02)  # sustained at a quarter of it
    assert envelope_curve(envelope, 60, np.array([0.05, 0.3, 0.5, 1.5])) == pytest.approx([0, 1, 0.9, 0.75])


def test_higher_keys_decay_faster_where_a_zone_asks_for_it():
    envelope = Envelope(0.0, 0.001, 0.001, 1.0, 0.0, 0.1, decay_cents_per_key=100.0)
    low, high = (loudness_curve(envelope, key, RATE, RATE)[RATE // 4] for key in (60, 72))
    assert 20 * np.log10(low) == pytest.approx(-24, abs=0.3) and 20 * np.log10(high) == pytest.approx(-48, abs=0.6)


def test_fades_fall_evenly():
    curve = fade(1.0, RATE)
    assert 20 * np.log10(curve[[0, RATE // 2]]) == pytest.approx([0, -48], abs=0.01) and curve[-1] == 0
    shorter = fade(1.0, RATE, 48.0)
    assert len(shorter) == RATE // 2 and 20 * np.log10(shorter[RATE // 4]) == pytest.approx(-24, abs=0.01)
    with pytest.raises(ValueError, match="read-only"):
        curve[0] = 0


def test_triangle():
    oscillator = Oscillator(0.5, 2.0, 10.0)
    times = np.array([0.0, 0.5, 0.625, 0.75, 0.875, 1.0])
    assert triangle(oscillator, times) == pytest.approx([0, 0, 1, 0, -1, 0])


def test_sines_for_tests_are_what_they_say():
    assert frequency_hz(sine(400)) == pytest.approx(441, abs=0.01)
