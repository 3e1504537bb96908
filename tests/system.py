"""What the tests need from the machine: programs and files that pip does not install."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

STRICT_VARIABLE = "MELFUSION_REQUIRE_SYSTEM"


def _missing(what: str, package: str | None) -> NoReturn:
    advice = f" (Debian package {package})" if package else ""
    reason = f"{what} is not installed{advice}"
    if os.environ.get(STRICT_VARIABLE) == "1":
        pytest.fail(f"{reason}, and {STRICT_VARIABLE}=1 forbids skipping", pytrace=False)
    pytest.skip(reason)


def require_program(*names: str, package: str | None = None) -> str:
    """Find a program, or skip the test; fail it where `MELFUSION_REQUIRE_SYSTEM=1`.

    Args:
        names: Names of the program, in order of preference.
        package: Debian package that brings it, for the message.

    Returns:
        Path of the first one found.
    """
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    _missing(f"the program {' or '.join(names)}", package or names[0])


def require_file(*paths: str | Path, package: str | None = None) -> Path:
    """Find a file that a system package brings, or skip the test; fail it where `MELFUSION_REQUIRE_SYSTEM=1`.

    Args:
        paths: Places to look, in order of preference.
        package: Debian package that brings it, for the message.

    Returns:
        The first one that exists.
    """
    for path in map(Path, paths):
        if path.is_file():
            return path
    _missing(f"the file {' or '.join(str(path) for path in paths)}", package)
