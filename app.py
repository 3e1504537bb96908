"""MeLFusion Studio in the browser: read the flags, load the model, open the page."""

from __future__ import annotations

import argparse
import os
import sys

if os.environ.get("SPACES_ZERO_GPU"):
    import spaces  # noqa: F401  (on a ZeroGPU Space it must come before torch)

from demo.engine import PipelineEngine
from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.service import StudioService
from demo.ui import build_demo, launch


def main(arguments: list[str] | None = None) -> int:
    """Start the studio and stay until it is ended.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="checkpoints/melfusion-mini", help="folder of the model")
    parser.add_argument("--host", default=None, help="address to listen on; 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, default=None, help="port to listen on; else the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio")
    options = parser.parse_args(arguments)
    try:
        engine = PipelineEngine.from_folder(options.model)
    except OSError as error:
        print(f"The model could not be loaded from {options.model}: {error}", file=sys.stderr)
        return 1
    demo = build_demo(StudioService(engine), load_examples(EXAMPLES_FOLDER))
    launch(demo, server_name=options.host, server_port=options.port, share=options.share)
    return 0


if __name__ == "__main__":
    sys.exit(main())
