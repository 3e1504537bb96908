"""The `melfusion evaluate` command: flags to calls."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

DEFAULT_STEPS = 25


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(
        prog="melfusion evaluate",
        description="Measure on held-out triplets whether the music obeys the caption and the picture. Takes are "
        "kept: an interrupted evaluation goes on where it stopped.",
    )
    parser.add_argument("model", type=Path, help="folder of the model, in diffusers format")
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder for takes and report")
    parser.add_argument("--judge", type=Path, help="folder of a trained judge; trained in OUT/judge when left out")
    parser.add_argument("--n", type=int, default=128, help="held-out triplets (default 128)")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help=f"denoising steps (default {DEFAULT_STEPS})")
    parser.add_argument("--guidance", type=float, default=3.0, help="weight of the caption (default 3)")
    parser.add_argument("--image-guidance", type=float, default=4.0, help="weight of the picture (default 4)")
    parser.add_argument("--synapse", type=float, default=1.0, help="strength of the picture (default 1)")
    parser.add_argument("--sampler", choices=("dpm++", "ddim"), default="dpm++", help="(default dpm++)")
    parser.add_argument("--duration", type=float, default=10.24, help="seconds (default 10.24)")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    parser.add_argument("--batch", type=int, default=4, help="pictures per call (default 4)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    return parser


def main(argv: Sequence[str] | None = None, load: Callable[[Path, str], Any] | None = None) -> int:
    """Run the command.

    Args:
        argv: Command line without the program's name; None takes that of the process.
        load: Function from folder and device to a pipeline; None loads a `MelFusionPipeline`.

    Returns:
        Exit code: 0, or 2 when an input is not usable.
    """
    args = build_parser().parse_args(argv)
    from .classifier import ClipJudge
    from .report import evaluate
    from .takes import SamplingSettings
    from .train_classifier import train_judge

    if not args.model.is_dir():
        print(f"melfusion evaluate: there is no model folder at {args.model}", file=sys.stderr)
        return 2
    settings = SamplingSettings(
        args.seed, args.steps, args.guidance, args.image_guidance, args.synapse, args.duration, args.sampler,
        fingerprint(args.model),
    )  # fmt: skip
    folder = args.judge or args.out / "judge"
    try:
        if args.judge is None and not (folder / "config.json").is_file():
            train_judge(args.corpus, folder, device=args.device)
        judge = ClipJudge.from_pretrained(folder).eval().to(args.device)
        pipeline = (load or load_pipeline)(args.model, args.device)
        evaluate(pipeline, judge, args.corpus, args.out, args.n, settings, args.batch)
    except (OSError, ValueError) as error:
        print(f"melfusion evaluate: {error}", file=sys.stderr)
        return 2
    print((args.out / "report.md").read_text(encoding="utf-8"))
    return 0


def fingerprint(folder: Path) -> str:
    """Name a model by its content, so that takes of two models never mix.

    Args:
        folder: Folder of the model.

    Returns:
        Name of the folder and the start of a SHA-256 over its weights and configurations.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.resolve().name}-{digest.hexdigest()[:12]}"


def load_pipeline(folder: Path, device: str) -> Any:
    """Load the project's pipeline, found by name: evaluation itself works with any object that can compare.

    Args:
        folder: Folder of the model.
        device: Where to run it.

    Returns:
        The pipeline.
    """
    pipeline = importlib.import_module("melfusion_core").MelFusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
