"""The command line: `melfusion generate | corpus | train | assemble | evaluate | bench | info`."""

from melfusion_core.cli.parser import main

__all__ = ["main"]
