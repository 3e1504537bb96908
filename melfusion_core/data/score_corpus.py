"""Builds the score corpus: sections of composed and of real music as notes, with captions and moods, and no sound.

Everything follows from the seed: every section has its own random stream, and chunks of sections are files of their
own. So the number of workers changes nothing, an interrupted build goes on, and machines can share the work: each
builds some chunks, and where all of them lie together they become one corpus.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from melfusion_core.data.captions import make_captions
from melfusion_core.data.fingerprint import folder_fingerprint
from melfusion_core.data.grooves import Grooves, load_grooves
from melfusion_core.data.marker import read_marker, write_marker
from melfusion_core.data.music_affect import MusicCues, music_affect, music_cues
from melfusion_core.data.pictures import rank_normalise
from melfusion_core.data.score_files import PACK_WEIGHTS, Piece, ScoreError, find_scores, read_piece
from melfusion_core.data.score_table import ScoreTable
from melfusion_core.data.sections.compose import compose_section
from melfusion_core.data.sections.excerpts import excerpt_section
from melfusion_core.data.sections.windows import Window, section_windows
from melfusion_core.data.triplets import GROOVES_FOLDER, CorpusBuildError, split_of
from melfusion_core.data.workers import start_workers
from melfusion_core.score.score import Score

logger = logging.getLogger(__name__)

CHUNK = 500
"""Sections of a file."""
BARS = {3: (6, 8, 8, 8, 12), 4: (4, 6, 8, 8, 8, 8, 9, 12)}
"""Lengths of composed sections by metre, the likelier ones more often."""
_SECTION, _CAPTIONS = 11, 12  # random streams


@dataclass(frozen=True)
class ScoreCorpusSpec:
    """What determines a score corpus.

    Args:
        sections: Number of sections.
        seed: Seed of everything.
        split_seed: Seed of the splits; that of the corpus whose test works are to stay unseen.
        scores: Folder with the unpacked score packs, or None for composed music only.
        score_share: Share of sections cut from real scores when there are any, 0 to 1.
    """

    sections: int
    seed: int = 0
    split_seed: int = 11
    scores: str | None = None
    score_share: float = 0.45

    def __post_init__(self) -> None:
        """Check the values."""
        if self.sections < 1:
            raise ValueError(f"sections must be at least 1, got {self.sections}")
        if not 0.0 <= self.score_share <= 1.0:
            raise ValueError(f"score_share must lie in [0, 1], got {self.score_share}")


@lru_cache(maxsize=1)
def _packs(folder: str) -> dict[str, list[str]]:
    return {pack: [str(path) for path in paths] for pack, paths in sorted(find_scores(Path(folder)).items())}


@lru_cache(maxsize=1)
def _grooves(folder: str) -> Grooves | None:
    path = Path(folder) / GROOVES_FOLDER
    return load_grooves(path) if (path / "info.csv").is_file() else None


@lru_cache(maxsize=4096)
def _piece(path: str, pack: str) -> tuple[Piece, list[Window]] | None:
    """A work and its windows, each of them as likely as the others; None when it cannot be used."""
    try:
        piece = read_piece(Path(path), pack)
    except ScoreError as error:
        logger.debug("%s", error)
        return None
    windows = section_windows(piece, 12 if piece.beats_per_bar == 3 else 9, hop=4, least=4)
    return (piece, windows) if windows else None


def _from_pack(rng: np.random.Generator, spec: ScoreCorpusSpec, mood: np.ndarray) -> tuple[Score, Window] | None:
    packs = _packs(str(spec.scores))
    weights = np.array([PACK_WEIGHTS[name] for name in packs])
    for _ in range(30):
        pack = list(packs)[int(rng.choice(len(packs), p=weights / weights.sum()))]
        found = _piece(packs[pack][int(rng.integers(len(packs[pack])))], pack)
        if found is None:
            continue
        piece, windows = found
        window = windows[int(rng.integers(len(windows)))]
        try:
            return excerpt_section(rng, piece, window, float(mood[0]), float(mood[1])), window
        except ScoreError as error:
            logger.debug("%s; drawing another", error)
    return None


def make_section(spec: ScoreCorpusSpec, index: int) -> tuple[Score, dict[str, object]]:
    """One section.

    Args:
        spec: What is built.
        index: Number of the section.

    Returns:
        The score, and what else is known of it.
    """
    rng = np.random.default_rng([spec.seed, _SECTION, index])
    mood = rng.random(2)
    name = f"composer/{spec.seed}s-{index}"
    found = _from_pack(rng, spec, mood) if spec.scores and rng.random() < spec.score_share else None
    if found is not None:
        score, window = found
        bars, begins, ends = window.bars, window.begin < 1e-3, window.last
    else:
        bars = int(rng.choice(BARS[4]))
        ends, begins = bool(rng.random() < 0.6), True
        grooves = _grooves(spec.scores) if spec.scores else None
        own = grooves.part(split_of(name, spec.split_seed)) if grooves else None  # none is heard in two splits
        score = compose_section(rng, float(mood[0]), float(mood[1]), name, bars, ends, grooves=own)
    beats = bars * score.beats_per_bar
    cues = music_cues(score, beats * 60.0 / score.tempo_bpm)
    split = split_of(score.piece, spec.split_seed)
    return score, {"split": split, "beats": beats, "begins": begins, "ends": ends, "cues": asdict(cues)}


def _build_chunk(args: tuple[ScoreCorpusSpec, Path, int]) -> None:
    spec, folder, chunk = args
    rows = range(chunk * CHUNK, min((chunk + 1) * CHUNK, spec.sections))
    made = [make_section(spec, index) for index in rows]
    partial = folder / f"{chunk:05d}.partial"
    ScoreTable.from_scores([score for score, _ in made], [known for _, known in made]).save(partial)
    partial.rename(folder / f"{chunk:05d}")


def _mark(root: Path, spec: ScoreCorpusSpec) -> None:
    """Record what a folder is made from, or refuse one made from something else."""
    wanted = {"format": 1, **asdict(spec), "scores": folder_fingerprint(spec.scores) if spec.scores else None}
    marker = root / "spec.json"
    if read_marker(marker) not in (None, wanted):
        raise CorpusBuildError(f"{root} already holds a corpus made from other settings; choose another folder")
    write_marker(marker, wanted)


def build_score_corpus(
    out: Path | str,
    spec: ScoreCorpusSpec,
    workers: int = 1,
    shard: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> Path | None:
    """Build a score corpus, or one machine's share of it.

    Args:
        out: Folder to write. Chunks that other machines built belong into its ``parts``.
        spec: What to build.
        workers: Processes.
        shard: Which share to build, and how many there are.
        progress: Whether to show a bar.

    Returns:
        The folder once all chunks are there and joined; None while some are missing.

    Raises:
        CorpusBuildError: When the folder holds another corpus or there is no score pack.
        ValueError: When the shard makes no sense.
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard must be one of 0 to {count - 1} of {count}, got {index}")
    root = Path(out)
    parts = root / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    if spec.scores and not _packs(spec.scores):
        raise CorpusBuildError(f"no score pack found in {spec.scores}")
    _mark(root, spec)
    chunks = range(-(-spec.sections // CHUNK))
    missing = [k for k in chunks if k % count == index and not (parts / f"{k:05d}").is_dir()]
    with start_workers(workers, root / f".work-{index}") as pool:
        work = pool.map(_build_chunk, [(spec, parts, chunk) for chunk in missing])
        for _ in tqdm(work, total=len(missing), desc="sections", disable=not progress, unit_scale=CHUNK):
            pass
    folders = [parts / f"{chunk:05d}" for chunk in chunks]
    if not all(folder.is_dir() for folder in folders):
        return None
    join_parts(root, spec, [ScoreTable.load(folder) for folder in folders])
    return root


def join_parts(root: Path, spec: ScoreCorpusSpec, parts: list[ScoreTable]) -> None:
    """Make one corpus of chunks: moods are ranks among all sections, and captions follow them.

    Args:
        root: Folder to write.
        spec: What was built.
        parts: All chunks, in order.
    """
    table = ScoreTable.concat(parts)
    affect = music_affect([MusicCues(**clip["cues"]) for clip in table.clips])
    moods = np.stack([rank_normalise(values) for values in affect], axis=1)
    for row, (clip, (valence, arousal)) in enumerate(zip(table.clips, moods, strict=True)):
        rng = np.random.default_rng([spec.seed, _CAPTIONS, row])
        clip["valence"], clip["arousal"] = round(float(valence), 4), round(float(arousal), 4)
        clip["captions"] = make_captions(rng, table.score(row), float(valence), float(arousal))
    table.save(root)
