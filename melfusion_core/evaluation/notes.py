"""Pitch and onsets of clips whose notes are known: what a codec must not bend or blur.

Shape legend: `samples` of a waveform, `frames` of a pitch track.
"""

from __future__ import annotations

import math
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


def _pitch_track(waveform: np.ndarray, sample_rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Pitch in Hz every 10 ms, by YIN (de Cheveigne & Kawahara, 2002)."""
    import librosa

    return librosa.yin(
        np.asarray(waveform, dtype=np.float64),
        fmin=low_hz,
        fmax=min(high_hz, 0.45 * sample_rate),
        sr=sample_rate,
        frame_length=2 ** math.ceil(math.log2(4.0 * sample_rate / low_hz)),
        hop_length=round(PITCH_HOP_S * sample_rate),
    )


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
    wanted = [440.0 * 2.0 ** ((note.pitch - 69.0) / 12.0) for note in piece.notes]
    low, high = min(wanted) / 2.0, max(wanted) * 2.0
    before, after = (_pitch_track(clip, sample_rate, low, high) for clip in (piece.waveform, rebuilt))
    times = np.arange(min(len(before), len(after))) * PITCH_HOP_S
    rows = []
    for note, frequency in zip(piece.notes, wanted, strict=True):
        steady = (times > note.start_s + _ATTACK_S) & (times < note.end_s - _RELEASE_S)
        for frame in np.flatnonzero(steady):
            if abs(1200.0 * math.log2(before[frame] / frequency)) < GROSS_CENTS:
                rows.append((frequency, abs(1200.0 * math.log2(after[frame] / before[frame]))))
    return np.array(rows).reshape(-1, 2)


def onset_score(piece: KnownPiece, waveform: np.ndarray, sample_rate: int) -> float:
    """How well the onsets of the score are heard in a waveform.

    Args:
        piece: Clip with its notes.
        waveform: Mono audio of shape `(samples,)`: the clip itself or a version of it.
        sample_rate: In Hz.

    Returns:
        F-measure at 50 ms; 1 when there is nothing to hear and nothing was heard.
    """
    from mir_eval.onset import f_measure

    heard, wanted = onset_times(waveform, sample_rate), piece.onsets_s
    if not len(heard) or not len(wanted):
        return float(len(heard) == len(wanted))
    return f_measure(wanted, heard, window=ONSET_TOLERANCE_S)[0]
