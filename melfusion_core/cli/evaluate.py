"""`melfusion evaluate` and `melfusion evaluate-judge`: flags to calls."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError

QUICK = {"n": 50, "dose_n": 50}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `melfusion evaluate` and `melfusion evaluate-judge` to the program's parser.

    Args:
        commands: Where commands are added.
    """
    _add_judge_parser(commands)
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on the test split of a corpus",
        description="Measure on held-out triplets whether the music obeys the caption and the picture, and how like "
        "real music it is. Takes and cues are kept: an interrupted evaluation goes on where it stopped, and one with "
        "a larger --n adds to them. Of every triplet two pairs of takes are made, and of the first --dose-n two more.",
    )
    parser.add_argument("model", type=Path, help="folder of the model, in diffusers format")
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--out", type=options.out_folder, required=True, help="folder for takes and report")
    parser.add_argument("--judge", type=Path, help="export of `melfusion train judge` (default the shipped judge)")
    parser.add_argument("--n", type=options.whole_number(3, 100_000), default=500, help="triplets (default 500)")
    parser.add_argument(
        "--dose-n",
        type=options.whole_number(3, 100_000),
        default=100,
        help="triplets of the dose curves (default 100)",
    )
    parser.add_argument("--quick", action="store_true", help="50 triplets, for every day")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="(default test)")
    options.add_part(parser)
    options.add_settings(parser)
    parser.set_defaults(seed=0)
    parser.add_argument("--batch", type=options.whole_number(1, 1024), default=4, help="pictures per call (default 4)")
    parser.add_argument("--threads", type=options.whole_number(1, 1024), help="CPU threads (default PyTorch's choice)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.quick:
        args.n, args.dose_n = QUICK["n"], QUICK["dose_n"]
    import torch

    from melfusion_core.cli.takes import load_pipeline
    from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
    from melfusion_core.evaluation.codec import CodecUnderTest
    from melfusion_core.evaluation.judging import fingerprint, load_judge
    from melfusion_core.evaluation.report import Extent, evaluate
    from melfusion_core.evaluation.takes import SamplingSettings

    if not args.model.is_dir():
        raise CommandError(f"There is no model folder at {args.model}.")
    if args.threads:
        torch.set_num_threads(args.threads)
    settings = SamplingSettings(**options.given_settings(args), model=fingerprint(args.model))
    try:
        judge = load_judge(args.judge or default_judge(), args.device)
        pipeline = load_pipeline(args.model, args.device)
        engine = getattr(pipeline, "engine", None)
        codec = CodecUnderTest(engine) if isinstance(engine, SpectrogramEngine) else None
        extent = Extent(args.n, min(args.dose_n, args.n), args.batch, args.split, args.part)
        evaluate(pipeline, judge, args.corpus, args.out, extent, settings, codec)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    if args.part.count == 1:
        print((args.out / "report.md").read_text(encoding="utf-8"))
    return 0


def default_judge() -> Path:
    """Find the judge that ships with the program.

    Returns:
        The folder `melfusion-judge` beside the shipped model.
    """
    return options.default_model().with_name("melfusion-judge")


def _add_judge_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate-judge",
        help="measure a judge on held-out real clips",
        description="Measure what a judge hears in held-out real clips, by attribute, and how often it finds the own "
        "picture and caption among 20: the ceilings of every evaluation with it.",
    )
    parser.add_argument("judge", type=Path, help="export of `melfusion train judge`")
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--out", type=options.out_folder, required=True, help="folder for judge.json and judge.md")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="(default test)")
    parser.add_argument("--n", type=options.whole_number(3, 100_000), default=100_000, help="clips (default all)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    parser.set_defaults(run=_run_judge)


def _run_judge(args: argparse.Namespace) -> int:
    import numpy as np
    from tqdm.auto import tqdm

    from melfusion_core.evaluation.judging import judge_quality, load_judge, load_triplets
    from melfusion_core.evaluation.markdown import format_quality

    try:
        judge = load_judge(args.judge, args.device)
        triplets = load_triplets(args.corpus, args.split)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    order = np.random.default_rng(0).permutation(len(triplets))[: args.n]
    chosen = [triplets[index] for index in order]
    clips = (triplet.read_audio(judge.sample_rate).numpy() for triplet in tqdm(chosen, desc="listening"))
    quality = judge_quality(judge, judge.hear(clips), chosen)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "judge.json").write_text(json.dumps(quality, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(
        [f"# Judge on {len(chosen)} real clips of the {args.split} split", "", *format_quality(quality), ""]
    )
    (args.out / "judge.md").write_text(text, encoding="utf-8")
    print(text)
    return 0
