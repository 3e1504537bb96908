"""What is measured on notes: orders, facts, shares and the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from melfusion_core.cli import main
from melfusion_core.engines.score.direction import Direction
from melfusion_core.evaluation.note_report import (
    NoteTakes,
    evaluate_notes,
    facts_of,
    music_alike,
    orders_followed,
    overlapping_area,
    read_works,
)
from melfusion_core.evaluation.orders import (
    Order,
    bass_root_share,
    caption_orders,
    chord_tone_share,
    density_curve,
    direction_orders,
    heard_key,
    level_curve,
)
from melfusion_core.evaluation.shares import Part
from melfusion_core.evaluation.takes import SamplingSettings
from melfusion_core.score.chord_text import chords_by_beat, parse_progression
from melfusion_core.score.score import Note, Score, Track
from tests.score_pipeline import make_score_pipeline

SETTINGS = SamplingSettings(duration_s=4.0, num_inference_steps=1, seed=3)


def a_score(**changes) -> Score:
    """Two bars of A minor and C: a flute over bass notes, with drums."""
    lead = [Note(b, 1.0, 69 + step, 60 + 5 * b) for b, step in enumerate((0, 2, 3, 7, 3, 7, 10, 3))]
    bass = [Note(0.0, 4.0, 45, 80), Note(4.0, 4.0, 48, 80)]
    drums = [Note(float(b) / 2, 0.25, 42, 50) for b in range(8)]
    tracks = [
        Track("flute", 73, lead, role="lead"),
        Track("acoustic bass", 32, bass, role="bass"),
        Track("drums", 0, drums, True, "drums"),
    ]
    return replace(Score(tracks, 100.0, 4, 9, "minor", "folk", "p", "s", 1), **changes)


def checks(orders: list[Order], caption: str) -> dict[str, float]:
    order = next(order for order in orders if order.caption == caption)
    return {name: check(a_score(), 8) for name, check in order.checks.items()}


def test_orders_are_checked_on_the_notes():
    orders = caption_orders(1)
    assert checks(orders, "a piece of music at 100 BPM") == {"within 4 %": 1.0}
    assert checks(orders, "a piece of music at 88 BPM") == {"within 4 %": 0.0}
    assert checks(orders, "moderate music") == {"in its range": 1.0} != checks(orders, "fast music")
    assert checks(orders, "a piece of music in A minor") == {"by Krumhansl on the notes": 1.0}
    assert checks(orders, "a piece of music in F sharp minor") == {"by Krumhansl on the notes": 0.0}
    assert checks(orders, "a piece with flute") == {"plays": 1.0, "leads": 1.0}
    assert checks(orders, "a piece with harp") == {"plays": 0.0, "leads": 0.0}
    assert checks(orders, "music with drums") == {"as said": 1.0} != checks(orders, "music without drums")
    assert len(caption_orders(3)) == 3 * len(orders) and heard_key(replace(a_score(), tracks=[])) is None


def test_chords_are_heard_in_notes_and_bass():
    right, wrong = (chords_by_beat(parse_progression(text), 4, 8) for text in ("Am C", "F# B"))
    score = a_score()
    assert chord_tone_share(score, right) == pytest.approx(9 / 10) and bass_root_share(score, right) == 1.0
    assert chord_tone_share(score, wrong) < 0.2 and bass_root_share(score, wrong) == 0.0
    assert np.isnan(bass_root_share(replace(score, tracks=score.tracks[:1]), right))


def test_curves_are_read_beat_by_beat():
    score = a_score(tracks=a_score().tracks[:1])
    assert list(level_curve(score, 9)[:8]) == [60 + 5 * b for b in range(8)] and np.isnan(level_curve(score, 9)[8])
    assert list(density_curve(a_score(), 8)) == [2.0] * 4 + [1.0] * 4
    order = next(order for order in direction_orders(1) if order.kind == "level")
    assert order.checks["correlation"](score, 16) > 0.99  # it rises as told
    assert order.direction == Direction(bars=4, beats_per_bar=4, tempo_bpm=110.0, level=((0, 45), (15, 115)))


def test_what_follows_stands_beside_what_is_shuffled():
    orders = [Order("tempo", "", {"exact": lambda s, b, t=t: float(s.tempo_bpm == t)}) for t in range(50, 150, 2)]
    scores = [(a_score(tempo_bpm=float(t)), 8) for t in range(50, 150, 2)]
    row = orders_followed(orders, scores)["tempo: exact"]
    assert row["value"] == 1.0 and row["floor"]["value"] < 0.2 and row["n"] == 50 and row["untold"] == 0


def test_overlap_of_distributions():
    x = np.random.default_rng(0).normal(size=2000)
    assert overlapping_area(x, x) == pytest.approx(1.0) and overlapping_area(x, x + 20) < 0.01
    assert 0.3 < overlapping_area(x, x + 1) < 0.8 and np.isnan(overlapping_area(x, np.full(3, np.nan)))


def test_takes_are_compared_with_works():
    facts = [facts_of(a_score(), 8) for _ in range(6)]
    table = music_alike(facts, facts)
    assert table["notes_per_beat"]["ratio"] == 1.0 and table["notes_per_beat"]["area"] == 1.0
    assert facts_of(a_score(tracks=a_score().tracks[1:]), 8) is None


@pytest.fixture
def pipeline(tiny_text):
    return make_score_pipeline(tiny_text)


@pytest.fixture
def scored_corpus(tiny_corpus, tmp_path):
    """The tiny corpus with the same score for every clip."""
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    ids = [json.loads(line)["id"] for line in (tmp_path / "corpus" / "metadata.jsonl").read_text().splitlines()]
    lines = [json.dumps({"id": name} | a_score().to_dict()) + "\n" for name in ids]
    (tmp_path / "corpus" / "scores.jsonl").write_text("".join(lines))
    return tmp_path / "corpus"


def few(kind: str) -> list[Order]:
    told = Direction(bars=2, beats_per_bar=4, tempo_bpm=100.0)
    return [Order(kind, "music", {"n": lambda s, b: float(b)}, told) for _ in range(3)]


def test_shares_make_the_same_takes_as_the_whole(pipeline, tmp_path):
    whole = NoteTakes(pipeline, tmp_path / "whole", SETTINGS, 1, progress=False)
    whole.make("directions", few("a"))
    for index in range(2):
        share = NoteTakes(pipeline, tmp_path / "shares", SETTINGS, 1, Part(index, 2), progress=False)
        if index == 0:
            share.make("directions", few("a"))
            with pytest.raises(FileNotFoundError, match="1 of 3"):
                share.read("directions", 3)
        share.make("directions", few("a"))
    assert share.read("directions", 3) == whole.read("directions", 3)
    assert len({json.dumps(score.to_dict()) for score, _ in whole.read("directions", 3)}) > 1
    with pytest.raises(ValueError, match="other settings"):
        NoteTakes(pipeline, tmp_path / "whole", SETTINGS.changed(seed=4))


def test_the_report_has_every_suite(pipeline, tmp_path, monkeypatch, scored_corpus):
    from melfusion_core.evaluation import note_report

    monkeypatch.setattr(note_report, "SUITES", {"captions": lambda per: few("a")})
    takes = NoteTakes(pipeline, tmp_path, SETTINGS, 4, progress=False)
    report = evaluate_notes(takes, 1, scored_corpus, 4)
    assert report["captions"]["a: n"]["value"] == 8.0 and report["without_lead"]["works"] == 0
    assert "| a: n | 8.000" in (tmp_path / "notes.md").read_text()
    assert json.loads((tmp_path / "notes.json").read_text())["settings"]["seed"] == 3
    (scored_corpus / "scores.jsonl").unlink()
    with pytest.raises(ValueError, match="scores.jsonl"):
        read_works(scored_corpus, "test", 4)


def test_a_model_without_notes_is_refused(tmp_path, capsys):
    assert main(["evaluate-notes", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) != 0
    assert "There is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate-notes", str(tmp_path), "--out", str(tmp_path / "out"), "--part", "3/3"])
    assert "no share" in capsys.readouterr().err
