"""From latents back to a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import decode_cells
from melfusion_core.engines.score.controls import CHORD_KINDS, Controls, decode_controls
from melfusion_core.engines.score.grid import drum_notes_from_grid, notes_from_grid, transposition
from melfusion_core.engines.score.layout import PARTS, ROLES
from melfusion_core.engines.score.names import INSTRUMENT_NAMES, STYLES
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import PITCH_CLASSES, Score, Track

_SYMBOLS = dict(zip(CHORD_KINDS, ("", "m", "dim", "aug", "7", "maj7", "m7", "sus4"), strict=True))


@dataclass(frozen=True)
class Decoded:
    """What latents say.

    Args:
        score: The notes; without tracks where nothing plays.
        controls: What is said of every beat.
    """

    score: Score
    controls: Controls


def score_from_latents(
    codec: CellCodec, latents: torch.Tensor, thresholds: dict[str, float] | None = None, seed: int = 0
) -> Decoded:
    """Read a score off latents.

    Args:
        codec: The cell codec.
        latents: Of shape ``(channels, beats, rows)``.
        thresholds: Log-odds from which a note of a part starts; 0 where none is given.
        seed: Seed of the score's humanised playing.

    Returns:
        The score and its controls.
    """
    thresholds = thresholds or {}
    controls = decode_controls(latents.float().cpu().numpy(), len(STYLES), len(INSTRUMENT_NAMES))
    cells, drums = decode_cells(codec, latents)
    shift = -transposition(int(controls.tonic[0]))
    tracks = []
    for row, role in enumerate(ROLES):
        there = controls.presence[row].mean() > 0.5
        instrument = INSTRUMENTS[INSTRUMENT_NAMES[max(int(controls.instrument[row].max()), 0)]]
        onset = cells[row, :, :, 0] > thresholds.get(role, 0.0)
        notes = notes_from_grid(onset, cells[row, :, :, 1] > 0, controls.level[row], shift)
        if there and notes:
            tracks.append(Track(instrument.name, instrument.program, notes, role=role))
    hits = drums[:, 0] > thresholds.get("drums", 0.0)
    if controls.presence[PARTS.index("drums")].mean() > 0.5 and hits.any():
        level = controls.level[PARTS.index("drums")]
        notes = drum_notes_from_grid(hits, (drums[:, 1] > 0) & hits, level)
        tracks.append(Track("drums", 0, notes, is_drum=True, role="drums"))
    score = Score(
        tracks=tracks,
        tempo_bpm=float(controls.tempo_bpm[0]),
        beats_per_bar=int(controls.beats_per_bar[0]),
        tonic=int(controls.tonic[0]),
        mode="minor" if controls.minor[0] else "major",
        style=STYLES[int(controls.style[0])],
        piece="take",
        source="melfusion",
        seed=seed,
        chords=chord_symbols(controls),
    )
    if any(track.role == "lead" for track in tracks):
        balance(tracks)
    return Decoded(score, controls)


def chord_symbols(controls: Controls) -> tuple[str, ...]:
    """The chords of a passage as symbols, each once where it stays.

    Args:
        controls: What is said of every beat.

    Returns:
        Symbols such as ``("C", "Am7")``; beats whose chord is unknown are left out.
    """
    symbols: list[str] = []
    kinds = list(_SYMBOLS.values())
    for root, kind in zip(controls.root, controls.kind, strict=True):
        if root >= 0 and kind >= 0:
            symbol = PITCH_CLASSES[(int(root) + int(controls.tonic[0])) % 12] + kinds[int(kind)]
            if not symbols or symbols[-1] != symbol:
                symbols.append(symbol)
    return tuple(symbols)


def chord_tones(controls: Controls) -> np.ndarray:
    """Pitch classes of every beat's chord above the tonic.

    Args:
        controls: What is said of every beat.

    Returns:
        Of shape ``(beats, 12)``, bool; all False where the chord is unknown.
    """
    out = np.zeros((controls.beats, 12), dtype=bool)
    kinds = list(CHORD_KINDS.values())
    for beat, (root, kind) in enumerate(zip(controls.root, controls.kind, strict=True)):
        if root >= 0 and kind >= 0:
            out[beat, [(int(root) + tone) % 12 for tone in kinds[int(kind)]]] = True
    return out
