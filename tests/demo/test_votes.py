"""Votes: written once, only after listening, and counted with Wilson intervals."""

from __future__ import annotations

import json

import pytest

from demo import votes
from demo.service import StudioService
from demo.takes import TAKES, StudioError
from demo.votes import VoteBook, preference, read_votes, report
from tests.demo.fakes import FakeEngine, wish

SHORT = {"num_inference_steps": 1, "duration_s": 2.56}


@pytest.fixture(scope="module")
def result(pictures):
    *_, result = StudioService(FakeEngine()).compose(wish(str(pictures[0]), "Harp", seed=3, **SHORT))
    return result


def vote(trial: str, **others) -> dict:
    return {
        "trial": trial,
        "choice": "A",
        "order": [1, 0],
        "listened_s": [2.6, 3],
        "comment": "",
        "switches": 2,
    } | others


def test_a_vote_is_written_once(result, tmp_path):
    book = VoteBook(tmp_path / "deep" / "votes.jsonl")
    trial = book.open(result)
    line = book.cast(vote(trial, comment=" nice "))
    assert line["preferred"] == "text_only" and line["order"] == ["text_only", "with_image"]
    with pytest.raises(StudioError, match="voted on already"):
        book.cast(vote(trial))
    [kept] = read_votes(book.path)
    assert kept["comment"] == "nice" and kept["recipes"]["with_image"]["seed"] == 3
    assert book.open(result) != trial, "the same takes may be judged again as another trial"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "C"}, "cannot be read"),
        ({"order": [0, 0]}, "cannot be read"),
        ({"listened_s": [1]}, "cannot be read"),
        ({"listened_s": [9, float("nan")]}, "cannot be read"),
        ({"comment": "x" * 1001}, "cannot be read"),
        ({"trial": "guess"}, "voted on already"),
        ({"listened_s": [2.6, 1.0]}, "2.56 seconds each"),
    ],
)
def test_bad_votes_are_refused_and_leave_the_trial_open(result, tmp_path, change, message):
    book = VoteBook(tmp_path / "votes.jsonl")
    trial = book.open(result)
    with pytest.raises(StudioError, match=message):
        book.cast(vote(trial) | change)
    assert not book.path.exists()
    book.cast(vote(trial, choice="both bad"))


def test_only_pairs_are_voted_on_and_only_where_votes_are_kept(result, tmp_path):
    assert VoteBook(None).open(result) is None
    *_, takes = StudioService(FakeEngine()).compose(wish(caption="x", mode=TAKES, num_takes=2, **SHORT))
    assert VoteBook(tmp_path / "votes.jsonl").open(takes) is None


def test_old_trials_are_forgotten(result, tmp_path, monkeypatch):
    monkeypatch.setattr(votes, "MOST_TRIALS", 2)
    book = VoteBook(tmp_path / "votes.jsonl")
    trials = [book.open(result) for _ in range(3)]
    with pytest.raises(StudioError, match="too old"):
        book.cast(vote(trials[0]))
    book.cast(vote(trials[2]))


def test_rates_have_wilson_intervals():
    made = [{"preferred": name} for name in ["with_image"] * 8 + ["text_only"] * 2 + ["tie"] * 3 + ["both bad"]]
    found = preference(made, "with_image")
    # By hand, z = 1.96: centre (8 + z²/2) / (10 + z²), half width z sqrt(8·2/10 + z²/4) / (10 + z²).
    assert (found["rate"], found["low"], found["high"]) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert (found["wins"], found["decided"], found["ties"], found["both_bad"]) == (8, 10, 3, 1)
    assert preference(made, "text_only")["rate"] == pytest.approx(0.2)
    assert preference([{"preferred": "tie"}], "with_image")["decided"] == 0


def test_the_report_is_printed(result, tmp_path, capsys):
    book = VoteBook(tmp_path / "votes.jsonl")
    for choice, known in (("B", False), ("B", False), ("tie", False), ("A", True)):
        book.cast(vote(book.open(result), choice=choice, known_before=known))
    assert votes.main([str(book.path)]) == 0
    shown = capsys.readouterr().out
    assert "| with_image or text_only | blind | 100% | [34%, 100%] | 2 / 2 | 1 | 0 | 0.500 |" in shown
    assert "seen before | 0%" in shown
    (tmp_path / "broken.jsonl").write_text(json.dumps({"order": ["a", "b"]}) + "\n")
    assert votes.main([str(tmp_path / "broken.jsonl")]) == 1
    assert "line 1" in capsys.readouterr().err
    (tmp_path / "empty.jsonl").write_text("")
    assert votes.main([str(tmp_path / "empty.jsonl")]) == 0
    assert report([]).count("\n") == 1
