"""Builds the corpus: triplets of picture, caption and music, paired by affect, in MeLBench's layout.

`ROOT/metadata.jsonl` has one JSON object a line; audio is mono FLAC, pictures are square JPEGs. Everything follows
from the seed: every clip has its own random stream, so the number of workers changes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from tqdm.auto import tqdm

from melfusion_core.data.captions import make_captions
from melfusion_core.data.composer import compose
from melfusion_core.data.fingerprint import folder_fingerprint
from melfusion_core.data.grooves import Grooves, load_grooves
from melfusion_core.data.marker import read_marker, write_marker
from melfusion_core.data.midi import excerpt
from melfusion_core.data.music_affect import MusicCues, music_affect, music_cues
from melfusion_core.data.pictures import Picture, PictureSource, rank_normalise
from melfusion_core.data.renderer import DEFAULT_SOUNDFONT, RendererError, check_renderer, level, render
from melfusion_core.data.score_files import PACK_WEIGHTS, Piece, ScoreError, find_scores, read_piece
from melfusion_core.data.workers import start_workers
from melfusion_core.score.score import Score
from melfusion_core.score.tempo import tempo_word

logger = logging.getLogger(__name__)

SAMPLE_RATE = 32000
SECONDS = 10.24
SPLIT_SHARES = {"train": 0.88, "validation": 0.04, "test": 0.08}
BATCH = 32  # clips a FluidSynth run; 16, 32, 64 and 128 took 0.20, 0.25, 0.29 and 0.29 s a clip on a busy core
BYTES_PER_CLIP = 420_000
GROOVES_FOLDER = "groove_drums"
SCRATCH = ".work"
SCORES = "scores.jsonl"
"""Notes of every described clip, exactly: one score a line, with the clip's id."""
_COMPOSER, _PICTURES, _PAIRING, _CAPTIONS, _SOUNDFONT = 1, 2, 3, 4, 5  # random streams


class CorpusBuildError(ValueError):
    """A corpus cannot be built there; the message says what to do."""


@dataclass(frozen=True)
class CorpusSpec:
    """What determines a corpus.

    Args:
        clips: number of triplets.
        seed: seed of everything.
        scores: folder with the unpacked score packs, or None for composed music only.
        pictures: folder with rated pictures (`pictures.csv`), or None for procedural scenes only.
        soundfonts: General MIDI SoundFonts; where there are several, each clip draws one.
        score_share: share of clips cut from real scores when there are any, 0 to 1.
        pairing_noise: standard deviation of the affect pairing on the 0 to 1 plane.
    """

    clips: int
    seed: int = 0
    scores: str | None = None
    pictures: str | None = None
    soundfonts: tuple[str, ...] = (str(DEFAULT_SOUNDFONT),)
    score_share: float = 0.45
    pairing_noise: float = 0.06

    def __post_init__(self) -> None:
        """Check the values."""
        if self.clips < 1:
            raise ValueError(f"clips must be at least 1, got {self.clips}")
        if not self.soundfonts:
            raise ValueError("soundfonts must name at least one file")
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


@lru_cache(maxsize=2048)
def _piece(path: str, pack: str) -> Piece | None:
    """A score, or None when it cannot be used: each file is read once per process."""
    try:
        return read_piece(Path(path), pack)
    except ScoreError as error:
        logger.debug("%s", error)
        return None


@lru_cache(maxsize=1)
def _grooves(folder: str | None) -> Grooves | None:
    path = Path(folder) / GROOVES_FOLDER if folder else None
    return load_grooves(path) if path and (path / "info.csv").is_file() else None


def _score(spec: CorpusSpec, index: int, packs: dict[str, list[str]]) -> Score:
    """The music of clip `index`."""
    rng = np.random.default_rng([spec.seed, _COMPOSER, index])
    valence, arousal = rng.random(2)
    if packs and rng.random() < spec.score_share:
        names = sorted(packs)
        weights = np.array([PACK_WEIGHTS[name] for name in names])
        for _ in range(20):
            pack = names[int(rng.choice(len(names), p=weights / weights.sum()))]
            piece = _piece(packs[pack][int(rng.integers(len(packs[pack])))], pack)
            if piece is None:
                continue
            try:
                return excerpt(rng, piece, arousal, SECONDS)
            except ScoreError as error:
                logger.debug("%s; drawing another", error)
    name = f"composer/{spec.seed}-{index}"
    grooves = _grooves(spec.scores)
    own = grooves.part(split_of(name, spec.seed)) if grooves else None  # no performance is heard in two splits
    return compose(rng, valence, arousal, name, SECONDS, grooves=own)


def _scores(args: tuple[CorpusSpec, list[int], dict[str, list[str]]]) -> list[Score]:
    spec, indices, packs = args
    return [_score(spec, index, packs) for index in indices]


def soundfont_of(spec: CorpusSpec, index: int) -> str:
    """The SoundFont of a clip.

    Args:
        spec: what is built.
        index: number of the clip.
    """
    if len(spec.soundfonts) == 1:
        return spec.soundfonts[0]
    rng = np.random.default_rng([spec.seed, _SOUNDFONT, index])
    return spec.soundfonts[int(rng.integers(len(spec.soundfonts)))]


def _render_batch(args: tuple[CorpusSpec, Path, list[int], list[Score], list[float]]) -> None:
    """Render clips that are not on disk yet."""
    spec, root, indices, scores, arousal = args
    paths = [root / "audio" / f"{index:06d}.flac" for index in indices]
    if all(_is_whole(path) for path in paths):
        return
    fonts = [soundfont_of(spec, index) for index in indices]
    for font in dict.fromkeys(fonts):
        rows = [row for row, own in enumerate(fonts) if own == font]
        clips = render([scores[row] for row in rows], SECONDS, SAMPLE_RATE, Path(font))
        for row, clip in zip(rows, clips, strict=True):
            partial = paths[row].with_suffix(".partial")
            sound = level(clip, arousal[row], SAMPLE_RATE)
            soundfile.write(partial, sound, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            if not _is_whole(partial):
                raise RendererError(f"{paths[row]} could not be written whole")
            partial.rename(paths[row])


def _is_whole(path: Path) -> bool:
    """Whether a clip can be read to its end: a full disk cuts files without a word."""
    try:
        return path.is_file() and len(soundfile.read(path, dtype="int16")[0]) == round(SECONDS * SAMPLE_RATE)
    except soundfile.LibsndfileError:
        return False


@contextmanager
def _full_disk_named(root: Path) -> Iterator[None]:
    """Say that the disk is full where that is why writing failed."""
    try:
        yield
    except (OSError, soundfile.LibsndfileError, RendererError) as error:
        free = shutil.disk_usage(root).free
        if getattr(error, "errno", None) == errno.ENOSPC or free < 2 * BATCH * BYTES_PER_CLIP:
            raise CorpusBuildError(
                f"The disk with {root} is full ({free / 1e6:,.0f} MB are free). Finished clips are kept: make room "
                "and run the same command again."
            ) from error
        raise


def _check_room(root: Path, clips: int) -> None:
    """Refuse to start what cannot fit."""
    done = sum(1 for _ in (root / "audio").glob("*.flac"))
    need, free = max(clips - done, 0) * BYTES_PER_CLIP, shutil.disk_usage(root).free
    if need > free:
        raise CorpusBuildError(
            f"{clips:,} clips need about {need / 1e6:,.0f} MB more in {root}, but only {free / 1e6:,.0f} MB are free."
        )


@lru_cache(maxsize=1)
def _picture_source(folder: str | None) -> PictureSource:
    return PictureSource(Path(folder) if folder else None)


def _draw(args: tuple[str | None, str, list[np.random.Generator]]) -> list[Picture]:
    """Draw pictures of a split, one per stream."""
    folder, split, streams = args
    return [_picture_source(folder).draw(stream, split) for stream in streams]


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


def _attributes(score: Score, cues: MusicCues, soundfont: str) -> dict[str, object]:
    """What is known of a clip."""
    return {
        "style": score.style,
        "lead": score.lead.instrument,
        "instruments": sorted({track.instrument for track in score.tracks}),
        "tempo_bpm": round(score.tempo_bpm, 2),
        "tempo_word": tempo_word(score.tempo_bpm),
        "mode": score.mode,
        "key": score.key_name,
        "beats_per_bar": score.beats_per_bar,
        "chords": list(score.chords),
        "onset_rate_hz": round(cues.onset_rate_hz, 3),
        "velocity": round(cues.velocity, 1),
        "soundfont": Path(soundfont).stem,
    }


def _mark(root: Path, spec: CorpusSpec) -> None:
    """Record what a folder is made from, or refuse one made from something else."""
    folders = {name: getattr(spec, name) for name in ("scores", "pictures")}
    sources = {name: folder_fingerprint(folder) if folder else None for name, folder in folders.items()}
    fonts = [f"{Path(font).name}, {Path(font).stat().st_size} bytes" for font in spec.soundfonts]
    wanted = {"format": 1, **asdict(spec), **sources, "soundfonts": fonts}
    marker = root / "spec.json"
    found = read_marker(marker)
    if found is not None:
        different = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
        if different:
            raise CorpusBuildError(
                f"{root} already holds a corpus made from other settings (different: {', '.join(different)}); "
                "choose another folder"
            )
    write_marker(marker, wanted)


def build_corpus(
    out: Path | str,
    spec: CorpusSpec,
    workers: int = 2,
    progress: bool = True,
    splits: Sequence[str] = tuple(SPLIT_SHARES),
) -> Path:
    """Build a corpus, some splits of one, or finish one that was interrupted.

    What is composed again after an interruption costs little (0.03 s a clip); what is rendered
    is kept.

    Args:
        out: folder to write.
        spec: what to build.
        workers: processes that compose and render.
        progress: show progress bars.
        splits: splits to render and describe, besides those that `out` already describes: enough for an evaluation.
            Pictures, captions and notes are those of the whole corpus, and so is the sound but for its reverb, whose
            slow modulation goes on through a batch: about -27 dB.

    Returns:
        Path of `metadata.jsonl`.

    Raises:
        ValueError: a split is unknown, or none is given.
        RendererError: FluidSynth or a SoundFont is missing.
        CorpusBuildError: `out` holds a corpus made from another specification, there is no score pack, or the disk is
            full.
    """
    root = Path(out)
    if not splits or set(splits) - set(SPLIT_SHARES):
        raise ValueError(f"splits must be some of {', '.join(SPLIT_SHARES)}, got {', '.join(splits) or 'none'}")
    wanted = set(splits) | _described(root)
    for font in spec.soundfonts:
        check_renderer(Path(font))
    (root / "audio").mkdir(parents=True, exist_ok=True)
    (root / "images").mkdir(exist_ok=True)
    _mark(root, spec)
    _check_room(root, round(spec.clips * sum(SPLIT_SHARES[split] for split in wanted)))
    packs = {}
    if spec.scores:
        packs = {pack: [str(p) for p in files] for pack, files in find_scores(Path(spec.scores)).items()}
        if not packs:
            raise CorpusBuildError(f"no score pack found in {spec.scores}")
    batches = [list(range(i, min(i + BATCH, spec.clips))) for i in range(0, spec.clips, BATCH)]
    with _full_disk_named(root), start_workers(workers, root / SCRATCH) as pool:
        work = pool.map(_scores, [(spec, batch, packs) for batch in batches])
        scores = [s for part in tqdm(work, total=len(batches), desc="composing", disable=not progress) for s in part]
        cues = [music_cues(score, SECONDS) for score in scores]
        affect = np.stack([rank_normalise(values) for values in music_affect(cues)], axis=1)
        own = [split_of(score.piece, spec.seed) for score in scores]
        chosen = [clip for clip in range(spec.clips) if own[clip] in wanted]
        if not chosen:
            raise CorpusBuildError(
                f"none of {spec.clips} clips is in {' or '.join(sorted(wanted))}; ask for more clips"
            )
        batches = [chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]
        jobs = [(spec, root, b, [scores[i] for i in b], [float(affect[i, 1]) for i in b]) for b in batches]
        for _ in tqdm(pool.map(_render_batch, jobs), total=len(jobs), desc="rendering", disable=not progress):
            pass
        rows = _write_pictures(root, spec, scores, cues, affect, wanted, pool, progress)
        kept = "".join(json.dumps({"id": f"{clip:06d}"} | scores[clip].to_dict()) + "\n" for clip in chosen)
        (root / SCORES).write_text(kept, encoding="ascii")
        partial = root / "metadata.partial"
        text = "".join(json.dumps(rows[clip], ensure_ascii=False) + "\n" for clip in chosen)
        partial.write_text(text, encoding="utf-8")
    return partial.rename(root / "metadata.jsonl")


def _described(root: Path) -> set[str]:
    """Splits that a folder already describes."""
    path = root / "metadata.jsonl"
    if not path.is_file():
        return set()
    return {json.loads(line)["split"] for line in path.read_text(encoding="utf-8").split("\n") if line}


def _write_pictures(
    root: Path,
    spec: CorpusSpec,
    scores: list[Score],
    cues: list[MusicCues],
    affect: np.ndarray,
    wanted: set[str],
    pool: Executor,
    progress: bool,
) -> list[dict[str, object]]:
    """Pair every clip with a picture of its split, save the pictures, and describe the triplets."""
    rows: list[dict[str, object]] = [{} for _ in scores]
    splits = np.array([split_of(score.piece, spec.seed) for score in scores])
    for number, split in enumerate(SPLIT_SHARES):
        clips = np.flatnonzero(splits == split)
        if not len(clips) or split not in wanted:
            continue
        pool_rng = np.random.default_rng([spec.seed, _PICTURES, number])
        streams = pool_rng.spawn(int(len(clips) * 1.25) + 8)
        jobs = [(spec.pictures, split, streams[i : i + BATCH]) for i in range(0, len(streams), BATCH)]
        work = tqdm(pool.map(_draw, jobs), total=len(jobs), desc=f"pictures {split}", disable=not progress)
        pictures = [picture for part in work for picture in part]
        plane = np.stack(
            [rank_normalise([p.valence for p in pictures]), rank_normalise([p.arousal for p in pictures])], axis=1
        )
        rng = np.random.default_rng([spec.seed, _PAIRING, number])
        partners = pair_by_affect(rng, affect[clips], plane, spec.pairing_noise)
        for clip, partner in zip(tqdm(clips, desc=f"pairing {split}", disable=not progress), partners, strict=True):
            picture, score, (valence, arousal) = pictures[partner], scores[clip], affect[clip]
            name = f"{clip:06d}"
            picture.image.save(root / "images" / f"{name}.jpg", quality=92)
            caption_rng = np.random.default_rng([spec.seed, _CAPTIONS, int(clip)])
            captions = make_captions(caption_rng, score, float(valence), float(arousal))
            rows[clip] = {
                "id": name, "split": split, "subset": score.subset, "audio": f"audio/{name}.flac",
                "image": f"images/{name}.jpg", "caption": captions[0], "captions": captions,
                "image_caption": picture.caption, "image_kind": picture.kind, "theme": picture.theme,
                "image_valence": round(float(plane[partner, 0]), 4),
                "image_arousal": round(float(plane[partner, 1]), 4),
                "music_valence": round(float(valence), 4), "music_arousal": round(float(arousal), 4),
                "attributes": _attributes(score, cues[clip], soundfont_of(spec, int(clip))),
                "piece": score.piece, "source": score.source,
            }  # fmt: skip
    return rows
