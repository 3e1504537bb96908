"""`melfusion info`: what is installed, what a checkpoint holds, and what a full-size model would need."""

from __future__ import annotations

import argparse
import json
import platform

from melfusion_core.cli import options
from melfusion_core.cli.models import add_model_arguments, model_folder
from melfusion_core.cli.options import CommandError
from melfusion_core.recipe import checkpoint_sha256, library_versions

RESOLUTION, STEPS = 512, 200


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser("info", help="describe the installation and a model, or a full-size preset")
    add_model_arguments(parser)
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe the installation and a model.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: There is no such model, or flags have no effect.
    """
    if args.preset is not None:
        if args.model is not None or args.device != "auto":
            raise CommandError("--model and --device have no effect with --preset.")
        resolution = args.resolution or RESOLUTION
        if resolution % 64:
            raise CommandError(f"--resolution must be a multiple of 64, not {resolution}.")
        from melfusion_core.full_size.estimate import table
        from melfusion_core.full_size.presets import TABLE

        print(table(TABLE[args.preset], resolution, args.steps or STEPS))
        return 0
    if args.resolution is not None or args.steps is not None:
        raise CommandError("--resolution and --steps have no effect without --preset.")
    from melfusion_core.cli.takes import load_pipeline

    folder = model_folder(args.model)
    pipe = load_pipeline(folder, args.device)
    parameters = {
        name: sum(weight.numel() for weight in component.parameters())
        for name, component in pipe.components.items()
        if hasattr(component, "parameters")
    }
    description = {
        "python": platform.python_version(),
        "packages": library_versions(),
        "device": str(pipe.device),
        "model": str(folder),
        "model_sha256": checkpoint_sha256(folder),
        "sample_rate_hz": pipe.vocoder.mel_config.sample_rate,
        "parameters": parameters,
    }
    print(json.dumps(description, indent=2))
    return 0
