"""Pitch and onsets of clips whose notes are known: what a codec must not bend or blur.

Shape legend: ``samples`` of a waveform, ``frames`` of a pitch track.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melfusion_core.evaluation.cues import onset_times

PITCH_HOP_S = 0.01
ONSET_TOLERANCE_S = 0.05
GROSS_CENTS = 50.0
REGISTERS = (("below 130 Hz", 0.0, 130.0), ("130 to 520 Hz", 130.0, 520.0), ("above 520 Hz", 520.0, math.inf))
_ATTACK_S, _RELEASE_S = 0.06, 0.03


@dataclass(frozen=True)
class KnownNote:
    """One sounding note.

    Args:
        start_s: Onset in seconds.
        end_s: End in seconds.
        pitch: MIDI note number; 69 is 440 Hz.
    """

    start_s: float
    end_s: float
    pitch: float


@dataclass(frozen=True)
class KnownPiece:
    """A clip with its notes.

    Args:
        name: What it is.
        waveform: Mono audio of shape `(samples,)`.
        notes: All its notes; those of drums have a pitch without meaning.
        monophonic: Whether at most one pitched note sounds at a time.
    """

    name: str
    waveform: np.ndarray
    notes: tuple[KnownNote, ...]
    monophonic: bool = False

    @property
    def onsets_s(self) -> np.ndarray:
        """Distinct onsets in seconds, ascending; notes less than 30 ms apart begin together."""
        kept: list[float] = []
        for start in sorted(note.start_s for note in self.notes):
            if not kept or start - kept[-1] >= 0.03:
                kept.append(start)
        return np.array(kept)


def hertz(pitch: float) -> float:
    """Frequency of a MIDI note number.

    Args:
        pitch: MIDI note number; 69 is 440 Hz.

    Returns:
        Frequency in Hz.
    """
    return 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)


def pitch_track(waveform: np.ndarray, sample_rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Follow the pitch with YIN (de Cheveigne & Kawahara, 2002; librosa's implementation), every 10 ms.

    Args:
        waveform: Mono audio of shape `(samples,)`.
        sample_rate: In Hz.
        low_hz: Lowest pitch looked for.
        high_hz: Highest pitch looked for.

    Returns:
        Pitch in Hz of shape `(frames,)`; frame `i` is centred on `0.01 * i` seconds.
    """
    import librosa

    frame = 2 ** math.ceil(math.log2(4.0 * sample_rate / low_hz))
    return librosa.yin(
        np.asarray(waveform, dtype=np.float64), fmin=low_hz, fmax=min(high_hz, 0.45 * sample_rate), sr=sample_rate,
        frame_length=frame, hop_length=round(PITCH_HOP_S * sample_rate),
    )  # fmt: skip


def pitch_errors(piece: KnownPiece, rebuilt: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compare the pitch of a monophonic clip before and after, frame by frame.

    Frames count where a note of the score sounds steadily and the estimator finds it, within 50 cents, in the
    original; so its own errors are no errors of the codec.

    Args:
        piece: Monophonic clip with its notes.
        rebuilt: The clip after the codec, of the same length.
        sample_rate: In Hz.

    Returns:
        Array of shape `(frames, 2)`: frequency of the score's note in Hz and absolute error in cents.

    Raises:
        ValueError: If the clip is not monophonic or the lengths differ.
    """
    if not piece.monophonic or len(rebuilt) != len(piece.waveform):
        raise ValueError("pitch is compared on monophonic clips of one length")
    wanted = [hertz(note.pitch) for note in piece.notes]
    low, high = min(wanted) / 2.0, max(wanted) * 2.0
    before, after = (pitch_track(clip, sample_rate, low, high) for clip in (piece.waveform, rebuilt))
    times = np.arange(min(len(before), len(after))) * PITCH_HOP_S
    rows = []
    for note, frequency in zip(piece.notes, wanted, strict=True):
        steady = (times > note.start_s + _ATTACK_S) & (times < note.end_s - _RELEASE_S)
        for frame in np.flatnonzero(steady):
            if abs(1200.0 * math.log2(before[frame] / frequency)) < GROSS_CENTS:
                rows.append((frequency, abs(1200.0 * math.log2(after[frame] / before[frame]))))
    return np.array(rows).reshape(-1, 2)


def match_onsets(found: Sequence[float], wanted: Sequence[float], tolerance_s: float = ONSET_TOLERANCE_S) -> int:
    """Count the onsets that fit together, each used once.

    With one tolerance for all, taking the earliest partner that fits gives the largest matching.

    Args:
        found: Detected onsets in seconds.
        wanted: True onsets in seconds.
        tolerance_s: Largest distance in seconds.

    Returns:
        Number of pairs.
    """
    first, second = sorted(found), sorted(wanted)
    i = j = hits = 0
    while i < len(first) and j < len(second):
        if abs(first[i] - second[j]) <= tolerance_s:
            hits, i, j = hits + 1, i + 1, j + 1
        elif first[i] < second[j]:
            i += 1
        else:
            j += 1
    return hits


def f_measure(found: Sequence[float], wanted: Sequence[float], tolerance_s: float = ONSET_TOLERANCE_S) -> float:
    """Harmonic mean of precision and recall of onsets.

    Args:
        found: Detected onsets in seconds.
        wanted: True onsets in seconds.
        tolerance_s: Largest distance in seconds.

    Returns:
        Between 0 and 1; 1 when there is nothing to find and nothing was found.
    """
    total = len(found) + len(wanted)
    return 2.0 * match_onsets(found, wanted, tolerance_s) / total if total else 1.0


def onset_score(piece: KnownPiece, waveform: np.ndarray, sample_rate: int) -> float:
    """How well the onsets of the score are heard in a waveform.

    Args:
        piece: Clip with its notes.
        waveform: Mono audio of shape `(samples,)`: the clip itself or a version of it.
        sample_rate: In Hz.

    Returns:
        F-measure at 50 ms.
    """
    return f_measure(onset_times(waveform, sample_rate).tolist(), piece.onsets_s.tolist())
