"""Captions from attributes."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.captions import NEUTRAL, make_captions, tempo_word
from melfusion_core.data.composer import compose
from melfusion_core.data.instruments import INSTRUMENTS


def test_tempo_words():
    assert [tempo_word(t) for t in (58.6, 71.9, 72.0, 104.0, 105.0, 156.0)] == [
        "slow", "slow", "moderate", "moderate", "fast", "fast",
    ]  # fmt: skip


def test_captions_name_the_lead_and_stay_deterministic():
    for seed in range(20):
        score = compose(np.random.default_rng(seed), 0.5, 0.5, "p")
        captions = make_captions(np.random.default_rng(seed), score, 0.5, 0.5)
        assert captions == make_captions(np.random.default_rng(seed), score, 0.5, 0.5)
        assert len(captions) == 6 and captions[-1] in NEUTRAL
        names = (score.lead.instrument, *INSTRUMENTS[score.lead.instrument].words)
        assert any(name in captions[0] for name in names) and any(name in captions[3] for name in names)
        assert all(caption == caption.strip() and caption and "  " not in caption for caption in captions)


def test_mood_words_follow_the_mood():
    score = compose(np.random.default_rng(1), 0.5, 0.5, "p")
    sad = " ".join(c for s in range(60) for c in make_captions(np.random.default_rng(s), score, 0.1, 0.1))
    happy = " ".join(c for s in range(60) for c in make_captions(np.random.default_rng(s), score, 0.9, 0.9))
    assert "melancholic" in sad and "joyful" not in sad
    assert "joyful" in happy and "melancholic" not in happy
