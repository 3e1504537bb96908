"""The program's parser, and how its errors reach people."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
import typing
from collections.abc import Sequence
from pathlib import Path

from melfusion_core.cli.options import CommandError, check_folder
from melfusion_core.terminal import PlainParser, plain_line

# Modules by name, so that imports point one way: `full_size` and `research` use this package, never the reverse. Each
# has `add_parser`, which adds its command or extends one that stands before it.
COMMANDS = (
    "melfusion_core.cli.generate",
    "melfusion_core.cli.corpus",
    "melfusion_core.cli.assemble",
    "melfusion_core.full_size.cli_assemble",
    "melfusion_core.cli.evaluate",
    "melfusion_core.cli.evaluate_codec",
    "melfusion_core.cli.evaluate_notes",
    "melfusion_core.full_size.cli_evaluate",
    "melfusion_core.research.cli_probe",
    "melfusion_core.cli.tune",
    "melfusion_core.cli.bank",
    "melfusion_core.cli.bench",
    "melfusion_core.cli.soak",
    "melfusion_core.cli.info",
    "melfusion_core.full_size.cli_info",
    "melfusion_core.cli.push",
)
# `melfusion train COMPONENT`: module and function; the function takes a configuration, whose fields are the flags.
TRAINERS = {
    "codec": ("melfusion_core.training.codec", "train"),
    "score-codec": ("melfusion_core.training.score_codec", "train"),
    "score-prepare": ("melfusion_core.training.score_data", "prepare"),
    "score-pictures": ("melfusion_core.training.score_pictures", "prepare"),
    "score-music": ("melfusion_core.training.score_music", "train"),
    "vocoder": ("melfusion_core.training.vocoder", "train"),
    "encoder": ("melfusion_core.training.picture_encoder", "train"),
    "pictures": ("melfusion_core.training.picture_bank", "train"),
    "image": ("melfusion_core.training.image", "train"),
    "judge": ("melfusion_core.training.judge", "train"),
    "prepare": ("melfusion_core.training.prepare", "prepare"),
    "music": ("melfusion_core.training.music", "train"),
    "synapse": ("melfusion_core.full_size.synapse_trainer", "train"),
    "scenes": ("melfusion_core.training.scenes", "train"),
}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole program.

    Returns:
        The parser; a parsed command line has `run`, a function of it that gives the exit code.
    """
    from melfusion_core import __version__

    parser = PlainParser(prog="melfusion", description="Music from a picture and a caption.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    train = commands.add_parser(
        "train", help="train one component", usage="melfusion train COMPONENT [flags of that trainer]", add_help=True
    )
    train.add_argument("component", choices=list(TRAINERS), help="COMPONENT --help lists its flags")
    for module in COMMANDS:
        importlib.import_module(module).add_parser(commands)
    return parser


def _train(component: str, flags: list[str]) -> int:
    from melfusion_core.data.corpus import CorpusError
    from melfusion_core.data.packs import PackError
    from melfusion_core.training.config import parse_config
    from melfusion_core.training.loop import TrainingError

    module, function = TRAINERS[component]
    train = getattr(importlib.import_module(module), function)
    config_class = typing.get_type_hints(train)["config"]
    config = parse_config(config_class, flags, program=f"melfusion train {component}")
    if getattr(config, "out", None):
        check_folder(Path(config.out), make=True)
    try:
        result = train(config)
    except (TrainingError, CorpusError, PackError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.", code=1) from error
    if isinstance(result, dict):  # figures of what was fitted in one go; the others print theirs on the way
        print(json.dumps(result))
    return 0


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["train"] and len(argv) > 1 and argv[1] in TRAINERS:
        return _train(argv[1], argv[2:])
    args = build_parser().parse_args(argv)
    return args.run(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: Command line without the program's name; `None` for that of the process.

    Returns:
        Exit code: 0, 2 for bad input, 1 for other trouble, 130 when interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    argv = [argument for argument in argv if argument != "--debug"]
    try:
        return _dispatch(argv)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the border of the program: every error becomes a line and an exit code
        if debug:
            traceback.print_exc()
        message, code = _explain(error)
        print(plain_line(f"melfusion: {message}"), file=sys.stderr)
        return code


def _explain(error: Exception) -> tuple[str, int]:
    from melfusion_core.recipe import RecipeError

    if isinstance(error, CommandError):
        return str(error), error.code
    if isinstance(error, RecipeError):
        return str(error), 2
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"There is no file {error.filename}.", 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}.", 1
    # Only here: these modules import torch, and the errors above must not wait for that.
    from melfusion_core.audio import AudioError
    from melfusion_core.image import ImageError

    if isinstance(error, AudioError | ImageError):
        return str(error), 2
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"Unexpected {type(error).__name__}: {first} (the traceback is shown with --debug)", 1
