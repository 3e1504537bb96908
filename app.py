"""MeLFusion Studio in the browser: read the flags, load the model, open the page."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

if os.environ.get("SPACES_ZERO_GPU"):
    import spaces  # noqa: F401  (on a ZeroGPU Space it must come before torch)

from demo.engine import PipelineEngine
from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.models import ModelShelf
from demo.ui import build_demo, launch
from demo.votes import VoteBook


def main(arguments: list[str] | None = None) -> int:
    """Start the studio and stay until it is ended.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        help="folder of the model, or its name on the Hugging Face Hub; given again, more to choose from",
    )
    parser.add_argument("--any-model", action="store_true", help="let visitors name a model; not for a public page")
    parser.add_argument(
        "--votes", default="outputs/votes.jsonl", help="JSON Lines file for blind votes; see python -m demo.votes"
    )
    parser.add_argument("--mcp", action="store_true", help="also serve agents (needs pip install 'gradio[mcp]')")
    parser.add_argument("--host", default=None, help="address to listen on; 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, default=None, help="port to listen on; else the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio")
    options = parser.parse_args(arguments)
    if options.mcp and importlib.util.find_spec("mcp") is None:
        print("--mcp needs a package that is not installed: pip install 'gradio[mcp]'", file=sys.stderr)
        return 1
    first, *others = options.model or ["checkpoints/melfusion-mini"]
    try:
        engine = PipelineEngine.from_folder(first)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"The model could not be loaded from {first}: {error}", file=sys.stderr)
        return 1
    shelf = ModelShelf(engine, PipelineEngine.from_folder, others, options.any_model)
    on_a_space = "SPACE_ID" in os.environ
    demo = build_demo(shelf.first, load_examples(EXAMPLES_FOLDER), VoteBook(options.votes), on_a_space, shelf)
    more = {"mcp_server": True} if options.mcp else {}
    launch(demo, server_name=options.host, server_port=options.port, share=options.share, **more)
    return 0


if __name__ == "__main__":
    sys.exit(main())
