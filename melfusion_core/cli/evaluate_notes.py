"""`melfusion evaluate-notes`: whether a model that makes notes follows orders, and how like real works it is."""

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
        "evaluate-notes",
        help="measure on the notes whether orders are followed",
        description="Compose takes for captions and directions that ask for one thing each, and measure on their "
        "notes whether it came; beside it stands what the takes of other orders would have got. With a corpus takes "
        "are made for its captions, too, and compared with its works. Takes are kept: an interrupted evaluation goes "
        "on where it stopped, and several machines can each make a share.",
    )
    parser.add_argument("model", type=Path, help="folder of the model, in diffusers format")
    parser.add_argument("--out", type=Path, required=True, help="folder for takes and report")
    parser.add_argument(
        "--per", type=options.whole_number(1, 1000), default=20, help="takes of one order (default 20)"
    )
    parser.add_argument("--corpus", type=Path, help="corpus whose works and captions are compared with")
    parser.add_argument("--n", type=options.whole_number(4, 100_000), default=500, help="works (default 500)")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="(default test)")
    options.add_part(parser)
    options.add_settings(parser)
    parser.set_defaults(seed=0)
    parser.add_argument("--batch", type=options.whole_number(1, 1024), default=8, help="takes at a time (default 8)")
    parser.add_argument("--threads", type=options.whole_number(1, 1024), help="CPU threads (default PyTorch's choice)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import torch

    from melfusion_core.cli.takes import load_pipeline
    from melfusion_core.evaluation.judging import fingerprint
    from melfusion_core.evaluation.note_report import NoteTakes, evaluate_notes
    from melfusion_core.evaluation.takes import SamplingSettings

    for folder in (args.model, args.corpus):
        if folder and not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        pipeline = load_pipeline(args.model, args.device)
        if not pipeline.engine.makes_notes:
            raise CommandError("This model makes no notes; `melfusion evaluate` measures what is heard.")
        settings = SamplingSettings(**options.given_settings(args), model=fingerprint(args.model))
        takes = NoteTakes(pipeline, args.out, settings, args.batch, args.part)
        evaluate_notes(takes, args.per, args.corpus, args.n, args.split)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    if args.part.count == 1:
        print((args.out / "notes.md").read_text(encoding="utf-8"))
    return 0
