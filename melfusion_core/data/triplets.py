"""Builds the corpus: triplets of picture, caption and music, paired by affect, in MeLBench's layout.

`ROOT/metadata.jsonl` has one JSON object a line; audio is mono FLAC, pictures are square JPEGs. Everything follows
from the seed: every clip has its own random stream, so the number of workers changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from tqdm.auto import tqdm

from .captions import make_captions, tempo_word
from .composer import compose
from .midi import PACK_WEIGHTS, Piece, ScoreError, excerpt, find_scores, read_piece
from .music_affect import MusicCues, music_affect, music_cues
from .pictures import PictureSource, draw_pool, rank_normalise
from .renderer import DEFAULT_SOUNDFONT, check_renderer, level, render
from .score import Score

logger = logging.getLogger(__name__)

SAMPLE_RATE = 32000
SECONDS = 10.24
SPLIT_SHARES = {"train": 0.88, "validation": 0.04, "test": 0.08}
BATCH = 16
_COMPOSER, _PICTURES, _PAIRING, _CAPTIONS = 1, 2, 3, 4  # random streams


@dataclass(frozen=True)
class CorpusSpec:
    """What determines a corpus.

    Args:
        clips: number of triplets.
        seed: seed of everything.
        scores: folder with the unpacked score packs, or None for composed music only.
        pictures: folder with rated pictures (`pictures.csv`), or None for procedural scenes only.
        soundfont: General MIDI SoundFont.
        score_share: share of clips cut from real scores when there are any, 0 to 1.
        pairing_noise: standard deviation of the affect pairing on the 0 to 1 plane.
    """

    clips: int
    seed: int = 0
    scores: str | None = None
    pictures: str | None = None
    soundfont: str = str(DEFAULT_SOUNDFONT)
    score_share: float = 0.45
    pairing_noise: float = 0.06

    def __post_init__(self) -> None:
        """Check the values."""
        if self.clips < 1:
            raise ValueError(f"clips must be at least 1, got {self.clips}")
        if not 0.0 <= self.score_share <= 1.0:
            raise ValueError(f"score_share must lie in [0, 1], got {self.score_share}")
        if not 0.0 <= self.pairing_noise <= 1.0:
            raise ValueError(f"pairing_noise must lie in [0, 1], got {self.pairing_noise}")


def split_of(piece: str, seed: int) -> str:
    """Split of a piece, by hash, so that a whole work is in one split.

    Args:
        piece: identifier of the work.
        seed: corpus seed.
    """
    value = int.from_bytes(hashlib.sha256(f"{seed}/{piece}".encode()).digest()[:8], "big") / 2**64
    total = 0.0
    for name, share in SPLIT_SHARES.items():
        total += share
        if value < total:
            return name
    return "test"


@lru_cache(maxsize=512)
def _piece(path: str, pack: str) -> Piece:
    return read_piece(Path(path), pack)


def _score(spec: CorpusSpec, index: int, packs: dict[str, list[str]]) -> Score:
    """The music of clip `index`."""
    rng = np.random.default_rng([spec.seed, _COMPOSER, index])
    valence, arousal = rng.random(2)
    if packs and rng.random() < spec.score_share:
        names = sorted(packs)
        weights = np.array([PACK_WEIGHTS[name] for name in names])
        for _ in range(20):
            pack = names[int(rng.choice(len(names), p=weights / weights.sum()))]
            path = packs[pack][int(rng.integers(len(packs[pack])))]
            try:
                return excerpt(rng, _piece(path, pack), arousal, SECONDS)
            except ScoreError as error:
                logger.debug("%s; drawing another", error)
    return compose(rng, valence, arousal, f"composer/{spec.seed}-{index}", SECONDS)


def _scores(args: tuple[CorpusSpec, list[int], dict[str, list[str]]]) -> list[Score]:
    spec, indices, packs = args
    return [_score(spec, index, packs) for index in indices]


def _render_batch(args: tuple[CorpusSpec, Path, list[int], list[Score], list[float]]) -> None:
    """Render clips that are not on disk yet."""
    spec, root, indices, scores, arousal = args
    paths = [root / "audio" / f"{index:06d}.flac" for index in indices]
    if all(path.is_file() for path in paths):
        return
    for path, clip, excitement in zip(
        paths, render(scores, SECONDS, SAMPLE_RATE, Path(spec.soundfont)), arousal, strict=True
    ):
        partial = path.with_suffix(".partial")
        soundfile.write(partial, level(clip, excitement, SAMPLE_RATE), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        partial.rename(path)


def pair_by_affect(rng: np.random.Generator, music: np.ndarray, pictures: np.ndarray, noise: float) -> np.ndarray:
    """Give every clip a picture of its own, near in the valence-arousal plane.

    Args:
        rng: source of randomness.
        music: (clips, 2) rank-normalised valence and arousal.
        pictures: (pictures, 2) likewise; at least as many rows as `music`.
        noise: standard deviation added to the clip's position.

    Returns:
        (clips,) index of each clip's picture.

    Raises:
        ValueError: there are fewer pictures than clips.
    """
    if len(pictures) < len(music):
        raise ValueError(f"{len(pictures)} pictures are too few for {len(music)} clips")
    free = np.ones(len(pictures), dtype=bool)
    chosen = np.empty(len(music), dtype=np.int64)
    for clip in rng.permutation(len(music)):
        target = music[clip] + rng.normal(0, noise, 2)
        distance = np.where(free, ((pictures - target) ** 2).sum(1), np.inf)
        chosen[clip] = int(np.argmin(distance))
        free[chosen[clip]] = False
    return chosen


def _attributes(score: Score, cues: MusicCues) -> dict[str, object]:
    """What is known of a clip."""
    return {
        "style": score.style,
        "lead": score.lead.instrument,
        "instruments": sorted({track.instrument for track in score.tracks}),
        "tempo_bpm": round(score.tempo_bpm, 2),
        "tempo_word": tempo_word(score.tempo_bpm),
        "mode": score.mode,
        "key": score.key_name,
        "onset_rate_hz": round(cues.onset_rate_hz, 3),
        "velocity": round(cues.velocity, 1),
    }


def build_corpus(out: Path | str, spec: CorpusSpec, workers: int = 2, progress: bool = True) -> Path:
    """Build a corpus, or finish one that was interrupted.

    Args:
        out: folder to write.
        spec: what to build.
        workers: processes that compose and render.
        progress: show progress bars.

    Returns:
        Path of `metadata.jsonl`.

    Raises:
        RendererError: FluidSynth or the SoundFont is missing.
        ValueError: `out` holds a corpus made from another specification.
    """
    root = Path(out)
    check_renderer(Path(spec.soundfont))
    (root / "audio").mkdir(parents=True, exist_ok=True)
    (root / "images").mkdir(exist_ok=True)
    marker = root / "spec.json"
    wanted = {**asdict(spec), "scores": bool(spec.scores), "pictures": bool(spec.pictures)}
    if marker.is_file() and json.loads(marker.read_text()) != wanted:
        raise ValueError(f"{root} already holds a corpus made from other settings; choose another folder")
    marker.write_text(json.dumps(wanted, indent=1))
    packs = {}
    if spec.scores:
        packs = {pack: [str(p) for p in files] for pack, files in find_scores(Path(spec.scores)).items()}
        if not packs:
            raise ValueError(f"no score pack found in {spec.scores}")
    batches = [list(range(i, min(i + BATCH, spec.clips))) for i in range(0, spec.clips, BATCH)]
    with ProcessPoolExecutor(max_workers=max(workers, 1)) as pool:
        work = pool.map(_scores, [(spec, batch, packs) for batch in batches])
        scores = [s for part in tqdm(work, total=len(batches), desc="composing", disable=not progress) for s in part]
        cues = [music_cues(score, SECONDS) for score in scores]
        valence, arousal = (rank_normalise(values) for values in music_affect(cues))
        jobs = [(spec, root, b, [scores[i] for i in b], [float(arousal[i]) for i in b]) for b in batches]
        for _ in tqdm(pool.map(_render_batch, jobs), total=len(jobs), desc="rendering", disable=not progress):
            pass
    rows: list[dict[str, object]] = [{} for _ in scores]
    splits = np.array([split_of(score.piece, spec.seed) for score in scores])
    source = PictureSource(Path(spec.pictures) if spec.pictures else None)
    for number, split in enumerate(SPLIT_SHARES):
        clips = np.flatnonzero(splits == split)
        if not len(clips):
            continue
        pool_rng = np.random.default_rng([spec.seed, _PICTURES, number])
        pictures = draw_pool(source, pool_rng, split, int(len(clips) * 1.25) + 8)
        plane = np.stack(
            [rank_normalise([p.valence for p in pictures]), rank_normalise([p.arousal for p in pictures])], axis=1
        )
        rng = np.random.default_rng([spec.seed, _PAIRING, number])
        partners = pair_by_affect(rng, np.stack([valence[clips], arousal[clips]], axis=1), plane, spec.pairing_noise)
        for clip, partner in zip(tqdm(clips, desc=f"pairing {split}", disable=not progress), partners, strict=True):
            picture, score = pictures[partner], scores[clip]
            name = f"{clip:06d}"
            picture.image.save(root / "images" / f"{name}.jpg", quality=92)
            caption_rng = np.random.default_rng([spec.seed, _CAPTIONS, clip])
            captions = make_captions(caption_rng, score, float(valence[clip]), float(arousal[clip]))
            rows[clip] = {
                "id": name, "split": split, "audio": f"audio/{name}.flac", "image": f"images/{name}.jpg",
                "caption": captions[0], "captions": captions, "image_caption": picture.caption,
                "image_kind": picture.kind, "theme": picture.theme,
                "image_valence": round(float(plane[partner, 0]), 4),
                "image_arousal": round(float(plane[partner, 1]), 4),
                "music_valence": round(float(valence[clip]), 4), "music_arousal": round(float(arousal[clip]), 4),
                "attributes": _attributes(score, cues[clip]), "piece": score.piece, "source": score.source,
            }  # fmt: skip
    partial = root / "metadata.partial"
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return partial.rename(root / "metadata.jsonl")


def corpus_stats(root: Path | str) -> dict[str, object]:
    """Counts over a corpus.

    Args:
        root: folder with `metadata.jsonl`.

    Returns:
        Hours, splits, and counts of sources, styles, leads, tempi, keys and picture kinds; and the rank correlation
        of the pairing for valence and arousal.
    """
    path = Path(root) / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]

    def count(get) -> dict[str, int]:
        return dict(Counter(str(get(row)) for row in rows).most_common())

    def agreement(axis: str) -> float:
        pairs = np.array([[row[f"image_{axis}"], row[f"music_{axis}"]] for row in rows])
        return round(float(np.corrcoef(pairs.T)[0, 1]), 3)

    return {
        "clips": len(rows),
        "hours": round(len(rows) * SECONDS / 3600, 2),
        "splits": count(lambda r: r["split"]),
        "sources": count(lambda r: r["source"]),
        "styles": count(lambda r: r["attributes"]["style"]),
        "leads": count(lambda r: r["attributes"]["lead"]),
        "tempi": count(lambda r: r["attributes"]["tempo_bpm"]),
        "keys": count(lambda r: r["attributes"]["key"]),
        "picture_kinds": count(lambda r: r["image_kind"]),
        "pairing_correlation": {"valence": agreement("valence"), "arousal": agreement("arousal")},
    }
