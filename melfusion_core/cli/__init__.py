"""The command line: `melfusion generate | corpus | train | evaluate | bench | info`. Flags to calls, nothing else."""

from melfusion_core.cli.parser import main

__all__ = ["main"]
