"""What of a piece stays while the rest is composed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from melfusion_core.engines.score.controls import FIELDS, decode_controls
from melfusion_core.engines.score.direction import Direction, DirectionError
from melfusion_core.engines.score.engine import ScoreEngine
from melfusion_core.engines.score.known import part_mask
from melfusion_core.engines.score.names import INSTRUMENT_NAMES, STYLES
from melfusion_core.engines.score.source import Source, SourceError, source_bars
from melfusion_core.score.score import Note, Score, Track
from melfusion_core.take import TakeSettings
from tests.engines.score.test_engine import make_codec


def piece(bars: int = 4) -> Score:
    """A tune, chords and drums in D minor; every note in the first half of a beat."""
    lead = [Note(float(b), 0.5, 62 + (b * 5) % 12, 70) for b in range(4 * bars)]
    chords = [Note(4.0 * bar, 3.0, pitch, 60) for bar in range(bars) for pitch in (50, 53, 57)]
    drums = [Note(b + 0.25, 0.25, 38, 90) for b in range(4 * bars)]
    tracks = [
        Track("flute", 73, lead, role="lead"),
        Track("piano", 0, chords, role="chords"),
        Track("drums", 0, drums, True, "drums"),
    ]
    return Score(tracks, 92.0, 4, 2, "minor", "folk", "p", "s", 1)


def notes(score: Score) -> dict[str, list[tuple]]:
    return {t.role: sorted((n.start, n.duration, n.pitch, n.velocity) for n in t.notes) for t in score.tracks}


def composed(beats: int, tonic: int = 2) -> Score:
    """Music that was made anew: one long low note a beat for every part."""
    tracks = [
        Track("oboe", 68, [Note(b + 0.5, 0.25, 40, 100) for b in range(beats)], role=role) for role in ("lead", "bass")
    ]
    return replace(piece(), tracks=tracks, tonic=tonic)


def test_kept_parts_come_back_note_for_note():
    back = notes(Source(piece(), 4, keep=("lead", "drums")).restored(composed(16)))
    assert back["lead"] == notes(piece())["lead"] and back["drums"] == notes(piece())["drums"]
    assert len(back["bass"]) == 16 and "chords" not in back


def test_bars_that_are_not_redone_come_back_whole():
    back = notes(Source(piece(), 4, redo=(1, 3)).restored(composed(16)))
    own = notes(piece())
    for role in ("lead", "chords", "drums"):
        outside = [row for row in own[role] if not 4 <= row[0] < 12]
        assert [row for row in back[role] if not 4 <= row[0] < 12] == outside
    assert {row[2] for row in back["lead"] if 4 <= row[0] < 12} == {40}
    assert {row[0] // 4 for row in back["bass"]} == {1, 2}  # the piece has no bass, so its own bars have none


def test_music_goes_on_before_and_after():
    source = Source(piece(2), 2, redo=(0, 0), before=1)
    back = notes(source.restored(composed(16)))
    assert [row for row in back["lead"] if 4 <= row[0] < 12] == [
        (s + 4, d, p, v) for s, d, p, v in notes(piece(2))["lead"]
    ]
    assert {row[0] // 4 for row in back["bass"]} == {0, 3}


def test_in_another_key_what_stays_moves_along():
    back = notes(Source(piece(), 4, keep=("lead", "drums")).restored(composed(16, tonic=4)))
    assert back["lead"] == [(s, d, p + 2, v) for s, d, p, v in notes(piece())["lead"]]
    assert back["drums"] == notes(piece())["drums"]


def test_known_cells_are_those_that_stay():
    codec = make_codec()
    values, mask = Source(piece(), 4, keep=("lead",)).cells(codec, 16)
    assert mask[part_mask("lead", 16)].all() and not mask[part_mask("bass", 16)].any()
    said = decode_controls(values.numpy(), len(STYLES), len(INSTRUMENT_NAMES))
    assert STYLES[int(said.style[0])] == "folk" and said.minor.all() and said.tonic[0] == 2
    assert not mask[FIELDS["harmony.root"][1], :, FIELDS["harmony.root"][0]].any()
    _, with_chords = Source(piece(), 4, keep=("lead",), harmony=True).cells(codec, 16)
    assert with_chords.sum() >= mask.sum()
    _, spans = Source(piece(), 4, redo=(1, 2)).cells(codec, 16)
    assert spans[part_mask("bass", 16, facts=False)].reshape(-1, 1).any()
    inside = torch.zeros_like(spans)
    inside[:, 4:8] = True
    assert not (spans & inside & part_mask("lead", 16)).any() and (spans & ~inside & part_mask("lead", 16)).any()
    assert not Source(piece(), 4, before=9).cells(codec, 16)[1].any()


def test_a_longer_piece_knows_its_facts_everywhere():
    values, mask = Source(piece(2), 2, redo=(0, 0)).cells(make_codec(), 24)
    row, channels = FIELDS["song.tonic"]
    assert mask[channels, :, row].all()
    assert torch.equal(values[channels, 20, row], values[channels, 0, row])
    assert not mask[part_mask("lead", 24)].reshape(-1).all()


def test_the_engine_composes_around_it():
    engine = ScoreEngine(make_codec(), fold=3).eval()
    source = Source(piece(), 4, keep=("lead",))
    told = Direction(source=source)
    plan = engine.plan(["music"], TakeSettings(duration_s=4.0), directions=[told])
    assert plan.beats == (16,) and plan.directions[0].tempo_bpm == 92.0 and plan.look is None
    noise = torch.randn(1, *plan.shape, generator=torch.Generator().manual_seed(0))
    view = engine.view(plan.known.paste(noise), plan)[0]
    assert notes(view.score)["lead"] == notes(piece())["lead"]
    assert view.score.tempo_bpm == pytest.approx(92.0) and view.score.tonic == 2
    other = engine.plan(["in G major, with oboe"], TakeSettings(tempo_bpm=120.0), directions=[told])
    moved = engine.view(other.known.paste(noise), other)[0].score
    assert [row[2] + 7 for row in notes(moved)["lead"]] == [row[2] for row in notes(piece())["lead"]]
    assert (moved.tempo_bpm, moved.tonic, moved.mode) == (pytest.approx(120.0), 7, "major")
    assert next(track for track in moved.tracks if track.role == "lead").instrument == "oboe"


def test_a_caption_of_another_metre_is_refused():
    engine = ScoreEngine(make_codec(), fold=3).eval()
    with pytest.raises(DirectionError, match="4 beats a bar"):
        engine.plan(["music in 3/4"], TakeSettings(), directions=[Direction(source=Source(piece(), 4, ("lead",)))])


def test_it_survives_json():
    source = Source(piece(), 4, keep=("lead",), redo=(1, 2), harmony=True, before=2)
    assert Direction.from_dict(Direction(source=source).as_dict()).source == source
    with pytest.raises(SourceError, match="no piece"):
        Source.from_dict({"score": 7})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": ("flute",)}, "no part flute"),
        ({"redo": (3, 9)}, "bars 4 to 9"),
        ({"bars": 0}, "at least one bar"),
        ({"score": replace(piece(), tracks=piece().tracks[:1] * 2)}, "may stand once"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(SourceError, match=message):
        Source(**({"score": piece(), "bars": 4} | changes))


def test_bars_of_a_score():
    assert source_bars(piece(3)) == 3 and source_bars(replace(piece(), tracks=[])) == 1
    assert np.isclose(Source(piece(), 4).beats, 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"tempo_bpm": float("nan")},
        {"tonic": 12},
        {"beats_per_bar": 7},
        {"mode": "dorian"},
        {"tracks": [Track("kazoo", 0, [], role="lead")]},
        {"tracks": [Track("flute", 73, [Note(float("inf"), 1.0, 60, 60)], role="lead")]},
        {"tracks": [Track("flute", 73, [Note(0.0, 1.0, 200, 60)], role="lead")]},
        {"tempo_bpm": "fast"},
    ],
)
def test_pieces_that_none_can_be_are_refused_in_words(changes):
    told = Source(piece(), 4).as_dict() | {"score": replace(piece(), **changes).to_dict()}
    with pytest.raises(DirectionError, match="no piece|none can have|another kind"):
        Direction.from_dict({"source": told})
