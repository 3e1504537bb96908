"""Captions from attributes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from melfusion_core.data.captions import (
    NEUTRAL,
    make_captions,
    noun_phrase,
    style_words,
    tempo_word,
    textures,
    with_article,
)
from melfusion_core.data.composer import compose
from melfusion_core.data.ensembles import STYLE_WORDS
from melfusion_core.score.instruments import INSTRUMENTS
from melfusion_core.score.score import Note, Score, Track


def score_of(seed: int) -> Score:
    rng = np.random.default_rng(seed)
    return compose(rng, *rng.random(2), "p")


def line(name: str, role: str = "lead") -> Track:
    return Track(name, INSTRUMENTS[name].program, [Note(float(i), 1.0, 62, 80) for i in range(16)], role=role)


def piece(*tracks: Track, style: str = "classical", tempo: float = 93.8) -> Score:
    return Score(list(tracks), tempo, 4, 2, "minor", style, "p", "composer", 0)


def test_tempo_words():
    assert [tempo_word(t) for t in (58.6, 71.9, 72.0, 104.0, 105.0, 156.0)] == [
        "slow", "slow", "moderate", "moderate", "fast", "fast",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("piano", "a piano"), ("accordion", "an accordion"), ("8-bit tune", "an 8-bit tune"), ("organ", "an organ"),
        ("ukulele", "a ukulele"), ("F major waltz", "an F major waltz"), ("C major waltz", "a C major waltz"),
        ("Irish tune", "an Irish tune"), ("euphoric march", "a euphoric march"), ("Ab minor hymn", "an Ab minor hymn"),
        ("uneasy piece", "an uneasy piece"), ("Argentine tango", "an Argentine tango"),
        ("French horn", "a French horn"),
    ],
)  # fmt: skip
def test_articles(phrase, expected):
    assert with_article(phrase) == expected


def test_mass_nouns_take_no_article():
    rng = np.random.default_rng(0)
    for style in ("game music", "8-bit game music", "chamber strings"):
        assert noun_phrase(rng, style, ["slow"]) == f"slow {style}"
    assert noun_phrase(rng, "waltz", ["elegant"]) == "an elegant waltz"
    made = {noun_phrase(rng, "techno") for _ in range(40)}
    assert "techno music" in made and "a techno track" in made and "a techno" not in made


def test_captions_name_the_lead_and_stay_deterministic():
    for seed in range(20):
        score = score_of(seed)
        captions = make_captions(np.random.default_rng(seed), score, 0.5, 0.5)
        assert captions == make_captions(np.random.default_rng(seed), score, 0.5, 0.5)
        assert len(captions) == 8 and captions[-1] in NEUTRAL
        names = (score.lead.instrument, *INSTRUMENTS[score.lead.instrument].words)
        assert any(name.lower() in captions[0].lower() for name in names)
        assert any(name.lower() in captions[3].lower() for name in names)
        for caption in captions:
            assert caption == caption.strip() and caption and "  " not in caption and "{" not in caption
            assert len(caption.split()) < 50 and not re.search(r"\ba [aeio]|\b[Aa]n (?![aeioAEFIOu8])", caption), (
                caption
            )


def test_no_caption_tells_an_untruth_about_key_tempo_metre_or_instruments():
    for seed in range(60):
        score = score_of(seed)
        playing = {track.instrument for track in score.tracks}
        # Names that say nothing else; "organ" is part of "church organ", and so on.
        absent = {"accordion", "banjo", "trumpet", "harpsichord", "sitar", "oboe", "kalimba", "marimba"} - playing
        for caption in make_captions(np.random.default_rng(seed), score, 0.3, 0.8):
            text = caption.lower()
            assert not [name for name in absent if re.search(rf"\b{name}\b", text)], caption
            assert ("major" if score.mode == "minor" else "minor") not in text, caption
            assert ("3/4" if score.beats_per_bar == 4 else "4/4") not in text, caption
            for bpm in re.findall(r"(\d+) (?:bpm|beats)", text):
                assert abs(int(bpm) - score.tempo_bpm) <= 2.5, caption
            if "drums" in playing:
                assert "without drums" not in text and "no percussion" not in text, caption
            else:
                assert not re.search(r"with drums|drum groove", text), caption


def test_textures_say_what_is_there():
    alone = piece(line("flute"))
    assert "unaccompanied" in textures(alone) and "without drums" in textures(alone)
    duo = textures(piece(line("flute"), line("cello", "counter")))
    assert "as a duo" in duo and "with a counter-melody" in duo
    drums = Track("drums", 0, [Note(float(i), 0.2, 36, 90) for i in range(16)], is_drum=True, role="drums")
    found = textures(piece(line("flute"), line("cello", "bass"), drums))
    assert "with drums" in found and "in a trio" in found
    arpeggio = Track("harp", 46, [Note(i / 2, 0.5, 60 + i % 3, 70) for i in range(32)], role="chords")
    assert "with arpeggiated chords" in textures(piece(line("flute"), arpeggio))


def test_style_words_hold_for_the_arrangement():
    assert "solo piano" in style_words(piece(line("piano"), style="piano piece"))
    assert "harpsichord music" not in style_words(piece(line("flute"), line("cello", "bass"), style="baroque"))
    assert "slow blues" not in style_words(piece(line("saxophone"), style="blues", tempo=140.0))
    assert all(style_words(piece(line("flute"), style=name))[0] == name for name in STYLE_WORDS)


def test_mood_words_follow_the_mood():
    score = score_of(1)
    sad = " ".join(c for s in range(80) for c in make_captions(np.random.default_rng(s), score, 0.1, 0.1))
    happy = " ".join(c for s in range(80) for c in make_captions(np.random.default_rng(s), score, 0.9, 0.9))
    assert "melancholic" in sad and "joyful" not in sad
    assert "joyful" in happy and "melancholic" not in happy
