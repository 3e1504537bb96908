"""Kind notes on what somebody wrote."""

from __future__ import annotations

import pytest

from demo import words
from demo.caption_notes import caption_notes
from demo.engine import PipelineEngine
from demo.takes import Reading
from melfusion_core.data.caption_words import MOODS
from melfusion_core.score.instruments import INSTRUMENTS


@pytest.mark.parametrize("caption", ["A song with female vocals", "a man singing", "rap over a slow beat"])
def test_who_asks_for_singing_is_told(caption):
    assert caption_notes(caption, Reading()) == (words.NOTE_SINGING,)


@pytest.mark.parametrize(
    "caption",
    [
        "Ruhige Musik mit Klavier und Geige",
        "guitare douce avec piano",
        "música suave con guitarra",
        "静かなピアノ",
        "安静的钢琴",
    ],
)
def test_other_languages_are_noticed(caption):
    assert words.NOTE_LANGUAGE in caption_notes(caption, Reading(strange=("x",)))
    assert len(caption_notes(caption, Reading(strange=("x",)))) == 1, "one note, not one for each word"


def test_nothing_is_said_of_what_the_model_learned():
    for caption in (
        "A slow piano with soft strings",
        "vocal choir and organ",
        "lento, as calm as the sea",
        "no vocals, calm",
        "lo-fi beat at 80 bpm",
        "solo cello, e minor",
    ):
        assert caption_notes(caption, Reading()) == ()
    for name in INSTRUMENTS:
        assert caption_notes(f"a calm piece with {name.replace('_', ' ')}", Reading()) == ()
    for moods in MOODS.values():
        assert caption_notes(", ".join(moods), Reading()) == ()


def test_the_model_says_what_it_does_not_know_or_read(tiny_pipeline):
    engine = PipelineEngine(tiny_pipeline, "tiny", "0" * 64)
    assert engine.reads("A slow piano with soft strings") == engine.reads("") == Reading()
    assert engine.reads("piano and zxqwkvjbrt").strange == ("zxqwkvjbrt",)
    long = "a slow piano and " * 20 + "drums"
    cut = engine.reads(long).cut
    assert cut.endswith("drums") and long.endswith(cut) and 0 < len(cut) < len(long)
    said = caption_notes(long, engine.reads(long))
    assert len(said) == 1 and "stops before" in said[0]
