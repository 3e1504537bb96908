"""`melfusion info --preset`: what a full-size model would need."""

from __future__ import annotations

import argparse

from melfusion_core.cli import options
from melfusion_core.cli.info import run
from melfusion_core.cli.options import CommandError

RESOLUTION, STEPS = 512, 200


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the flags of presets to `melfusion info`.

    Args:
        commands: Where it is.
    """
    parser = commands.choices["info"]
    parser.add_argument(
        "--preset",
        choices=("paper", "audioldm2", "musicldm"),
        help="instead: parameters, memory and time of a full-size model, as a table, from its configuration alone",
    )
    parser.add_argument(
        "--resolution",
        type=options.whole_number(64, 2048),
        help=f"with --preset: side of the picture, a multiple of 64 (default {RESOLUTION})",
    )
    parser.add_argument(
        "--steps", type=options.reader("num_inference_steps"), help=f"with --preset: denoising steps (default {STEPS})"
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.preset is None:
        if args.resolution is not None or args.steps is not None:
            raise CommandError("--resolution and --steps have no effect without --preset.")
        return run(args)
    if args.model is not None or args.device != "auto":
        raise CommandError("--model and --device have no effect with --preset.")
    resolution = args.resolution or RESOLUTION
    if resolution % 64:
        raise CommandError(f"--resolution must be a multiple of 64, not {resolution}.")
    from melfusion_core.full_size.estimate import table
    from melfusion_core.full_size.presets import TABLE

    print(table(TABLE[args.preset], resolution, args.steps or STEPS))
    return 0
