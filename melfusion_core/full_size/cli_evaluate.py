"""`melfusion evaluate-published`: the paper's figures for a folder of clips."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from melfusion_core.cli import options
from melfusion_core.cli.models import model_folder
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
    parser.add_argument(
        "--generated", type=Path, required=True, help="folder of generated clips; with --model they are made there"
    )
    parser.add_argument("--reference", type=Path, required=True, help="folder of real clips of the same names")
    parser.add_argument("--out", type=options.out_folder, required=True, help="folder for report.json and report.md")
    parser.add_argument("--table", type=Path, help="JSON lines with pictures and captions of the clips, for IMSM")
    takes = parser.add_argument_group("making the clips first, one for each row of --table; those there are kept")
    takes.add_argument("--model", type=Path, help="checkpoint folder or repository on the Hub")
    takes.add_argument("--split", help="split of the table whose rows count (default all)")
    takes.add_argument("--limit", type=options.whole_number(2, 1_000_000), help="at most so many rows (default all)")
    takes.add_argument("--steps", type=options.reader("num_inference_steps"), help="denoising steps (default 200)")
    takes.add_argument("--guidance", type=options.reader("guidance_scale"), help="guidance scale (default 3)")
    takes.add_argument("--duration", type=options.reader("duration_s"), help="seconds (default 10.24)")
    takes.add_argument("--seed", type=options.seed, help="of the first row (default 0)")
    parser.add_argument("--vggish", type=Path, help="VGGish's weights, for FAD")
    parser.add_argument("--panns", type=Path, help="weights of PANNs' Cnn14 at 16 kHz, for FD and KL")
    parser.add_argument("--clap", help="CLAP, a folder or laion/clap-htsat-unfused, for FAD and IMSM")
    parser.add_argument(
        "--clip", metavar="ARCHITECTURE", help="CLIP of open_clip, such as ViT-B-32-quickgelu, for IMSM"
    )
    parser.add_argument("--clip-weights", help="its weights: a name in open_clip (default openai) or a file")
    parser.add_argument(
        "--imsm-batch", type=options.whole_number(2, 100_000), help="triplets compared at a time (default all)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default cpu)")
    parser.add_argument("--label", default="this model", help="name of the row")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.clip_weights and args.clip is None:
        raise CommandError("--clip-weights has no effect without --clip.")
    if args.imsm_batch and None in (args.clip, args.clap, args.table):
        raise CommandError("--imsm-batch has no effect without IMSM, which needs --clip, --clap and --table.")
    from melfusion_core.full_size.embedders import EmbedderError
    from melfusion_core.full_size.published import PublishedError, find_pairs, markdown, measure

    try:
        _make_takes(args)
        pairs = find_pairs(args.generated, args.reference, args.table)
        embedders = _load_embedders(args)
        report = measure(pairs, embedders, args.imsm_batch or 0, progress=True)
    except (PublishedError, EmbedderError) as error:
        raise CommandError(str(error)) from error
    args.out.mkdir(parents=True, exist_ok=True)
    text = markdown(report, args.label)
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (args.out / "report.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def _make_takes(args: argparse.Namespace) -> None:
    """Render the clips where a model is named."""
    wanted = {"split": "split", "limit": "limit", "steps": "steps", "duration": "duration_s", "seed": "seed"}
    wanted["guidance"] = "guidance_scale"
    given = {field: getattr(args, name) for name, field in wanted.items() if getattr(args, name) is not None}
    if args.model is None:
        if given:
            flags = [f"--{name}" for name in wanted if getattr(args, name) is not None]
            raise CommandError(f"{', '.join(flags)} only matter with --model.")
        return
    if args.table is None:
        raise CommandError("--model needs --table: captions and pictures come from there.")
    from melfusion_core.cli.takes import load_pipeline
    from melfusion_core.full_size.published_takes import render_takes

    pipe = load_pipeline(model_folder(args.model), args.device)
    render_takes(pipe, args.table, args.generated, progress=True, **given)


def _load_embedders(args: argparse.Namespace) -> Any:
    """Load the networks that the command line names."""
    import torch

    from melfusion_core.full_size.embedders import Cnn14, VGGish, load_weights
    from melfusion_core.full_size.joint_embedders import Clap, OpenClip
    from melfusion_core.full_size.published import Embedders

    try:
        torch.empty(0, device=args.device)
    except (RuntimeError, AssertionError) as error:
        raise CommandError(f"The device {args.device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return Embedders(
        vggish=None if args.vggish is None else load_weights(VGGish(), args.vggish).to(args.device),
        panns=None if args.panns is None else load_weights(Cnn14(), args.panns).to(args.device),
        clap=None if args.clap is None else Clap(args.clap, args.device),
        clip=None if args.clip is None else OpenClip(args.clip, args.clip_weights or "openai", args.device),
    )
