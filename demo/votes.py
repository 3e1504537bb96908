"""Blind votes: kept as JSON Lines, each trial once, and counted with Wilson intervals.

python -m demo.votes votes.jsonl
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from demo import words
from demo.takes import COMPARE, SWAP, Result, StudioError
from melfusion_core.pipelines.rendering import TEXT_ONLY, WITH_IMAGE
from melfusion_core.recipe import Recipe
from melfusion_core.terminal import PlainParser

CHOICES = ("A", "B", "tie", "both bad")
LEAST_LISTENING_S = 5.0
MOST_TRIALS = 1000
MAX_COMMENT = 1000
MAX_SWITCHES = 100_000


@dataclass(frozen=True)
class Trial:
    """A pair that may be voted on once.

    Attributes:
        names: What each take is, such as "with_image" and "text_only".
        recipes: Recipe of each take.
        seconds: Length of the takes.
        known: Whether the visitor was told before which take is which.
        opened_s: When the visitor got the pair, on the server's clock.
    """

    names: tuple[str, str]
    recipes: tuple[Recipe, Recipe]
    seconds: float
    known: bool
    opened_s: float


class VoteBook:
    """Hands out trials and writes each one's vote once.

    Args:
        path: JSON Lines file to append to; ``None`` where votes are not collected.
        least_listening_s: Seconds that each take must have been heard.
        clock: Gives the time in seconds; what a page says of its listening is believed no further than that.
    """

    def __init__(
        self,
        path: str | Path | None,
        least_listening_s: float = LEAST_LISTENING_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.least_listening_s = least_listening_s
        self._clock = clock
        self._trials: OrderedDict[str, Trial] = OrderedDict()
        self._lock = threading.Lock()

    def check(self) -> None:
        """Find out whether votes can be written, before anybody has listened.

        Raises:
            OSError: When they cannot.
        """
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("ab").close()

    def open(self, result: Result, known: bool = False) -> str | None:
        """Begin a trial.

        Args:
            result: A pair.
            known: Whether the visitor was told before which take is which.

        Returns:
            The trial's name, known to this visitor alone; ``None`` where there is nothing to vote on.
        """
        if self.path is None or len(result.takes) != 2 or result.mode not in (COMPARE, SWAP):
            return None
        names = (WITH_IMAGE, TEXT_ONLY) if result.mode == COMPARE else ("this_picture", "other_picture")
        recipes = result.takes[0].recipe, result.takes[1].recipe
        name = secrets.token_hex(16)
        with self._lock:
            self._trials[name] = Trial(names, recipes, recipes[0].duration_s, known, self._clock())
            while len(self._trials) > MOST_TRIALS:
                self._trials.popitem(last=False)
        return name

    def wanted_s(self, seconds: float) -> float:
        """How long each take of a pair must be heard before the vote.

        Args:
            seconds: Length of the takes.

        Returns:
            Seconds.
        """
        return min(self.least_listening_s, seconds)

    def cast(self, vote: dict[str, Any]) -> dict[str, Any]:
        """Check a vote and write it.

        Args:
            vote: From the page: ``trial``, ``choice``, ``order``, ``listened_s``, ``comment``, ``switches`` and
                ``known_before``.

        Returns:
            What was written.

        Raises:
            StudioError: When the trial is unknown or over, or the vote is not valid.
        """
        vote = vote if isinstance(vote, dict) else {}
        choice, order, comment = vote.get("choice"), vote.get("order"), vote.get("comment", "")
        listened, name = vote.get("listened_s"), vote.get("trial")
        if choice not in CHOICES or order not in ([0, 1], [1, 0]) or not isinstance(name, str):
            raise StudioError(words.VOTE_INVALID)
        numbers = isinstance(listened, list) and len(listened) == 2 and all(map(_is_number, listened))
        if not isinstance(comment, str) or len(comment) > MAX_COMMENT or not numbers:
            raise StudioError(words.VOTE_INVALID)
        with self._lock:
            trial = self._trials.get(name)
            if trial is None or self.path is None:
                raise StudioError(words.VOTE_OVER)
            wanted, passed = self.wanted_s(trial.seconds), self._clock() - trial.opened_s
            if min(listened) < wanted - 0.05 or passed < 2 * wanted - 0.1:
                raise StudioError(words.VOTE_TOO_SOON.format(seconds=wanted))
            order = [trial.names[int(index)] for index in order]
            switches = vote.get("switches")
            line = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "preferred": order[CHOICES.index(choice)] if choice in "AB" else choice,
                "choice": choice,
                "order": order,
                "listened_s": [round(min(float(seconds), passed), 2) for seconds in listened],
                "switches": int(switches) if _is_number(switches) and 0 <= switches <= MAX_SWITCHES else None,
                "known_before": trial.known or bool(vote.get("known_before")),
                "comment": comment.strip(),
                "recipes": {name: recipe.to_dict() for name, recipe in zip(trial.names, trial.recipes, strict=True)},
            }
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                _append(self.path, json.dumps(line, ensure_ascii=False, allow_nan=False))
            except OSError as error:
                raise StudioError(words.VOTE_NOT_WRITTEN) from error
            del self._trials[name]
        return line


def _append(path: Path, line: str) -> None:
    """Add a whole line to a file, or nothing; a part of one that was left there before ends where it is."""
    with path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        data = b"\n" * torn + line.encode("utf-8", "replace") + b"\n"
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise


def read_votes(path: str | Path) -> list[dict[str, Any]]:
    """Read a file of votes.

    Args:
        path: JSON Lines, as :class:`VoteBook` writes it.

    Returns:
        The votes in order.

    Raises:
        ValueError: When a line is not a vote; the message names it.
        OSError: When the file cannot be read.
    """
    votes = []
    # Not splitlines(), which takes some letters that may stand in a comment for the end of a line.
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), 1):
        if not line:
            continue
        try:
            vote = json.loads(line)
            votes.append(vote | {"pair": tuple(sorted(vote["order"])), "preferred": str(vote["preferred"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}, is not a vote: {error}") from error
    return votes


def preference(votes: Iterable[dict[str, Any]], name: str) -> dict[str, float | int]:
    """Count how often one of two was preferred, among the votes that preferred either.

    Args:
        votes: Votes on one kind of pair.
        name: Of the two, the one whose rate is wanted.

    Returns:
        ``rate`` with its 95 % Wilson interval ``low`` and ``high``, ``wins``, ``decided``, ``ties``, ``both_bad``, and
        the two-sided ``p_value`` of the binomial test against one half. Rates are NaN where nothing was decided.
    """
    counts = Counter(vote["preferred"] for vote in votes)
    ties, bad = counts.pop("tie", 0), counts.pop("both bad", 0)
    wins, decided = counts[name], counts.total()
    rate = low = high = p_value = math.nan
    if decided:
        test = binomtest(wins, decided)
        interval = test.proportion_ci(method="wilson")
        rate, low, high, p_value = wins / decided, float(interval.low), float(interval.high), float(test.pvalue)
    return {
        "rate": rate, "low": low, "high": high, "p_value": p_value,
        "wins": wins, "decided": decided, "ties": ties, "both_bad": bad,
    }  # fmt: skip


def report(votes: list[dict[str, Any]]) -> str:
    """Write the preference rates as Markdown.

    Args:
        votes: As :func:`read_votes` gives them.

    Returns:
        A table, one row per kind of pair; votes of listeners who had heard the pair unhidden are counted apart.
    """
    lines = [
        "| pair | listening | preferred the first | 95 % interval | wins / decided | ties | both bad | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    order = {WITH_IMAGE: 0, "this_picture": 0}
    for pair in sorted({vote["pair"] for vote in votes}):
        first, second = sorted(pair, key=lambda name: order.get(name, 1))
        for known, label in ((False, "blind"), (True, "seen before")):
            row = [vote for vote in votes if vote["pair"] == pair and bool(vote.get("known_before")) == known]
            if row:
                r = preference(row, first)
                figures = f"{r['rate']:.0%} | [{r['low']:.0%}, {r['high']:.0%}]" if r["decided"] else "none | none"
                p_value = f"{r['p_value']:.3f}" if r["decided"] else "none"
                lines.append(
                    f"| {first} or {second} | {label} | {figures} | {r['wins']} / {r['decided']} | {r['ties']} | "
                    f"{r['both_bad']} | {p_value} |"
                )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the preference rates of a file of votes.

    Args:
        arguments: Command line without the program's name; by default that of the process.

    Returns:
        Exit status.
    """
    parser = PlainParser(prog="python -m demo.votes", description=main.__doc__)
    parser.add_argument("file", help="JSON Lines, as the studio writes it with --votes")
    options = parser.parse_args(arguments)
    try:
        votes = read_votes(options.file)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report(votes) if votes else "There are no votes yet.")
    return 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9  # NaN is not below it


if __name__ == "__main__":
    sys.exit(main())
