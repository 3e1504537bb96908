"""`python -m melfusion_core.cli`."""

import sys

from melfusion_core.cli.parser import main

if __name__ == "__main__":
    sys.exit(main())
