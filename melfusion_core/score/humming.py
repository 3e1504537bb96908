"""A hummed, sung or whistled tune as notes: pitch by pYIN (Mauch & Dixon 2014), cut and put on the beat grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.score.keys import krumhansl_key
from melfusion_core.score.score import TICKS_PER_BEAT, Note, Score, Track

SAMPLE_RATE = 22_050
"""What recordings are read at, in Hz."""
_HOP = 512
_FRAME = 2048
_LOWEST_HZ, _HIGHEST_HZ = 70.0, 1500.0
_SHORTEST_S = 0.07
_GAP_S = 0.04
_STEP = 0.65
"""Semitones from a note's middle at which another one begins."""
_DIP_DB = 9.0
_REST_DB, _AROUND_S = 16.0, 0.3
"""A voice rests where it is this much softer than the loudest sound so near to it."""
_TEMPI_BPM = np.arange(60.0, 180.5, 0.5)


class HummingError(ValueError):
    """There is no tune to be heard; the message says so."""


@dataclass(frozen=True)
class SungNote:
    """A note as it was sung.

    Args:
        start_s: where it begins, in seconds.
        end_s: where it ends, in seconds.
        pitch: MIDI number with fractions, 69 being 440 Hz.
        level_db: its level against the loudest note.
    """

    start_s: float
    end_s: float
    pitch: float
    level_db: float


def sung_notes(waveform: np.ndarray, sample_rate: int = SAMPLE_RATE) -> list[SungNote]:
    """Find the notes of a single voice.

    A note ends where the voice stops, where its level dips and rises again, and where the pitch leaves it for longer
    than vibrato does.

    Args:
        waveform: mono audio of shape `(samples,)`.
        sample_rate: in Hz.

    Raises:
        HummingError: no voice is heard.
    """
    import librosa
    from scipy.ndimage import maximum_filter1d

    wave = np.asarray(waveform, dtype=np.float32)
    if len(wave) < _FRAME or not np.isfinite(wave).all() or np.abs(wave).max() < 1e-3:
        raise HummingError("there is no sound to find a tune in")
    pitch_hz, voiced, _ = librosa.pyin(
        wave, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ, sr=sample_rate, frame_length=_FRAME, hop_length=_HOP, fill_na=np.nan
    )
    level = librosa.amplitude_to_db(librosa.feature.rms(y=wave, frame_length=1024, hop_length=_HOP)[0], ref=np.max)
    frames = min(len(pitch_hz), len(level))
    pitch = librosa.hz_to_midi(pitch_hz[:frames])
    hop_s = _HOP / sample_rate
    around = maximum_filter1d(level[:frames], 2 * round(_AROUND_S / hop_s) + 1)
    heard = voiced[:frames] & (level[:frames] > np.maximum(around - _REST_DB, -40.0))
    spans = [
        span
        for first, last in _runs(_closed(heard, round(_GAP_S / hop_s)))
        for span in _cut(pitch, level, first, last, round(_SHORTEST_S / hop_s))
    ]
    notes = [
        SungNote(
            first * hop_s, last * hop_s, float(np.nanmedian(pitch[first:last])), float(np.median(level[first:last]))
        )
        for first, last in spans
        if _is_steady(pitch[first:last])
    ]
    if not notes:
        raise HummingError("no voice is heard; hum one tune, near to the microphone")
    return notes


def _is_steady(pitch: np.ndarray) -> bool:
    """Whether most of a stretch has a pitch, and one pitch: noise has many."""
    known = pitch[np.isfinite(pitch)]
    return len(known) > len(pitch) / 2 and float(np.median(np.abs(known - np.median(known)))) < _STEP


def _closed(heard: np.ndarray, gap: int) -> np.ndarray:
    """Fill gaps shorter than some frames."""
    filled = heard.copy()
    for first, last in _runs(~heard):
        if 0 < first and last < len(heard) and last - first <= gap:
            filled[first:last] = True
    return filled


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _cut(pitch: np.ndarray, level: np.ndarray, first: int, last: int, shortest: int) -> list[tuple[int, int]]:
    """Cut a stretch of voice into notes, as frames from and to."""
    from scipy.ndimage import median_filter, minimum_filter1d, uniform_filter1d

    line = pitch[first:last].copy()
    known = np.isfinite(line)
    if not known.any():
        return []
    line[~known] = np.interp(np.flatnonzero(~known), np.flatnonzero(known), line[known])
    # The mean over a cycle of vibrato, about 5 Hz, stands still on a note.
    cycle = 2 * shortest + 1
    steady = uniform_filter1d(median_filter(line, 5), cycle, mode="nearest")
    loud = level[first:last]
    before, after = _before_after(loud, 2 * shortest)
    dips = (loud <= minimum_filter1d(loud, cycle)) & (np.minimum(before, after) - loud > _DIP_DB)
    cuts, begin = [0], 0
    for place in range(1, len(line)):
        if place - begin < shortest:
            continue
        away = np.abs(steady[place : place + shortest] - np.median(steady[begin:place])) > _STEP
        if dips[place] or (len(away) == shortest and away.all()):
            cuts.append(place)
            begin = place
    spans = list(zip(cuts, [*cuts[1:], len(line)], strict=True))
    joined: list[tuple[int, int]] = []
    begin = 0
    for _, end in spans:
        smooth = joined and not dips[begin]
        if smooth and end - begin <= shortest:  # a glide: half of it ends one note, half begins the next
            end = (begin + end) // 2
            joined[-1] = (joined[-1][0], end)
        elif smooth and abs(np.median(line[slice(*joined[-1])]) - np.median(line[begin:end])) < 0.5:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
        begin = end
    return [(a + first, b + first) for a, b in joined if b - a >= shortest]


def _before_after(level: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest level just before and just after every frame."""
    padded = np.pad(level, reach, constant_values=-120.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach)
    return windows[: len(level)].max(axis=1), windows[reach + 1 : reach + 1 + len(level)].max(axis=1)


def tempo_of_onsets(starts_s: np.ndarray) -> float:
    """Tempo whose half beats are nearest to some onsets.

    Args:
        starts_s: onsets in seconds.

    Returns:
        Quarter notes a minute, 60 to 180; 100 for fewer than three onsets.
    """
    if len(starts_s) < 3:
        return 100.0
    offsets = np.asarray(starts_s) - starts_s[0]
    halves = offsets[None] * _TEMPI_BPM[:, None] / 30.0
    error = np.abs(halves - np.round(halves)).mean(axis=1)
    steps = np.diff(offsets).mean() * _TEMPI_BPM / 60.0
    # A finer grid is always nearer: of tempi that fit as well, the one at which notes last about a beat.
    return float(_TEMPI_BPM[np.argmin(error + 0.04 * np.abs(np.log2(steps)))])


def melody_score(notes: list[SungNote], tempo_bpm: float | None = None, beats_per_bar: int = 4) -> Score:
    """Put sung notes on the beat grid, in the singer's own tuning.

    Args:
        notes: what was sung.
        tempo_bpm: quarter notes a minute; None finds it.
        beats_per_bar: 3 or 4.

    Returns:
        A score whose lead starts with the first bar, at sixteenths.
    """
    tempo = tempo_bpm or tempo_of_onsets(np.array([note.start_s for note in notes]))
    pitches = np.array([note.pitch for note in notes])
    turns = np.exp(2j * np.pi * pitches).mean()
    tuning = float(np.angle(turns) / (2 * np.pi)) if abs(turns) > 0.3 else 0.0
    quarter = TICKS_PER_BEAT // 4
    begin, placed = notes[0].start_s, []
    for note in notes:
        start = round((note.start_s - begin) * tempo / 60.0 * 4) * quarter
        length = max(round((note.end_s - note.start_s) * tempo / 60.0 * 4) * quarter, quarter)
        placed.append((start, length, round(note.pitch - tuning), int(np.clip(96 + note.level_db, 40, 110))))
    line = []
    for (start, length, pitch, velocity), after in zip(placed, [*placed[1:], None], strict=True):
        room = length if after is None else after[0] - start
        if room > 0:
            line.append(Note(start / TICKS_PER_BEAT, min(length, room) / TICKS_PER_BEAT, pitch, velocity))
    histogram = np.bincount([n.pitch % 12 for n in line], weights=[n.duration for n in line], minlength=12)
    tonic, mode, _ = krumhansl_key(histogram)
    lead = Track("flute", 73, line, role="lead")
    return Score([lead], round(tempo, 3), beats_per_bar, tonic, mode, "", "humming", "humming", 0)
