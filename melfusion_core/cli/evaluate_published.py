"""`melfusion evaluate-published`: the paper's figures for a folder of clips."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "evaluate-published",
        help="measure clips as the paper does: FAD, FD, KL, IMSM",
        description="Compare a folder of generated clips with real ones of the same names by public networks. Each "
        "figure needs its network's weights; figures without are left out, and the report says so.",
    )
    parser.add_argument("--generated", type=Path, required=True, help="folder of generated clips")
    parser.add_argument("--reference", type=Path, required=True, help="folder of real clips of the same names")
    parser.add_argument("--out", type=Path, required=True, help="folder for report.json and report.md")
    parser.add_argument("--table", type=Path, help="JSON lines with pictures and captions of the clips, for IMSM")
    parser.add_argument("--vggish", type=Path, help="VGGish's weights, for FAD")
    parser.add_argument("--panns", type=Path, help="weights of PANNs' Cnn14 at 16 kHz, for FD and KL")
    parser.add_argument("--clap", help="CLAP, a folder or laion/clap-htsat-unfused, for FAD and IMSM")
    parser.add_argument(
        "--clip", metavar="ARCHITECTURE", help="CLIP of open_clip, such as ViT-B-32-quickgelu, for IMSM"
    )
    parser.add_argument("--clip-weights", default="openai", help="its weights: a name in open_clip or a file")
    parser.add_argument(
        "--imsm-batch", type=options.whole_number(0, 100_000), default=0, help="triplets compared at a time (0: all)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default cpu)")
    parser.add_argument("--label", default="this model", help="name of the row")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and write the report.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: Clips or weights cannot be used.
    """
    from melfusion_core.evaluation.embedders import EmbedderError
    from melfusion_core.evaluation.published import PublishedError, find_pairs, markdown, measure

    try:
        pairs = find_pairs(args.generated, args.reference, args.table)
        embedders = load_embedders(args)
        report = measure(pairs, embedders, args.imsm_batch, progress=True)
    except (PublishedError, EmbedderError) as error:
        raise CommandError(str(error)) from error
    args.out.mkdir(parents=True, exist_ok=True)
    text = markdown(report, args.label)
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (args.out / "report.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def load_embedders(args: argparse.Namespace) -> Any:
    """Load the networks that the command line names.

    Args:
        args: Parsed command line.

    Returns:
        An :class:`~melfusion_core.evaluation.published.Embedders`.
    """
    from melfusion_core.evaluation.embedders import Cnn14, VGGish, load_weights
    from melfusion_core.evaluation.joint_embedders import Clap, OpenClip
    from melfusion_core.evaluation.published import Embedders

    return Embedders(
        vggish=None if args.vggish is None else load_weights(VGGish(), args.vggish),
        panns=None if args.panns is None else load_weights(Cnn14(), args.panns),
        clap=None if args.clap is None else Clap(args.clap, args.device),
        clip=None if args.clip is None else OpenClip(args.clip, args.clip_weights, args.device),
    )
