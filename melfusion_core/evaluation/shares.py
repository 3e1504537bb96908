"""Shares of an evaluation's takes, so that several machines can make them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A share of the takes.

    Args:
        index: Which share, from 0.
        count: Of how many.
    """

    index: int = 0
    count: int = 1

    def holds(self, number: int) -> bool:
        """Whether a take belongs to this share.

        Args:
            number: Number of the take.
        """
        return number % self.count == self.index


WHOLE = Part()


def parse_part(text: str) -> Part:
    """Read a share.

    Args:
        text: Such as "0/4", "3/4".

    Raises:
        ValueError: It is something else.
    """
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if not found or not int(found[1]) < int(found[2]):
        raise ValueError(f"{text!r} is no share; shares are written 0/4, 1/4, 2/4, 3/4")
    return Part(int(found[1]), int(found[2]))
