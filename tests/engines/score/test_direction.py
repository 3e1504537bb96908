"""Facts that are told, and captions that tell them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from melfusion_core.engines.score.controls import FIELDS, decode_controls
from melfusion_core.engines.score.direction import (
    Direction,
    DirectionError,
    keyed,
    known_cells,
    parse_key,
    pitch_class,
    sampled,
)
from melfusion_core.engines.score.known import part_mask
from melfusion_core.engines.score.names import INSTRUMENT_NAMES, STYLES
from melfusion_core.score.chord_text import chords_by_beat, parse_progression
from melfusion_core.score.chords import BeatChord


@pytest.mark.parametrize(
    ("name", "number"), [("C", 0), ("F#", 6), ("B flat", 10), ("e flat", 3), ("G♯", 8), ("Cb", 11)]
)
def test_names_of_pitches(name, number):
    assert pitch_class(name) == number


def test_keys():
    assert parse_key("A minor") == (9, "minor")
    assert parse_key("F# major") == (6, "major")
    assert parse_key("Bbm") == (10, "minor")
    assert parse_key("C") == (0, None)
    with pytest.raises(DirectionError, match="no key"):
        parse_key("H minor")


def read(values: torch.Tensor):
    return decode_controls(values.numpy(), len(STYLES), len(INSTRUMENT_NAMES))


def test_facts_become_known_cells():
    chords = (BeatChord(9, "m", 9),) * 4
    direction = Direction(
        tempo_bpm=140, tonic=9, mode="minor", beats_per_bar=3, style="waltz", parts={"lead": "flute", "drums": "off"},
        arousal=((0, 0.2), (8, 0.8)), chords=chords,
    )  # fmt: skip
    values, mask = known_cells(direction, 9)
    said = read(values)
    assert said.tempo_bpm[0] == 140 and said.tonic[0] == 9 and said.minor[0] and said.beats_per_bar[0] == 3
    assert STYLES[said.style[0]] == "waltz" and INSTRUMENT_NAMES[said.instrument[0, 0]] == "flute"
    assert said.root[0] == 0 and said.root[5] == -1
    assert np.all(np.diff(said.arousal[:8]) > 0)
    row, channels = FIELDS["song.arousal"]
    assert mask[channels, :8, row].all() and not mask[channels, 8, row].any()
    assert mask[part_mask("drums", 9)].all() and not values[part_mask("drums", 9, facts=False)].any()
    assert not mask[part_mask("bass", 9)].any()
    assert not values[~mask].any()


def test_nothing_told_is_only_where_the_piece_begins_and_ends():
    _, mask = known_cells(Direction(), 8)
    told = torch.zeros_like(mask)
    for name in ("song.begin", "song.end"):
        row, channels = FIELDS[name]
        told[channels, :, row] = True
    assert torch.equal(mask, told)


def test_directions_join_and_travel_as_json():
    one = Direction(tempo_bpm=90, parts={"drums": "on"})
    other = Direction(tempo_bpm=120, parts={"lead": "violin"}, chords=(None, BeatChord(0, "maj7", 4)))
    both = one | other
    assert both.tempo_bpm == 120 and both.parts == {"drums": "on", "lead": "violin"}
    assert Direction.from_dict(both.as_dict()) == both
    with pytest.raises(DirectionError, match="unknown facts: colour"):
        Direction.from_dict({"colour": 1})


@pytest.mark.parametrize(
    "told",
    [
        {"tempo_bpm": 10}, {"tempo_bpm": float("nan")}, {"beats_per_bar": 5}, {"mode": "dorian"}, {"style": "polka"},
        {"parts": {"lead": "kazoo"}}, {"parts": {"drums": "flute"}}, {"parts": {"choir": "off"}}, {"tonic": 12},
        {"arousal": ((0, 2.0),)}, {"arousal": ((4, 0.5), (2, 0.5))}, {"bars": 0},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(told):
    with pytest.raises(DirectionError):
        Direction(**told)


def test_curves():
    values, given = sampled(((2.0, 0.0), (6.0, 1.0)), 8)
    assert list(given) == [False, False, True, True, True, True, False, False]
    assert np.allclose(values[given], [0.125, 0.375, 0.625, 0.875])
    assert not sampled((), 3)[1].any()


@pytest.mark.parametrize(
    ("chords", "key"),
    [
        ("Am F C G", (9, "minor")),
        ("C Am F G", (0, "major")),
        ("Dm7 G7 Cmaj7 Cmaj7", (0, "major")),
        ("E A B E", (4, "major")),
    ],
)
def test_chords_without_a_key_bring_theirs(chords, key):
    beats = chords_by_beat(parse_progression(chords), 4, 4)
    direction = keyed(Direction(chords=beats))
    assert (direction.tonic, direction.mode) == key
    values, _ = known_cells(direction, 16)
    said = read(values)
    assert [(int(root) + key[0]) % 12 for root in said.root] == [chord.root for chord in beats]
    assert keyed(Direction(chords=beats, tonic=3)).tonic == 3 and keyed(Direction()).tonic is None
