"""MeLFusion Studio in the browser: read the flags, load the model, open the page."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import sys
import warnings
from pathlib import Path

from demo.cache import own_cache_folder

if __name__ == "__main__":  # Gradio reads it when it is imported
    os.environ.setdefault("GRADIO_TEMP_DIR", str(own_cache_folder()))
if os.environ.get("SPACES_ZERO_GPU"):
    import spaces  # noqa: F401  (on a ZeroGPU Space it must come before torch)

from demo.engine import PipelineEngine
from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.models import ModelShelf
from demo.ui import build_demo, launch
from demo.votes import VoteBook
from melfusion_core.models.text import TextEncoderError
from melfusion_core.pipelines.loading import HubError
from melfusion_core.terminal import PlainParser, plain_line

MODEL = Path(__file__).resolve().parent / "checkpoints" / "melfusion-mini"


def main(arguments: list[str] | None = None) -> int:
    """Start the studio and stay until it is ended.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", message="A caption has")  # the page says it where it was written
    votes = VoteBook(options.votes)
    trouble = _trouble(options, votes)
    if trouble is not None:
        print(trouble, file=sys.stderr)
        return 1
    first, *others = options.model or [str(MODEL)]
    try:
        examples = load_examples(EXAMPLES_FOLDER)
    except (OSError, ValueError) as error:
        print(f"The example pictures could not be read: {error}", file=sys.stderr)
        return 1
    try:
        engine = PipelineEngine.from_folder(first)
    except (OSError, ValueError, HubError, TextEncoderError) as error:
        print(plain_line(f"The model could not be loaded from {first}: {error}"), file=sys.stderr)
        return 1
    shelf = ModelShelf(engine, PipelineEngine.from_folder, others, options.any_model)
    demo = build_demo(shelf.first, examples, votes, "SPACE_ID" in os.environ, shelf)
    more = {"mcp_server": True} if options.mcp else {}
    try:
        launch(demo, server_name=options.host, server_port=options.port, share=options.share, **more)
    except OSError as error:  # another program was quicker to take the port
        print(f"The page could not be opened: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = PlainParser(description=__doc__)
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
    return parser


def _trouble(options: argparse.Namespace, votes: VoteBook) -> str | None:
    """What stands against starting, found out before the model is loaded."""
    if options.mcp and importlib.util.find_spec("mcp") is None:
        return "--mcp needs a package that is not installed: pip install 'gradio[mcp]'"
    if options.port is not None and not 1 <= options.port <= 65535:
        return f"--port must be from 1 to 65535, not {options.port}."
    host = options.host or "127.0.0.1"
    try:
        found = socket.getaddrinfo(host, options.port or 0, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        where = f"{host}, port {options.port}," if options.port else host
        return f"--host and --port: {where} cannot be listened on: {getattr(error, 'strerror', None) or error}."
    try:
        votes.check()
    except OSError as error:
        return f"--votes: {votes.path} cannot be written: {error.strerror}. Name another file."
    return None


if __name__ == "__main__":
    sys.exit(main())
