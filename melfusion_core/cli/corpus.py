"""`melfusion corpus`: build the training corpus, or describe one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser("corpus", help="build or describe a corpus of picture, caption and music")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    build = actions.add_parser(
        "build",
        help="build a corpus",
        description="Compose, cut, render and caption clips of 10.24 s, and pair each with a picture by affect. "
        "The same seed gives the same corpus, however many workers.",
    )
    build.add_argument("--out", type=Path, required=True, help="folder to write; a broken-off build goes on there")
    build.add_argument("--clips", type=options.whole_number(1, 10_000_000), required=True, help="number of triplets")
    build.add_argument("--seed", type=options.seed, default=0, help="(default 0)")
    build.add_argument("--scores", type=Path, help="folder with unpacked MIDI packs; without it all music is composed")
    build.add_argument("--pictures", type=Path, help="folder with pictures.csv; without it all scenes are procedural")
    build.add_argument("--soundfont", type=Path, help="General MIDI SoundFont (default that of fluid-soundfont-gm)")
    build.add_argument("--workers", type=options.whole_number(1, 512), default=2, help="processes (default 2)")
    build.set_defaults(run=run_build)

    stats = actions.add_parser("stats", help="describe a corpus, as JSON")
    stats.add_argument("root", type=Path, help="folder with metadata.jsonl")
    stats.set_defaults(run=run_stats)


def run_build(args: argparse.Namespace) -> int:
    """Build a corpus.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: A source folder does not exist, or the renderer is missing.
    """
    for folder in (args.scores, args.pictures):
        if folder is not None and not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    if args.soundfont is not None and not args.soundfont.is_file():
        raise CommandError(f"There is no SoundFont at {args.soundfont}.")

    from melfusion_core.data.renderer import RendererError
    from melfusion_core.data.triplets import CorpusSpec, build_corpus

    sources = {"scores": args.scores, "pictures": args.pictures, "soundfont": args.soundfont}
    given = {name: str(path) for name, path in sources.items() if path is not None}
    try:
        print(build_corpus(args.out, CorpusSpec(clips=args.clips, seed=args.seed, **given), workers=args.workers))
    except RendererError as error:
        raise CommandError(str(error), code=1) from error
    return 0


def run_stats(args: argparse.Namespace) -> int:
    """Describe a corpus.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: There is no corpus there.
    """
    if not (args.root / "metadata.jsonl").is_file():
        raise CommandError(f"There is no corpus in {args.root}: it has no metadata.jsonl.")
    from melfusion_core.data.triplets import corpus_stats

    print(json.dumps(corpus_stats(args.root), indent=2, ensure_ascii=False))
    return 0
