"""A score corpus as the music trainer reads it: latents of every passage, cells without notes left out, and captions.

``melfusion train score-prepare --data SCORES --out PREPARED --codec RUN/export``
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.data.score_table import ScoreTable
from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import encode_cells
from melfusion_core.engines.score.controls import CONTROL_ROWS, encode_controls
from melfusion_core.engines.score.grid import grid_from_score
from melfusion_core.engines.score.layout import (
    CELL_DIM,
    CHANNELS,
    DRUM_DIM,
    DRUM_ROW,
    FIRST_OCTAVE_ROW,
    OCTAVES,
    ROLES,
    ROWS,
)
from melfusion_core.engines.score.measure import measure_controls
from melfusion_core.engines.score.names import INSTRUMENT_NUMBERS, STYLE_NUMBERS
from melfusion_core.models.text import load_minilm
from melfusion_core.training.captions import CaptionStore, encode_captions
from melfusion_core.training.config import use_threads

_CELLS = len(ROLES) * OCTAVES


@dataclass(frozen=True)
class ScorePrepareConfig:
    """What to prepare.

    Args:
        data: Score corpus.
        out: Folder to write.
        codec: Trained cell codec.
        captions: Which of a section's captions to use, by their places; see
            :func:`~melfusion_core.data.captions.make_captions`.
        threads: CPU threads; 0 leaves PyTorch's choice.
    """

    data: str = ""
    out: str = ""
    codec: str = ""
    captions: tuple[int, ...] = (0, 2, 3, 5, 6, 7)
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.data or not self.out or not self.codec:
            raise ValueError("data, out and codec must name folders")


def prepare(config: ScorePrepareConfig) -> None:
    """Encode every passage and caption once.

    Args:
        config: What to do.
    """
    use_threads(config.threads)
    table, out = ScoreTable.load(Path(config.data)), Path(config.out)
    codec = CellCodec.from_pretrained(config.codec).eval()
    out.mkdir(parents=True, exist_ok=True)
    beats = np.array([clip["beats"] for clip in table.clips])
    first = np.concatenate([[0], np.cumsum(beats)])
    controls = np.lib.format.open_memmap(
        out / "controls.npy", "w+", np.float16, (int(first[-1]), CHANNELS, CONTROL_ROWS)
    )
    drums = np.zeros((int(first[-1]), DRUM_DIM), dtype=np.float16)
    counts, places, points = [], [], []
    for row, clip in enumerate(tqdm(table.clips, desc="scores", mininterval=10.0)):
        score = table.score(row)
        grid = grid_from_score(score, clip["beats"])
        said = measure_controls(
            score, grid, STYLE_NUMBERS[clip["style"]], INSTRUMENT_NUMBERS, (clip["valence"], clip["arousal"]),
            clip["begins"], clip["ends"],
        )  # fmt: skip
        span = slice(int(first[row]), int(first[row + 1]))
        controls[span] = encode_controls(said).transpose(1, 0, 2)
        cells, hits = encode_cells(codec, grid)
        drums[span] = hits.T.numpy()
        by_beat = cells.permute(2, 0, 3, 1).reshape(clip["beats"], _CELLS, CELL_DIM).numpy()
        filled = by_beat.any(axis=-1)
        counts.append(filled.sum(axis=1))
        places.append(np.nonzero(filled)[1].astype(np.uint8))
        points.append(by_beat[filled].astype(np.float16))
    controls.flush()
    np.save(out / "drums.npy", drums)
    np.save(out / "cells.npy", np.concatenate(points))
    np.save(out / "places.npy", np.concatenate(places))
    np.save(out / "offsets.npy", np.concatenate([[0], np.cumsum(np.concatenate(counts))]))
    captions = {"": 0}
    for clip in table.clips:
        clip["captions"] = [clip["captions"][place] for place in config.captions]
        for text in clip["captions"]:
            captions.setdefault(text, len(captions))
    clips = []
    for row, clip in enumerate(table.clips):
        kept = {name: value for name, value in clip.items() if name not in ("captions", "chords", "harmony")}
        clips.append(
            {**kept, "first_beat": int(first[row]), "captions": [captions[text] for text in clip["captions"]]}
        )
    (out / "clips.json").write_text(json.dumps(clips))
    # Half precision moves the states by 0.6 % and takes half the time.
    with torch.autocast("cpu", torch.bfloat16):
        store = encode_captions(*load_minilm(), list(captions))
    store.save(out, "captions")


class PreparedScores:
    """What :func:`prepare` wrote.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.clips: list[dict] = json.loads((folder / "clips.json").read_text())
        self.captions = CaptionStore.load(folder, "captions")
        self._controls = np.load(folder / "controls.npy", mmap_mode="r")
        self._drums = np.load(folder / "drums.npy")
        self._cells = np.load(folder / "cells.npy")
        self._places = np.load(folder / "places.npy")
        self._offsets = np.load(folder / "offsets.npy")

    def rows(self, split: str, beats: int) -> list[int]:
        """Passages of a split that are long enough.

        Args:
            split: Name of the split.
            beats: Least length.

        Returns:
            Their numbers.

        Raises:
            ValueError: When there are none.
        """
        found = [row for row, clip in enumerate(self.clips) if clip["split"] == split and clip["beats"] >= beats]
        if not found:
            raise ValueError(f"no passage of {beats} beats in split {split!r}")
        return found

    def latents(self, row: int, start: int, beats: int) -> torch.Tensor:
        """Latents of a crop.

        Args:
            row: Number of the passage.
            start: First beat.
            beats: Length in beats.

        Returns:
            Of shape ``(channels, beats, rows)``, float32.
        """
        first = self.clips[row]["first_beat"] + start
        out = np.zeros((beats, CHANNELS, ROWS), dtype=np.float32)
        out[:, :, :CONTROL_ROWS] = self._controls[first : first + beats]
        out[:, :DRUM_DIM, DRUM_ROW] = self._drums[first : first + beats]
        begin, end = self._offsets[first], self._offsets[first + beats]
        beat = np.repeat(np.arange(beats), np.diff(self._offsets[first : first + beats + 1]))
        role, octave = np.divmod(self._places[begin:end].astype(np.int64), OCTAVES)
        cells = out[:, :, FIRST_OCTAVE_ROW : FIRST_OCTAVE_ROW + OCTAVES].reshape(beats, len(ROLES), CELL_DIM, OCTAVES)
        cells[beat, role, :, octave] = self._cells[begin:end]
        out[:, :, FIRST_OCTAVE_ROW : FIRST_OCTAVE_ROW + OCTAVES] = cells.reshape(beats, CHANNELS, OCTAVES)
        return torch.from_numpy(out.transpose(1, 0, 2).copy())
