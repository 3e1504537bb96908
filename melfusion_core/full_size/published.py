"""The paper's figures for one's own music: FAD, FD, KL and IMSM of a folder of clips against a folder of
references."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.audio import load_audio
from melfusion_core.data.corpus import CorpusError, Triplet, read_table
from melfusion_core.evaluation.metrics import frechet_distance, kl_divergence
from melfusion_core.full_size.embedders import RATE, Cnn14, VGGish
from melfusion_core.full_size.imsm import imsm
from melfusion_core.full_size.joint_embedders import Clap, OpenClip

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")
# Chowdhury et al., CVPR 2024; MusicGen is their strongest text-only system.
PAPER_ROWS = {
    "MeLFusion (paper), MusicCaps": {"FAD": 1.12, "KL": 0.89, "FD": 22.65, "IMSM": 0.76},
    "MeLFusion (paper), MeLBench": {"FAD": 1.05, "KL": 0.72, "FD": 20.49, "IMSM": 0.83},
    "MusicGen (paper), MusicCaps": {"FAD": 3.40},
    "MusicGen (paper), MeLBench": {"FAD": 3.28},
}


class PublishedError(RuntimeError):
    """An evaluation cannot be made; the message says why."""


@dataclass(frozen=True)
class Pair:
    """A generated clip with what it belongs to.

    Args:
        name: Common name of the files, without suffix.
        generated: The generated clip.
        reference: The real one.
        row: Its picture and caption, or None.
    """

    name: str
    generated: Path
    reference: Path
    row: Triplet | None = None


@dataclass(frozen=True)
class Embedders:
    """What measures; an absent network's figures are left out, and said to be.

    Args:
        vggish: For FAD.
        panns: For FD and KL.
        clap: For FAD with CLAP, and for IMSM.
        clip: For IMSM.
    """

    vggish: VGGish | None = None
    panns: Cnn14 | None = None
    clap: Clap | None = None
    clip: OpenClip | None = None


def find_pairs(generated: Path, reference: Path, table: Path | None = None) -> list[Pair]:
    """Pair clips by name.

    Args:
        generated: Folder of generated clips.
        reference: Folder of real clips of the same names; the suffixes may differ.
        table: JSON lines with the clips' pictures and captions, see `melfusion_core.data.corpus`. None where IMSM
            is not wanted.

    Returns:
        The pairs, sorted by name.

    Raises:
        PublishedError: When a folder is missing, a clip has no partner, fewer than two pairs are left, or the table
            lacks one of them.
    """
    files = {}
    for folder in (generated, reference):
        if not folder.is_dir():
            raise PublishedError(f"The folder {folder} does not exist.")
        files[folder] = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    alone = sorted(files[generated].keys() - files[reference].keys())
    if alone:
        raise PublishedError(f"{len(alone)} generated clips have no reference of their name, such as {alone[0]}.")
    if len(files[generated]) < 2:
        raise PublishedError(f"{generated} has fewer than two clips.")
    known = {} if table is None else {row.audio.stem: row for row in read_rows(table)}
    lost = [name for name in files[generated] if table is not None and name not in known]
    if lost:
        raise PublishedError(f"{table} has no row of the clip {lost[0]}.")
    return [Pair(name, path, files[reference][name], known.get(name)) for name, path in files[generated].items()]


def read_rows(table: Path, split: str = "") -> list[Triplet]:
    """Read a table of which every row counts.

    Args:
        table: JSON lines.
        split: Split whose rows count; empty for all.

    Returns:
        Its rows.

    Raises:
        PublishedError: When the table is missing or a line of it damaged.
    """
    try:
        rows, reasons = read_table(table, "jsonl")
    except CorpusError as error:
        raise PublishedError(f"{error}.") from error
    if reasons:
        raise PublishedError(f"{reasons[0]}.")
    return [row for row in rows if not split or row.split == split]


def measure(pairs: list[Pair], embedders: Embedders, batch: int = 0, progress: bool = False) -> dict[str, Any]:
    """Measure everything that the embedders allow.

    Args:
        pairs: The clips.
        embedders: What measures.
        batch: Triplets compared with each other at a time in the released IMSM; 0 for all.
        progress: Show progress bars.

    Returns:
        Figures with their embedders, ready for JSON.

    Raises:
        PublishedError: When a clip cannot be measured, for instance because it is too short.
    """
    report: dict[str, Any] = {"clips": len(pairs), "figures": {}, "left_out": []}
    figures = report["figures"]

    def each(paths: Iterable[Path], label: str, rate: int, work: Callable[[torch.Tensor], Any]) -> list[Any]:
        rows = []
        for path in tqdm(list(paths), desc=label, disable=not progress):
            waveform = load_audio(path, rate)
            try:
                rows.append(work(waveform))
            except ValueError as error:
                raise PublishedError(f"{path} could not be measured: {error}.") from error
        return rows

    sides = [[pair.generated for pair in pairs], [pair.reference for pair in pairs]]
    if embedders.vggish is not None:
        sets = [np.concatenate(each(side, "VGGish", RATE, embedders.vggish.embed)) for side in sides]
        figures["FAD"] = {"value": frechet_distance(*sets), "embedder": embedders.vggish.name}
    else:
        report["left_out"].append("FAD (VGGish): no weights given")
    if embedders.panns is not None:
        found = [each(side, "PANNs", RATE, embedders.panns.embed) for side in sides]
        vectors, classes = ([np.stack([row[part] for row in rows]) for rows in found] for part in range(2))
        figures["FD"] = {"value": frechet_distance(*vectors), "embedder": embedders.panns.name}
        figures["KL"] = {"value": kl_divergence(classes[1], classes[0]), "embedder": embedders.panns.name}
    else:
        report["left_out"].append("FD and KL (PANNs): no weights given")
    audios = None
    if embedders.clap is not None:
        clap = embedders.clap
        sets = [np.concatenate(each(side, "CLAP", clap.sample_rate, _clap_row(clap))) for side in sides]
        audios = sets[0]
        figures["FAD_CLAP"] = {"value": frechet_distance(*sets), "embedder": clap.name}
    else:
        report["left_out"].append("FAD (CLAP): no CLAP given")
    rows = [pair.row for pair in pairs if pair.row is not None]
    if audios is not None and embedders.clip is not None and len(rows) == len(pairs):
        clip = embedders.clip
        captions = [row.caption for row in rows]
        images = np.concatenate([clip.embed_images([row.read_image()]) for row in rows])
        scores = imsm(
            images,
            clip.embed_text(captions),
            audios,
            embedders.clap.embed_text(captions),
            clip.logit_scale,
            embedders.clap.logit_scale,
            batch,
        )
        names = f"{clip.name} and {embedders.clap.name}"
        figures["IMSM"] = {"value": scores.released, **asdict(scores), "ceiling": scores.ceiling, "embedder": names}
    else:
        report["left_out"].append("IMSM: needs CLIP, CLAP and a table of pictures and captions")
    return report


def _clap_row(clap: Clap) -> Callable[[torch.Tensor], np.ndarray]:
    return lambda waveform: clap.embed_audio([waveform.numpy()])


def markdown(report: dict[str, Any], label: str = "this model") -> str:
    """Write the figures as a table beside the paper's rows.

    Args:
        report: What `measure` gave.
        label: What was measured.

    Returns:
        Markdown.
    """
    columns = ("FAD", "FAD_CLAP", "KL", "FD", "IMSM")
    figures = report["figures"]

    def row(name: str, values: dict[str, float]) -> str:
        cells = [f"{values[column]:.3f}" if column in values else "-" for column in columns]
        return f"| {name} | {' | '.join(cells)} |"

    lines = [
        f"# Published figures, {report['clips']} clips",
        "",
        f"| | {' | '.join(column.replace('_', ' ') for column in columns)} |",
        f"|---|{'---|' * len(columns)}",
        row(label, {name: figure["value"] for name, figure in figures.items()}),
        *(row(name, values) for name, values in PAPER_ROWS.items()),
        "",
        "Lower is better but for IMSM. Numbers of different embedders, or of different reference sets, do not "
        "compare; nor do Frechet distances (FAD, FD) of different numbers of clips: they fall as clips are added.",
        "",
    ]
    lines += [f"- {name.replace('_', ' ')}: {figure['embedder']}" for name, figure in figures.items()]
    if "IMSM" in figures:
        score = figures["IMSM"]
        lines.append(
            f"- IMSM as released {score['released']:.4f} (batches of {score['batch']}, at most "
            f"{score['ceiling']:.4f}), "
            f"before its last softmax {score['before']:.4f}, per pair {score['per_pair']:.4f}"
        )
    lines += [f"- Left out: {reason}" for reason in report["left_out"]]
    return "\n".join(lines) + "\n"
