"""Votes: written once, only after listening, and counted with Wilson intervals."""

from __future__ import annotations

import json
import resource
import signal

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


class Clock:
    """A clock that goes on by ten seconds whenever it is read."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 10.0
        return self.now_s


def book_at(path) -> VoteBook:
    return VoteBook(path, clock=Clock())


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
    book = book_at(tmp_path / "deep" / "votes.jsonl")
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
    book = book_at(tmp_path / "votes.jsonl")
    trial = book.open(result)
    with pytest.raises(StudioError, match=message):
        book.cast(vote(trial) | change)
    assert not book.path.exists()
    book.cast(vote(trial, choice="both bad"))


def test_listening_is_not_believed_beyond_the_servers_own_clock(result, tmp_path):
    clock = Clock()
    book = VoteBook(tmp_path / "votes.jsonl", clock=clock)
    trial = book.open(result)
    clock.now_s -= 9.0
    with pytest.raises(StudioError, match="Listen to both"):
        book.cast(vote(trial, listened_s=[999, 999]))
    assert not book.path.exists()
    assert book.cast(vote(trial, listened_s=[999, 5.2]))["listened_s"] == [11.0, 5.2]


def test_who_was_told_is_counted_so_whatever_the_page_says(result, tmp_path):
    book = book_at(tmp_path / "votes.jsonl")
    assert book.cast(vote(book.open(result, known=True), known_before=False))["known_before"] is True


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\n", "\r", "\ud800", "\0"])
def test_no_letter_of_a_comment_breaks_the_file(result, tmp_path, letter):
    book = book_at(tmp_path / "votes.jsonl")
    for number in range(3):
        book.cast(vote(book.open(result), comment=f"{number}{letter}and more"))
    found = read_votes(book.path)
    assert [line["comment"][0] for line in found] == ["0", "1", "2"]
    assert all(line["comment"].endswith("and more") for line in found)


def test_a_full_disk_leaves_no_half_line_and_no_vote_is_glued_to_one(result, tmp_path, monkeypatch):
    book = book_at(tmp_path / "votes.jsonl")
    book.cast(vote(book.open(result)))
    whole, trial = book.path.read_bytes(), book.open(result)
    hard, soft = resource.getrlimit(resource.RLIMIT_FSIZE)[1], len(whole) + 100
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))  # what is written beyond fails, as on a full disk
    try:
        with pytest.raises(StudioError, match="could not be written"):
            book.cast(vote(trial))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert book.path.read_bytes() == whole
    book.path.write_bytes(whole + b'{"half')
    book.cast(vote(trial))
    assert book.path.read_bytes().count(b"\n") == 3, "the new vote has a line of its own"
    with pytest.raises(ValueError, match="line 2, is not a vote"):
        read_votes(book.path)


STRANGE = [
    {"listened_s": [10**400, 10**400]}, {"listened_s": ["9", "9"]}, {"listened_s": {"0": 9}}, {"listened_s": [True]},
    {"order": [0.5, 1]}, {"order": "01"}, {"order": None}, {"choice": ["A"]}, {"choice": None}, {"choice": {}},
    {"trial": ["x"]}, {"trial": None}, {"trial": 5}, {"comment": 5}, {"comment": ["x"]}, {"comment": None},
]  # fmt: skip


@pytest.mark.parametrize("change", STRANGE, ids=str)
def test_strange_values_are_refused_in_one_sentence(result, tmp_path, change):
    book = book_at(tmp_path / "votes.jsonl")
    with pytest.raises(StudioError, match="cannot be read|voted on already"):
        book.cast(vote(book.open(result)) | change)
    for nonsense in (None, [], "x", 5, [[["x"]]]):
        with pytest.raises(StudioError, match="cannot be read"):
            book.cast(nonsense)


@pytest.mark.parametrize("switches", [10**400, 1e300, -1, "x", None, [1]])
def test_switches_that_are_no_count_are_left_out(result, tmp_path, switches):
    book = book_at(tmp_path / "votes.jsonl")
    line = book.cast(vote(book.open(result), switches=switches, order=[1.0, 0.0]))
    assert line["switches"] is None and line["order"] == ["text_only", "with_image"]


def test_a_place_that_cannot_be_written_is_found_out_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        VoteBook(tmp_path / "file" / "votes.jsonl").check()
    VoteBook(tmp_path / "new" / "votes.jsonl").check()
    VoteBook(None).check()


def test_only_pairs_are_voted_on_and_only_where_votes_are_kept(result, tmp_path):
    assert VoteBook(None).open(result) is None
    *_, takes = StudioService(FakeEngine()).compose(wish(caption="x", mode=TAKES, num_takes=2, **SHORT))
    assert VoteBook(tmp_path / "votes.jsonl").open(takes) is None


def test_old_trials_are_forgotten(result, tmp_path, monkeypatch):
    monkeypatch.setattr(votes, "MOST_TRIALS", 2)
    book = book_at(tmp_path / "votes.jsonl")
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
    book = book_at(tmp_path / "votes.jsonl")
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
