"""Blind votes: kept as JSON Lines, each trial once, and counted with Wilson intervals.

python -m demo.votes votes.jsonl
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from demo import words
from demo.takes import COMPARE, SWAP, Result, StudioError
from melfusion_core.pipelines.rendering import TEXT_ONLY, WITH_IMAGE
from melfusion_core.recipe import Recipe

CHOICES = ("A", "B", "tie", "both bad")
LEAST_LISTENING_S = 5.0
MOST_TRIALS = 1000
MAX_COMMENT = 1000


@dataclass(frozen=True)
class Trial:
    """A pair that may be voted on once.

    Attributes:
        names: What each take is, such as "with_image" and "text_only".
        recipes: Recipe of each take.
        seconds: Length of the takes.
    """

    names: tuple[str, str]
    recipes: tuple[Recipe, Recipe]
    seconds: float


class VoteBook:
    """Hands out trials and writes each one's vote once.

    Args:
        path: JSON Lines file to append to; ``None`` where votes are not collected.
        least_listening_s: Seconds that each take must have been heard.
    """

    def __init__(self, path: str | Path | None, least_listening_s: float = LEAST_LISTENING_S) -> None:
        self.path = None if path is None else Path(path)
        self.least_listening_s = least_listening_s
        self._trials: OrderedDict[str, Trial] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, result: Result) -> str | None:
        """Begin a trial.

        Args:
            result: A pair.

        Returns:
            The trial's name, known to this visitor alone; ``None`` where there is nothing to vote on.
        """
        if self.path is None or len(result.takes) != 2 or result.mode not in (COMPARE, SWAP):
            return None
        names = (WITH_IMAGE, TEXT_ONLY) if result.mode == COMPARE else ("this_picture", "other_picture")
        recipes = result.takes[0].recipe, result.takes[1].recipe
        name = secrets.token_hex(16)
        with self._lock:
            self._trials[name] = Trial(names, recipes, recipes[0].duration_s)
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
        if (
            not isinstance(vote, dict)
            or vote.get("choice") not in CHOICES
            or vote.get("order") not in ([0, 1], [1, 0])
        ):
            raise StudioError(words.VOTE_INVALID)
        comment, listened = vote.get("comment", ""), vote.get("listened_s")
        numbers = isinstance(listened, list) and len(listened) == 2 and all(map(_is_number, listened))
        if not isinstance(comment, str) or len(comment) > MAX_COMMENT or not numbers:
            raise StudioError(words.VOTE_INVALID)
        with self._lock:
            trial = self._trials.get(str(vote.get("trial")))
            if trial is None or self.path is None:
                raise StudioError(words.VOTE_OVER)
            if min(listened) < self.wanted_s(trial.seconds) - 0.05:
                raise StudioError(words.VOTE_TOO_SOON.format(seconds=self.wanted_s(trial.seconds)))
            order = vote["order"]
            preferred = trial.names[order[CHOICES.index(vote["choice"])]] if vote["choice"] in "AB" else vote["choice"]
            line = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "preferred": preferred,
                "choice": vote["choice"],
                "order": [trial.names[index] for index in order],
                "listened_s": [round(float(seconds), 2) for seconds in listened],
                "switches": int(vote["switches"]) if _is_number(vote.get("switches")) else None,
                "known_before": bool(vote.get("known_before")),
                "comment": comment.strip(),
                "recipes": {name: recipe.to_dict() for name, recipe in zip(trial.names, trial.recipes, strict=True)},
            }
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            except OSError as error:
                raise StudioError(words.VOTE_NOT_WRITTEN) from error
            del self._trials[str(vote["trial"])]
        return line


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
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
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
    parser = argparse.ArgumentParser(prog="python -m demo.votes", description=main.__doc__)
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
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


if __name__ == "__main__":
    sys.exit(main())
