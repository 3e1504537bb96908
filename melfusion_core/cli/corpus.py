"""`melfusion corpus`: build the training corpus, describe one, listen to it, pack it."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser("corpus", help="build, describe, hear or pack a corpus of picture, caption and music")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_builders(actions)

    stats = actions.add_parser("stats", help="describe a corpus, as JSON and plots")
    stats.add_argument("root", type=Path, help="folder with metadata.jsonl")
    stats.add_argument("--out", type=options.out_folder, help="folder for plots (PNG); without it there are none")
    stats.set_defaults(run=_run_stats)

    listen = actions.add_parser("listen", help="write a page with random triplets to look at and listen to")
    listen.add_argument("root", type=Path, help="folder with metadata.jsonl")
    listen.add_argument("--out", type=options.out_folder, required=True, help="folder for index.html and its media")
    listen.add_argument("--n", type=options.whole_number(1, 1000), default=30, help="triplets (default 30)")
    listen.add_argument("--seed", type=options.seed, default=0, help="seed of the choice (default 0)")
    listen.set_defaults(run=_run_listen)

    pack = actions.add_parser(
        "pack",
        help="pack a corpus for training on a machine without network",
        description="Write encoded music, captions and pictures into a few files that `melfusion train prepare` "
        "and `melfusion train music` read in place of the corpus.",
    )
    pack.add_argument("root", type=Path, help="folder with metadata.jsonl")
    pack.add_argument("--vae", type=Path, required=True, help="folder of the codec that encodes the music")
    pack.add_argument("--out", type=options.out_folder, required=True, help="folder to write")
    pack.add_argument("--subset", choices=("core", "full", "all"), default="all", help="clips to pack (default all)")
    pack.add_argument("--part-mb", type=options.number(0.1, 2000), default=60, help="largest part (default 60 MB)")
    pack.add_argument("--with-text-encoder", action="store_true", help="add the text encoder in half precision")
    pack.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to encode (default cpu)")
    pack.set_defaults(run=_run_pack)


def _add_builders(actions: argparse._SubParsersAction) -> None:
    build = actions.add_parser(
        "build",
        help="build a corpus",
        description="Compose, cut, render and caption clips of 10.24 s, and pair each with a picture by affect. "
        "The same seed gives the same corpus, however many workers.",
    )
    build.add_argument(
        "--out", type=options.out_folder, required=True, help="folder to write; a broken-off build goes on there"
    )
    build.add_argument("--clips", type=options.whole_number(1, 10_000_000), required=True, help="number of triplets")
    build.add_argument("--seed", type=options.seed, default=0, help="(default 0)")
    build.add_argument("--scores", type=Path, help="folder with unpacked MIDI packs; without it all music is composed")
    build.add_argument("--pictures", type=Path, help="folder with pictures.csv; without it all scenes are procedural")
    build.add_argument(
        "--soundfont",
        type=Path,
        action="append",
        help="General MIDI SoundFont (default that of fluid-soundfont-gm); given several times, each clip draws one",
    )
    build.add_argument(
        "--splits",
        nargs="+",
        choices=("train", "validation", "test"),
        metavar="SPLIT",
        help="only these of train, validation and test, in a fraction of the time; a later build adds others "
        "(default all)",
    )
    build.add_argument("--workers", type=options.whole_number(1, 512), default=2, help="processes (default 2)")
    build.set_defaults(run=_run_build)

    _add_scores(actions)


def _add_scores(actions: argparse._SubParsersAction) -> None:
    scores = actions.add_parser(
        "scores",
        help="build a score corpus: notes, captions and moods, no sound",
        description="Compose sections and cut them from scores, as notes. One seed gives one corpus, however "
        "many workers and machines.",
    )
    scores.add_argument(
        "--out", type=options.out_folder, required=True, help="folder to write; a broken-off build goes on there"
    )
    scores.add_argument(
        "--sections", type=options.whole_number(1, 10_000_000), required=True, help="number of sections"
    )
    scores.add_argument("--seed", type=options.seed, default=0, help="(default 0)")
    scores.add_argument("--split-seed", type=options.seed, default=11, help="seed of the splits (default 11)")
    scores.add_argument("--scores", type=Path, help="folder with unpacked MIDI packs; without it all is composed")
    scores.add_argument("--workers", type=options.whole_number(1, 512), default=2, help="processes (default 2)")
    scores.add_argument(
        "--shard",
        type=_shard,
        default=(0, 1),
        metavar="I/N",
        help="build share I of N, from 0; copy the `parts` of all shares into one folder and run again to join them",
    )
    scores.set_defaults(run=_run_scores)


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not int(found[1]) < int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 0/4, 1/4, 2/4 or 3/4")
    return int(found[1]), int(found[2])


def _run_scores(args: argparse.Namespace) -> int:
    if args.scores is not None and not args.scores.is_dir():
        raise CommandError(f"There is no folder {args.scores}.")

    from melfusion_core.data.marker import MarkerError
    from melfusion_core.data.score_corpus import ScoreCorpusSpec, build_score_corpus
    from melfusion_core.data.triplets import CorpusBuildError

    packs = None if args.scores is None else str(args.scores)
    spec = ScoreCorpusSpec(args.sections, args.seed, args.split_seed, packs)
    try:
        done = build_score_corpus(args.out, spec, args.workers, args.shard)
    except (CorpusBuildError, MarkerError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.", code=1) from error
    print(args.out if done else f"{args.out}: this share is built; other shares are still missing")
    return 0


def _run_build(args: argparse.Namespace) -> int:
    for folder in (args.scores, args.pictures):
        if folder is not None and not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    for font in args.soundfont or ():
        if not font.is_file():
            raise CommandError(f"There is no SoundFont at {font}.")

    from melfusion_core.data.marker import MarkerError
    from melfusion_core.data.renderer import RendererError
    from melfusion_core.data.triplets import SPLIT_SHARES, CorpusBuildError, CorpusSpec, build_corpus

    given: dict[str, Any] = {
        name: str(path) for name in ("scores", "pictures") if (path := getattr(args, name)) is not None
    }
    if args.soundfont:
        given["soundfonts"] = tuple(str(font) for font in args.soundfont)
    try:
        spec = CorpusSpec(clips=args.clips, seed=args.seed, **given)
        chosen = tuple(args.splits) if args.splits else tuple(SPLIT_SHARES)
        print(build_corpus(args.out, spec, workers=args.workers, splits=chosen))
    except (RendererError, CorpusBuildError, MarkerError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.", code=1) from error
    return 0


def _check_corpus(root: Path) -> None:
    if not (root / "metadata.jsonl").is_file():
        raise CommandError(f"There is no corpus in {root}: it has no metadata.jsonl.")


def _run_stats(args: argparse.Namespace) -> int:
    _check_corpus(args.root)
    from melfusion_core.data.corpus import CorpusError
    from melfusion_core.data.corpus_stats import corpus_stats, plot_stats

    try:
        stats = corpus_stats(args.root)
    except CorpusError as error:
        raise CommandError(f"{error}.", code=1) from error
    print(json.dumps(stats, indent=2, ensure_ascii=False))
    if args.out is not None:
        for path in plot_stats(args.root, args.out):
            print(path, file=sys.stderr)
    return 0


def _run_listen(args: argparse.Namespace) -> int:
    _check_corpus(args.root)
    from melfusion_core.data.corpus import CorpusError
    from melfusion_core.data.listening_page import write_listening_page

    try:
        print(write_listening_page(args.root, args.out, args.n, args.seed))
    except CorpusError as error:
        raise CommandError(f"{error}.", code=1) from error
    return 0


def _run_pack(args: argparse.Namespace) -> int:
    _check_corpus(args.root)
    if not (args.vae / "config.json").is_file():
        raise CommandError(f"There is no codec in {args.vae}: it has no config.json.")
    from melfusion_core.data.corpus import CorpusError
    from melfusion_core.data.packs import PackError
    from melfusion_core.models.text import TextEncoderError
    from melfusion_core.training.packing import pack_corpus

    try:
        manifest = pack_corpus(
            args.root, args.vae, args.out, args.subset, args.part_mb, args.with_text_encoder, device=args.device
        )
    except (CorpusError, PackError, TextEncoderError) as error:
        raise CommandError(str(error), code=1) from error
    shown = {name: manifest[name] for name in ("clips", "subset", "latents")}
    size = sum(part["bytes"] for part in manifest["parts"])
    print(json.dumps({**shown, "parts": len(manifest["parts"]), "megabytes": round(size / 1e6, 1)}, indent=2))
    return 0
