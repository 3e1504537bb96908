"""Render the finished takes of the example pictures, which the first page plays without computing.

python -m demo.render_examples checkpoints/melfusion-mini
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from demo.engine import PipelineEngine
from demo.examples import EXAMPLES_FOLDER, load_examples, take_files
from demo.exports import export_take
from demo.service import StudioService
from demo.takes import Request, Result, StudioError


def main(arguments: list[str] | None = None) -> int:
    """Render both takes of every example and write them beside its picture.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m demo.render_examples", description=main.__doc__)
    parser.add_argument("model", help="folder of the model, or its name on the Hugging Face Hub")
    parser.add_argument("--examples", default=str(EXAMPLES_FOLDER), help="folder with examples.json")
    parser.add_argument("--steps", type=int, default=50, help="denoising steps")
    parser.add_argument("--seed", type=int, default=7, help="seed of every take")
    options = parser.parse_args(arguments)
    try:
        service = StudioService(PipelineEngine.from_folder(options.model))
        return render(service, options.examples, options.steps, options.seed)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"The examples could not be rendered: {error}", file=sys.stderr)
        return 1


def render(service: StudioService, folder: str | Path, steps: int, seed: int) -> int:
    """Render both takes of every example of a folder.

    Args:
        service: What makes the music.
        folder: Folder with ``examples.json``.
        steps: Denoising steps.
        seed: Seed of every take.

    Returns:
        Exit status: 1 where there is no example.
    """
    examples = load_examples(folder)
    for example in examples:
        if not example.caption:
            raise StudioError(f"{example.title} has no caption, so it has no twin from the words alone.")
        request = Request(example.image_path, example.caption, {"seed": seed, "num_inference_steps": steps})
        result = next(event for event in service.compose(request) if isinstance(event, Result))
        with tempfile.TemporaryDirectory(prefix="melfusion-") as scratch:
            for take, target in zip(result.takes, take_files(example.image_path), strict=True):
                made = export_take(take, result.mode, "FLAC", scratch)
                shutil.move(made, target)
                print(f"{target}  {target.stat().st_size / 1000:.0f} kB")
    return 0 if examples else 1


if __name__ == "__main__":
    sys.exit(main())
