"""What is said on a terminal: one plain line, whoever wrote the files that it quotes."""

from __future__ import annotations

import argparse
from typing import NoReturn

MAX_LINE_CHARACTERS = 600


def plain_line(text: str, most: int = MAX_LINE_CHARACTERS) -> str:
    """Make a text fit for a terminal.

    Args:
        text: What is to be said.
        most: How many characters of it.

    Returns:
        One line, in which control characters are question marks; of a longer one the middle is left out.
    """
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= most else f"{line[: most // 2 - 5]} ... {line[-most // 2 :]}"


class PlainParser(argparse.ArgumentParser):
    """A parser of command lines whose errors are one plain line."""

    def error(self, message: str) -> NoReturn:
        """End the program with what is wrong with its command line.

        Args:
            message: What is wrong.
        """
        self.exit(2, plain_line(f"{self.prog}: {message} ({self.prog} --help lists the flags)") + "\n")
