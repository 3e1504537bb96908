"""`melfusion tune`: compare settings of the sampler on the validation split."""

from __future__ import annotations

import argparse
from pathlib import Path

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "tune",
        help="compare settings of the sampler on the validation split",
        description="Make the takes of the same validation triplets from the same noise under several settings, and "
        "measure how they obey caption and picture and how like real clips they are. The test split is never used.",
    )
    parser.add_argument("model", type=Path, help="folder of the model, in diffusers format")
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--out", type=options.out_folder, required=True, help="folder for takes and tuning.md")
    parser.add_argument(
        "--base", default="", metavar="SETTINGS", help="settings of all trials, such as guidance_scale=3,sampler=ddim"
    )
    parser.add_argument(
        "--trial",
        action="append",
        default=[],
        metavar="SETTINGS",
        help="what one trial changes, such as num_inference_steps=10; repeatable; the base itself is always measured",
    )
    parser.add_argument("--n", type=options.whole_number(4, 100_000), default=48, help="triplets (default 48)")
    parser.add_argument("--judge", type=Path, help="export of `melfusion train judge` (default the shipped judge)")
    parser.add_argument("--seed", type=options.seed, default=0, help="(default 0)")
    parser.add_argument("--batch", type=options.whole_number(1, 1024), default=4, help="pictures per call (default 4)")
    parser.add_argument("--threads", type=options.whole_number(1, 1024), help="CPU threads (default PyTorch's choice)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if not args.model.is_dir():
        raise CommandError(f"There is no model folder at {args.model}.")
    import torch

    from melfusion_core.cli.evaluate import default_judge
    from melfusion_core.cli.takes import load_pipeline
    from melfusion_core.evaluation.judging import fingerprint, load_judge
    from melfusion_core.evaluation.takes import SamplingSettings
    from melfusion_core.evaluation.tuning import parse_trial, tune

    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        base = parse_trial(args.base, SamplingSettings(seed=args.seed, model=fingerprint(args.model)))
        trials = list(dict.fromkeys(parse_trial(text, base) for text in ["", *args.trial]))
        judge = load_judge(args.judge or default_judge(), args.device)
        pipeline = load_pipeline(args.model, args.device)
        args.out.mkdir(parents=True, exist_ok=True)
        tune(pipeline, judge, args.corpus, args.out, base, trials, args.n, args.batch)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    print((args.out / "tuning.md").read_text(encoding="utf-8"))
    return 0
