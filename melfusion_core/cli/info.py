"""`melfusion info`: what is installed, and what a checkpoint holds."""

from __future__ import annotations

import argparse
import json
import platform

from melfusion_core.cli.models import add_model_arguments, model_folder
from melfusion_core.recipe import checkpoint_sha256, library_versions


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser("info", help="describe the installation and a model")
    add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe the installation and a model.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.
    """
    from melfusion_core.cli.takes import load_pipeline

    folder = model_folder(args.model)
    pipe = load_pipeline(folder, args.device)
    networks = {name: part for name, part in pipe.components.items() if name != "engine"} | pipe.engine.parts
    parameters = {
        name: sum(weight.numel() for weight in network.parameters())
        for name, network in networks.items()
        if hasattr(network, "parameters")
    }
    description = {
        "python": platform.python_version(),
        "packages": library_versions(),
        "device": str(pipe.device),
        "model": str(folder),
        "model_sha256": checkpoint_sha256(folder),
        "sample_rate_hz": pipe.sample_rate,
        "parameters": parameters,
    }
    print(json.dumps(description, indent=2))
    return 0
