"""What captions state in so many words."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.data.captions import make_captions
from melfusion_core.data.sections.compose import compose_section
from melfusion_core.engines.score.caption_facts import read_caption
from melfusion_core.score.tempo import TEMPO_WORDS, tempo_range, tempo_word


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        (
            "fast techno at 140 BPM in F sharp minor",
            {"tempo_bpm": 140.0, "tonic": 6, "mode": "minor", "style": "techno"},
        ),
        ("slow music in a minor key", {"tempo_within": (40.0, 71.5), "mode": "minor"}),
        ("a piece in A minor", {"tonic": 9, "mode": "minor"}),
        ("a waltz in 3/4 without drums", {"beats_per_bar": 3, "style": "waltz", "parts": {"drums": "off"}}),
        (
            "rock music with drums, E flat major",
            {"tonic": 3, "mode": "major", "style": "rock", "parts": {"drums": "on"}},
        ),
        ("a minor detail at 999 BPM", {}),
        ("Tempo: 88, Bb major", {"tempo_bpm": 88.0, "tonic": 10, "mode": "major"}),
        (
            "a jazz piece with saxophone over piano and upright bass",
            {"style": "jazz", "parts": {"lead": "saxophone", "bass": "acoustic bass"}},
        ),
        ("piano chords under a cello melody", {"parts": {"lead": "cello"}}),
        ("a piano piece", {"style": "piano piece", "parts": {"lead": "piano"}}),
        ("a music box, no piano, not too fast", {"parts": {"lead": "music box"}}),
        ("slow strings behind two flutes", {"parts": {"lead": "flute"}}),
        ("my house on the world's oldest rock", {}),
        ("house", {"style": "house"}),
        ("jazz or techno", {}),
        ("fast, then slow", {}),
        ("bagpipes without percussion", {"parts": {"lead": "bagpipes", "drums": "off"}}),
        ("", {}),
    ],
)
def test_captions_tell_facts(caption, told):
    assert read_caption(caption).as_dict() == told


def test_captions_of_the_corpus_tell_what_is_so():
    wrong, told_leads = [], 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        score = compose_section(rng, *rng.random(2), "p", bars=4)
        drums = "on" if any(track.is_drum for track in score.tracks) else "off"
        for caption in make_captions(rng, score, 0.7, 0.2):
            told = read_caption(caption)
            assert told.tempo_bpm is None or abs(told.tempo_bpm - score.tempo_bpm) <= 2.6, caption
            assert told.tonic in (None, score.tonic) and told.mode in (None, score.mode), caption
            assert told.beats_per_bar in (None, score.beats_per_bar), caption
            assert told.style in (None, score.style) and told.parts.get("drums") in (None, drums), caption
            told_leads += "lead" in told.parts
            wrong += [caption] * (told.parts.get("lead", score.lead.instrument) != score.lead.instrument)
    assert told_leads > 200 and len(wrong) < 0.06 * told_leads, wrong  # tags name players in any order


def test_ranges_of_tempo_words_meet():
    ranges = [tempo_range(word) for _, word, _ in TEMPO_WORDS]
    assert [high for _, high in ranges[:-1]] == [low for low, _ in ranges[1:]]
    assert all(tempo_word(low) == word for (low, _), (_, word, _) in zip(ranges, TEMPO_WORDS, strict=True))
