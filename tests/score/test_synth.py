"""Scores as sound: onsets, pitches, stems, tails, mixing, determinism; and the likeness to FluidSynth."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import mido
import numpy as np
import pytest
import scipy.signal
import soundfile

from melfusion_core.data.composer import compose
from melfusion_core.data.renderer import scores_to_midi
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.levels import measure_drums, measure_level
from melfusion_core.score.mixing import LEVEL_DB
from melfusion_core.score.performance import Humanise, metre_accent, perform
from melfusion_core.score.reverb import add_room, impulse_response
from melfusion_core.score.score import ROLES, Note, Score, Track
from melfusion_core.score.synth import (
    NOMINAL_GAIN,
    Channel,
    Mix,
    SynthError,
    add_stems,
    loudness_gain,
    render_score,
)
from melfusion_core.score.voice import HEARD_DB, RANGE_DB
from tests import system
from tests.score.test_voice import frequency_hz
from tests.score.tiny_soundfont import RATE, span, tiny_soundfont

EXACT = Humanise(0.0, 0.0)
DRY = Mix({role: Channel(reverb_db=-60.0) for role in ROLES})


def a_score(*tracks: Track, tempo_bpm: float = 60.0, **more) -> Score:
    return Score(list(tracks), tempo_bpm, 4, 0, "major", "", "", "", 7, **more)


def a_track(*notes: Note, role: str = "lead", program: int = 0, is_drum: bool = False, **more) -> Track:
    return Track("drums" if is_drum else "piano", program, list(notes), is_drum, role, **more)


def find_band() -> Score:
    """A composed piece with at least four roles."""
    pieces = (compose(np.random.default_rng(seed), 0.6, 0.8, "band", 4.0, "full") for seed in range(40))
    return next(score for score in pieces if len({track.role for track in score.tracks}) >= 4)


@pytest.fixture(scope="module")
def band() -> Score:
    return find_band()


@pytest.fixture(scope="module")
def rendered(band):
    return render_score(band)


def test_notes_start_at_their_sample(tmp_path):
    soundfont = tiny_soundfont(tmp_path, sound=np.ones(5000))
    track = a_track(Note(0.0, 0.1, 60, 90), Note(1.25, 0.1, 64, 90), Note(2.999, 0.1, 60, 90))
    mix = render_score(a_score(track, tempo_bpm=97.0), mix=DRY, humanise=EXACT, soundfont=soundfont).mix
    for beat in (0.0, 1.25, 2.999):
        start = beat * 60 / 97
        before = mix[:, max(round((start - 0.002) * RATE), 0) : round(start * RATE)]
        after = mix[:, round(start * RATE) : round((start + 0.002) * RATE)]
        assert not before.size or np.abs(before).max() < 1e-5
        assert np.abs(after).max() > 0.02


def test_hats_and_mallets_start_in_time():
    for track in (a_track(Note(0.5, 0.3, 42, 100), is_drum=True), a_track(Note(0.5, 0.3, 72, 100), program=13)):
        mix = np.abs(render_score(a_score(track), mix=DRY, humanise=EXACT).mix).max(axis=0)
        onset = int(np.flatnonzero(mix > 0.05 * mix.max())[0]) / RATE
        assert abs(onset - 0.5) < 0.002


@pytest.mark.parametrize("name", ["piano", "organ", "acoustic guitar", "vibraphone", "trumpet", "clarinet"])
def test_instruments_are_in_tune(name):
    """Against equal temperament; instruments recorded with vibrato are compared with FluidSynth below."""
    row = INSTRUMENTS[name]
    for share in (0.3, 0.6):
        pitch = round(row.low + share * (row.high - row.low))
        track = a_track(Note(0.0, 1.5, pitch, 90), program=row.program)
        sound = render_score(a_score(track), mix=DRY, humanise=EXACT).mix.mean(axis=0)[RATE // 4 : 5 * RATE // 4]
        wanted = 440 * 2 ** ((pitch - 69) / 12)
        band = scipy.signal.butter(4, [wanted * 0.8, wanted * 1.25], "bandpass", fs=RATE, output="sos")
        heard = frequency_hz(scipy.signal.sosfilt(band, sound))
        assert abs(1200 * np.log2(heard / wanted)) < 10


def test_levels_are_in_closed_form(tmp_path):
    soundfont = tiny_soundfont(tmp_path)
    peak = 0.5 * 10 ** (3.01 / 40) * NOMINAL_GAIN / 2**0.5
    for velocity, gain_db in ((127, 0.0), (64, 0.0), (127, -6.0)):
        track = a_track(Note(0.0, 1.0, 69, velocity), gain_db=gain_db)
        mix = render_score(a_score(track), mix=DRY, humanise=EXACT, soundfont=soundfont).mix
        wanted = peak * (velocity / 127) ** 2 * 10 ** (gain_db / 20)
        assert np.abs(mix).max(axis=1) == pytest.approx([wanted, wanted], rel=0.01)


def test_the_last_note_rings_out(tmp_path):
    soundfont = tiny_soundfont(tmp_path, {"vol_release": 1200})  # 96 dB in two seconds
    mix = render_score(a_score(a_track(Note(0.0, 1.0, 69, 100))), mix=DRY, humanise=EXACT, soundfont=soundfont).mix
    level = [20 * np.log10(np.abs(mix[0, round(t * RATE) :][:441]).max()) for t in (0.9, 1.5, 1.8)]
    assert level[0] - level[1] == pytest.approx(RANGE_DB / 4, abs=0.6)
    assert level[0] - level[2] == pytest.approx(RANGE_DB * 0.4, abs=0.6)
    assert mix.shape[1] / RATE == pytest.approx(1.0 + 2.0 * HEARD_DB / RANGE_DB, abs=0.05)
    assert np.abs(mix[:, -1000:]).max() < 1e-3 * np.abs(mix).max()
    wet = render_score(a_score(a_track(Note(0.0, 1.0, 69, 100))), humanise=EXACT, soundfont=soundfont).mix
    assert wet.shape[1] > mix.shape[1]


def test_pan_has_constant_power(tmp_path):
    soundfont = tiny_soundfont(tmp_path)
    powers, sides = [], []
    for pan in (-1.0, -0.5, 0.0, 0.5, 1.0):
        mix = Mix({"lead": Channel(pan=pan, reverb_db=-60.0)})
        peaks = np.abs(
            render_score(a_score(a_track(Note(0.0, 0.5, 69, 100))), mix=mix, humanise=EXACT, soundfont=soundfont).mix
        ).max(axis=1)
        powers.append(float(np.sum(peaks**2)))
        sides.append(peaks)
    assert powers == pytest.approx([powers[0]] * 5, rel=1e-4)
    assert sides[0][1] == pytest.approx(0, abs=1e-6) and sides[4][0] == pytest.approx(0, abs=1e-6)
    assert sides[1][0] > sides[2][0] > sides[3][0]


def test_a_closed_hat_ends_an_open_one(tmp_path):
    open_hat, closed = {"keys": span(46, 46)}, {"keys": span(42, 42), "attenuation": 1440}
    release = {"vol_release": 2400, "exclusive_class": 1}
    soundfont = tiny_soundfont(tmp_path, open_hat | release, closed | release)
    track = a_track(Note(0.0, 0.1, 46, 100), Note(0.5, 0.1, 42, 100), role="drums", is_drum=True)
    choked = render_score(a_score(track), mix=DRY, humanise=EXACT, soundfont=soundfont).mix
    track = replace(track, notes=track.notes[:1])
    free = render_score(a_score(track), mix=DRY, humanise=EXACT, soundfont=soundfont).mix
    begin = slice(0, RATE // 2)
    np.testing.assert_array_equal(choked[:, begin], free[:, begin])
    later = slice(RATE, RATE + 4410)
    assert np.abs(choked[:, later]).max() < 0.01 * np.abs(free[:, later]).max()


def test_stems_sum_to_the_mix_to_the_last_bit(rendered):
    total = np.zeros_like(rendered.mix)
    for stem in rendered.stems.values():
        assert stem.dtype == np.float32 and stem.shape == rendered.mix.shape
        total = total + stem
    np.testing.assert_array_equal(total, rendered.mix)
    assert list(rendered.stems) == [role for role in ROLES if role in rendered.stems] and len(rendered.stems) >= 4
    assert np.isfinite(rendered.mix).all() and 0.01 < np.abs(rendered.mix).max() < 2.0


def test_mute_and_solo_leave_the_other_stems_as_they_are(band, rendered):
    def same(one, other):
        count = min(one.shape[1], other.shape[1])
        np.testing.assert_array_equal(one[:, :count], other[:, :count])

    muted = render_score(band, mix=Mix({"lead": Channel(mute=True)}))
    assert set(muted.stems) == set(rendered.stems) - {"lead"}
    alone = render_score(band, mix=Mix({"lead": Channel(solo=True), "bass": Channel(gain_db=6.0)}))
    assert set(alone.stems) == {"lead"}
    for role, stem in (*muted.stems.items(), *alone.stems.items()):
        same(stem, rendered.stems[role])
    np.testing.assert_array_equal(alone.mix, alone.stems["lead"])
    both = Mix({"lead": Channel(solo=True, mute=True)})
    with pytest.raises(SynthError, match="nothing to play"):
        render_score(band, mix=both)


def test_gain_is_exact_and_reverb_is_linear(band):
    plain = render_score(band, mix=Mix({"lead": Channel(solo=True)})).mix
    louder = render_score(band, mix=Mix({"lead": Channel(solo=True, gain_db=20 * np.log10(2))})).mix
    np.testing.assert_allclose(louder, 2 * plain, atol=1e-6)


def test_the_room_is_a_convolution():
    rng = np.random.default_rng(0)
    room = impulse_response(8000)
    dry = np.zeros((2, 300_000 + room.shape[1]), np.float32)
    dry[:, :300_000] = rng.standard_normal((2, 300_000))
    wet = dry.copy()
    add_room(wet, 0.3, 8000)
    for side in range(2):
        answer = scipy.signal.fftconvolve(dry.mean(axis=0), room[side])[: dry.shape[1]]
        np.testing.assert_allclose(wet[side], dry[side] + 0.3 * answer, atol=2e-5)
    assert np.linalg.norm(room, axis=1) == pytest.approx([1, 1], rel=1e-5)
    assert abs(np.dot(room[0], room[1])) < 0.1, "left and right must differ, or the room is a point"


def test_the_same_score_gives_the_same_sound_in_another_process(band, rendered):
    code = (
        "import hashlib; from melfusion_core.score.synth import render_score; "
        "from tests.score.test_synth import find_band; "
        "print(hashlib.sha256(render_score(find_band()).mix.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(rendered.mix.tobytes()).hexdigest()


def test_the_seed_changes_the_playing(band):
    first, again, other = perform(band), perform(band), perform(replace(band, seed=band.seed + 1))
    assert first == again and first != other
    starts = np.array([n.start_s for part in first for n in part.notes])
    exact = np.array([n.start_s for part in perform(band, EXACT) for n in part.notes])
    velocities = np.array([n.velocity for part in first for n in part.notes])
    written = np.array([n.velocity for track in band.tracks for n in track.notes])
    assert 0 < np.std(starts - exact) < 2 * band.timing_noise_in_s
    assert 2 < np.std(velocities - written) < 5
    assert np.abs(np.array([n.velocity for part in perform(band, EXACT) for n in part.notes]) - written).max() == 0


def test_accents_of_the_metre():
    assert [metre_accent(beat, 4) for beat in (0, 0.5, 1, 2, 3, 3.75, 4)] == [5, -4, 0, 2, 0, -4, 5]
    assert [metre_accent(beat, 3) for beat in (0, 1, 2, 2.5, 3.01)] == [5, 0, 0, -4, 5]
    track = a_track(*(Note(beat / 2, 0.5, 60, 80) for beat in range(8)))
    [part] = perform(a_score(track), Humanise(0.0, 0.0, accents=1.0))
    assert [n.velocity for n in part.notes] == [85, 76, 80, 76, 82, 76, 80, 76]
    [drums] = perform(a_score(replace(track, is_drum=True, role="drums")), Humanise(0.0, 0.0, accents=1.0))
    assert [n.velocity for n in drums.notes] == [80] * 8


def test_bad_requests_are_refused(band):
    with pytest.raises(SynthError, match="no role 'solo'"):
        Mix({"solo": Channel()})
    for bad in ({"gain_db": 99.0}, {"pan": -1.5}, {"reverb_db": float("nan")}):
        with pytest.raises(SynthError, match="must be from"):
            Channel(**bad)
    with pytest.raises(SynthError, match="sample rate"):
        render_score(band, sample_rate=1000)
    with pytest.raises(SynthError, match="nothing to play"):
        render_score(a_score())
    with pytest.raises(SynthError, match="no role 'tune'"):
        render_score(a_score(a_track(Note(0.0, 1.0, 60, 90), role="tune")))
    with pytest.raises(SynthError, match="at most"):
        render_score(a_score(a_track(Note(4000.0, 1.0, 60, 90))))
    with pytest.raises(SynthError, match="too many long notes"):
        render_score(a_score(a_track(*(Note(i / 100, 250.0, i % 128, 90) for i in range(400)))))


def test_unknown_kits_are_the_standard_one():
    hit = Note(0.0, 0.2, 38, 100)
    standard, unknown, brush = (
        render_score(a_score(a_track(hit, role="drums", is_drum=True, program=kit)), humanise=EXACT).mix
        for kit in (0, 99, 40)
    )
    np.testing.assert_array_equal(standard, unknown)
    assert brush.shape != standard.shape or not np.array_equal(brush, standard)


def test_loudness_and_ceiling():
    rng = np.random.default_rng(0)
    noise = (0.05 * rng.standard_normal((2, 2 * RATE))).astype(np.float32)
    gain = loudness_gain(noise, RATE, -20.0, 0.0)
    assert gain == pytest.approx(2 * loudness_gain(0.5 * noise, RATE, -20.0, 0.0) / 4, rel=1e-6)
    clicks = np.zeros_like(noise)
    clicks[:, ::20000] = 0.5
    assert np.abs(clicks).max() * loudness_gain(clicks, RATE, -10.0, -1.0) == pytest.approx(10 ** (-1 / 20))
    with pytest.raises(SynthError, match="silent"):
        loudness_gain(np.zeros_like(noise), RATE)
    with pytest.raises(SynthError, match="0.4 s"):
        loudness_gain(noise[:, :100], RATE)


@pytest.mark.parametrize("name", ["piano", "warm pad", "flute", "synth bass"])
def test_levels_of_the_balance_are_those_of_the_bank(name):
    against = measure_level(INSTRUMENTS[name]) - measure_level(INSTRUMENTS["pizzicato strings"])
    assert against == pytest.approx(LEVEL_DB[name] - LEVEL_DB["pizzicato strings"], abs=0.11)


def test_level_of_the_drums():
    against = measure_drums() - measure_level(INSTRUMENTS["pizzicato strings"])
    assert against == pytest.approx(LEVEL_DB["drums"] - LEVEL_DB["pizzicato strings"], abs=0.11)


def log_mel(sound: np.ndarray, floor_db: float = 60.0) -> np.ndarray:
    """Log-mel spectrogram in dB, at most `floor_db` below its peak."""
    import librosa

    power = librosa.feature.melspectrogram(y=sound.mean(axis=0), sr=RATE, n_fft=2048, hop_length=512, n_mels=128)
    level = 10 * np.log10(power + 1e-12)
    return np.maximum(level, level.max() - floor_db)


@pytest.mark.parametrize(("seed", "arousal"), [(1, 0.2), (2, 0.5), (3, 0.9)])
def test_likeness_to_fluidsynth(tmp_path, seed, arousal):
    """The same performance on the same samples: at most 3 dB apart where either sounds."""
    program = system.require_program("fluidsynth")
    source = system.require_file("/usr/share/sounds/sf3/FluidR3Mono_GM.sf3", package="fluidr3mono-gm-soundfont")
    score = compose(np.random.default_rng(seed), 0.5, arousal, "p", 6.0, "full")
    scores_to_midi([score], 6.0).save(tmp_path / "a.mid")
    reference = fluidsynth(program, source, tmp_path)[:, : 6 * RATE]
    ours = render_score(score, mix=DRY).mix[:, : 6 * RATE]
    count = min(reference.shape[1], ours.shape[1])
    reference, ours = (sound[:, :count] / np.sqrt(np.mean(sound[:, :count] ** 2)) for sound in (reference, ours))
    a, b = log_mel(reference), log_mel(ours)
    heard = (a > a.min()) | (b > b.min())
    assert np.abs(a - b)[heard].mean() <= 3.0
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] >= 0.9


def test_pitches_of_fluidsynth(tmp_path):
    """Every lead instrument in the middle of its range, within 10 cents of what FluidSynth plays."""
    program = system.require_program("fluidsynth")
    source = system.require_file("/usr/share/sounds/sf3/FluidR3Mono_GM.sf3", package="fluidr3mono-gm-soundfont")
    rows = [row for row in INSTRUMENTS.values() if row.lead]
    midi, track = mido.MidiFile(ticks_per_beat=500), mido.MidiTrack()
    midi.tracks.append(track)
    for row in rows:
        track.append(mido.Message("program_change", program=row.program))
        track.append(mido.Message("note_on", note=(row.low + row.high) // 2, velocity=90))
        track.append(mido.Message("note_off", note=(row.low + row.high) // 2, time=1000))
        track.append(mido.Message("control_change", control=120, time=1000))
    midi.save(tmp_path / "a.mid")
    reference = fluidsynth(program, source, tmp_path)
    for place, row in enumerate(rows):
        pitch = (row.low + row.high) // 2
        score = a_score(a_track(Note(0.0, 1.0, pitch, 90), program=row.program))
        ours = render_score(score, mix=DRY, humanise=EXACT).mix[:, RATE // 5 : RATE]
        theirs = reference[:, (2 * place) * RATE + RATE // 5 : (2 * place + 1) * RATE]
        cents = 1200 * np.log2(frequency_hz(ours.mean(axis=0)) / frequency_hz(theirs.mean(axis=0)))
        assert abs(cents) < 10, f"{row.name}: {cents:.1f} cents"


def fluidsynth(program, soundfont, folder) -> np.ndarray:
    command = [program, "-ni", "-q", "-g", "0.2", "-r", str(RATE), "-R", "0", "-C", "0", "-O", "float", "-T", "wav"]
    command += ["-F", str(folder / "a.wav"), str(soundfont), str(folder / "a.mid")]
    subprocess.run(command, check=True, capture_output=True)
    return soundfile.read(folder / "a.wav", dtype="float32", always_2d=True)[0].T


def test_sum_of_one_stem_is_a_copy():
    stem = np.ones((2, 4), np.float32)
    total = add_stems({"lead": stem})
    assert total is not stem and np.array_equal(total, stem)
