"""Checks that stand in for a first listening: is there sound, does it move, has it pitch?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melfusion_core.audio import peak_dbfs
from melfusion_core.evaluation.cues import chroma_energy, count_onsets, rms_dbfs

QUIET_DBFS = -60.0
_FRAME_S = 0.05


@dataclass(frozen=True)
class ListeningCheck:
    """What a waveform holds.

    Attributes:
        finite: Whether every sample is a finite number; the other figures are taken with 0 in place of those.
        duration_s: Length in seconds.
        peak_dbfs: Highest absolute sample in dBFS; -inf for silence.
        rms_dbfs: Level in dBFS; -inf for silence.
        silent_share: Share of 50 ms frames below -60 dBFS.
        clipped_share: Share of samples at or beyond full scale.
        onsets: Number of detected onsets.
        chroma: Shares of energy by pitch class from C upwards, 12 numbers.
        tonality: Pitch content: the largest chroma share; 1/12 for noise.
    """

    finite: bool
    duration_s: float
    peak_dbfs: float
    rms_dbfs: float
    silent_share: float
    clipped_share: float
    onsets: int
    chroma: tuple[float, ...]
    tonality: float

    def problems(self) -> list[str]:
        """Say what is wrong.

        Returns:
            One sentence per problem; none when the clip passes.
        """
        found = []
        if not self.finite:
            found.append("Some samples are not finite.")
        if self.silent_share > 0.9:
            found.append("Nearly all of it is silent.")
        if self.clipped_share > 0.001:
            found.append("More than one sample in a thousand clips.")
        if self.silent_share <= 0.9 and self.onsets == 0:
            found.append("Nothing begins: no onset was found.")
        if self.silent_share <= 0.9 and self.tonality < 0.095:
            found.append("No pitch class stands out: it sounds like noise.")
        return found


def listen(waveform: np.ndarray, sample_rate: int) -> ListeningCheck:
    """Check one clip.

    Args:
        waveform: Mono audio of shape `(samples,)`.
        sample_rate: In Hz.

    Returns:
        What was found.

    Raises:
        ValueError: If the waveform is not mono or is empty.
    """
    samples = np.asarray(waveform, dtype=np.float32)
    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"expected mono audio of shape (samples,), got {samples.shape}")
    finite = bool(np.isfinite(samples).all())
    samples = np.where(np.isfinite(samples), samples, 0.0).astype(np.float32)
    frame = max(round(_FRAME_S * sample_rate), 1)
    levels = [rms_dbfs(samples[start : start + frame]) for start in range(0, len(samples), frame)]
    chroma = chroma_energy(samples, sample_rate)
    return ListeningCheck(
        finite=finite,
        duration_s=len(samples) / sample_rate,
        peak_dbfs=peak_dbfs(samples),
        rms_dbfs=rms_dbfs(samples),
        silent_share=float(np.mean(np.array(levels) < QUIET_DBFS)),
        clipped_share=float(np.mean(np.abs(samples) >= 1.0)),
        onsets=count_onsets(samples, sample_rate),
        chroma=tuple(float(share) for share in chroma),
        tonality=float(chroma.max()),
    )
