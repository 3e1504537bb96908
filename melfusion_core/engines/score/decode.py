"""From latents back to a score."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import decode_cells
from melfusion_core.engines.score.controls import KINDS, Controls, decode_controls
from melfusion_core.engines.score.grid import drum_notes_from_grid, notes_from_grid, transposition
from melfusion_core.engines.score.layout import PARTS, ROLES
from melfusion_core.engines.score.names import INSTRUMENT_NAMES, STYLES
from melfusion_core.score.chords import BeatChord, chord_names
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import Score, Track


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
        there = controls.presence[row].any()
        instrument = INSTRUMENTS[INSTRUMENT_NAMES[max(int(controls.instrument[row].max()), 0)]]
        onset = cells[row, :, :, 0] > thresholds.get(role, 0.0)
        notes = notes_from_grid(onset, cells[row, :, :, 1] > 0, controls.level[row], shift)
        if there and notes:
            tracks.append(Track(instrument.name, instrument.program, notes, role=role))
    hits = drums[:, 0] > thresholds.get("drums", 0.0)
    if controls.presence[PARTS.index("drums")].any() and hits.any():
        level = controls.level[PARTS.index("drums")]
        notes = drum_notes_from_grid(hits, (drums[:, 1] > 0) & hits, level)
        tracks.append(Track("drums", 0, notes, is_drum=True, role="drums"))
    harmony = harmony_of(controls)
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
        chords=chord_names(harmony),
        harmony=harmony,
        swing=float(controls.swing[0]),
    )
    if any(track.role == "lead" for track in tracks):
        balance(tracks)
    return Decoded(score, controls)


def harmony_of(controls: Controls) -> tuple[BeatChord | None, ...]:
    """The chord of every beat.

    Args:
        controls: What is said of every beat.

    Returns:
        The chords at the song's own pitch, None where unknown.
    """
    tonic = int(controls.tonic[0])
    return tuple(
        BeatChord((int(root) + tonic) % 12, KINDS[int(kind)], (int(bass if bass >= 0 else root) + tonic) % 12)
        if root >= 0
        else None
        for root, kind, bass in zip(controls.root, controls.kind, controls.bass, strict=True)
    )
