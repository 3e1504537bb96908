"""From scores to sound with FluidSynth and a General MIDI SoundFont."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import mido
import numpy as np
import soundfile

from melfusion_core.score.midi import DRUM_CHANNEL, volume
from melfusion_core.score.performance import perform
from melfusion_core.score.score import Score
from melfusion_core.score.synth import SynthError, loudness_gain

DEFAULT_SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
"""Where Debian's `fluid-soundfont-gm` puts FluidR3 (MIT licence)."""

TICKS_PER_SECOND = 1000
GAP_IN_S = 2.0
"""Silence between clips rendered in one run: the loudest reverb tail has sunk 50 dB below the music by then."""


class RendererError(RuntimeError):
    """FluidSynth or the SoundFont is missing, or rendering failed; the message says what to do."""


def check_renderer(soundfont: Path) -> str:
    """Find the renderer.

    Args:
        soundfont: path of the SoundFont.

    Returns:
        Path of the FluidSynth program.

    Raises:
        RendererError: the program or the SoundFont is missing.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise RendererError(
            "FluidSynth is not installed. It is needed only to build a training corpus: `apt install fluidsynth "
            "fluid-soundfont-gm` (Debian, Ubuntu) or `brew install fluid-synth` (macOS)."
        )
    if not soundfont.is_file():
        raise RendererError(
            f"No SoundFont at {soundfont}. Install one (Debian, Ubuntu: `apt install fluid-soundfont-gm`) or give "
            "its path with --soundfont."
        )
    _check_soundfont(soundfont)
    return program


def _check_soundfont(path: Path) -> None:
    """FluidSynth plays its own default in place of a font that it cannot read, and ends as if all were well."""
    with path.open("rb") as file:
        head = file.read(12)
    whole = path.stat().st_size >= int.from_bytes(head[4:8], "little") + 8
    if head[:4] != b"RIFF" or head[8:] != b"sfbk" or not whole:
        raise RendererError(f"{path} is no whole SoundFont (.sf2 or .sf3).")


def scores_to_midi(scores: list[Score], seconds: float) -> mido.MidiFile:
    """Lay scores one after another in a single MIDI file, with humanised timing and dynamics.

    Args:
        scores: at least one score.
        seconds: length of each clip; clip `i` starts at `i * (seconds + GAP_IN_S)`.
    """
    events: list[tuple[int, int, mido.Message]] = []
    for index, score in enumerate(scores):
        offset = index * (seconds + GAP_IN_S)
        free = [channel for channel in range(16) if channel != DRUM_CHANNEL]
        begin = int(offset * TICKS_PER_SECOND)
        for channel in range(16):
            events.append((begin, 0, mido.Message("control_change", channel=channel, control=120, value=0)))
            events.append((begin, 0, mido.Message("control_change", channel=channel, control=121, value=0)))
        for part in perform(score):
            track = part.track
            channel = DRUM_CHANNEL if track.is_drum else free.pop(0)
            pan = round(64 + 128 * part.pan)
            events.append((begin, 1, mido.Message("program_change", channel=channel, program=track.program)))
            events.append((begin, 1, mido.Message("control_change", channel=channel, control=10, value=pan)))
            events.append((begin, 1, mido.Message("control_change", channel=channel, control=7, value=volume(track))))
            for note in part.notes:
                on, off = (int((offset + t) * TICKS_PER_SECOND) for t in (note.start_s, min(note.end_s, seconds)))
                on_message = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
                events.append((on, 3, on_message))
                events.append((max(off, on + 20), 2, mido.Message("note_off", channel=channel, note=note.pitch)))
    events.sort(key=lambda event: (event[0], event[1]))
    midi = mido.MidiFile(ticks_per_beat=TICKS_PER_SECOND // 2)  # default tempo: 120 BPM, so a tick is a millisecond
    track = mido.MidiTrack()
    midi.tracks.append(track)
    now = 0
    for tick, _, message in events:
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(int(len(scores) * (seconds + GAP_IN_S) * 1000) - now, 0)))
    return midi


def render(
    scores: list[Score], seconds: float = 10.24, sample_rate: int = 32000, soundfont: Path = DEFAULT_SOUNDFONT
) -> list[np.ndarray]:
    """Render scores to mono sound.

    Args:
        scores: what to play.
        seconds: length of each clip in seconds.
        sample_rate: samples per second.
        soundfont: General MIDI SoundFont.

    Returns:
        One float32 array of shape (seconds * sample_rate,) per score, not yet level-matched.

    Raises:
        RendererError: FluidSynth is missing or failed.
    """
    program = check_renderer(soundfont)
    samples = round(seconds * sample_rate)
    with tempfile.TemporaryDirectory() as folder:
        midi_path, wav_path = Path(folder) / "clips.mid", Path(folder) / "clips.wav"
        scores_to_midi(scores, seconds).save(midi_path)
        command = [
            program, "-ni", "-q", "-g", "0.1", "-r", str(sample_rate), "-R", "1", "-C", "0", "-O", "float",
            "-T", "wav", "-F", str(wav_path), str(soundfont), str(midi_path),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not wav_path.is_file():
            raise RendererError(f"FluidSynth failed ({done.returncode}): {done.stderr.strip()[-300:]}")
        sound, rate = soundfile.read(wav_path, dtype="float32", always_2d=True)
    if rate != sample_rate:
        raise RendererError(f"FluidSynth rendered at {rate} Hz instead of {sample_rate} Hz")
    mono = sound.mean(axis=1)
    clips = []
    for index in range(len(scores)):
        begin = round(index * (seconds + GAP_IN_S) * sample_rate)
        clip = mono[begin : begin + samples]
        if len(clip) < samples:  # FluidSynth stops at the last event; the rest of the last clip is silence
            clip = np.pad(clip, (0, samples - len(clip)))
        clips.append(clip)
    return clips


def level(clip: np.ndarray, arousal: float, sample_rate: int = 32000, peak: float = 0.89) -> np.ndarray:
    """Bring a clip to a loudness that follows its arousal: -26 LUFS (calm) to -16 LUFS (excited).

    Dynamics are a cue of arousal (Eerola et al. 2013), so they are kept in a known range instead of levelled away.

    Args:
        clip: (samples,) mono sound.
        arousal: 0 to 1.
        sample_rate: samples per second.
        peak: highest absolute sample allowed; the clip is turned down when it would exceed it.

    Raises:
        RendererError: the clip is silent.
    """
    try:
        gain = loudness_gain(clip, sample_rate, -26.0 + 10.0 * arousal, 20 * np.log10(peak))
    except SynthError as error:
        raise RendererError(f"A rendered clip cannot be levelled: {error}") from error
    return clip * np.float32(gain)
