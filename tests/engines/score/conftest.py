from __future__ import annotations

import pytest

from melfusion_core.score.chords import BeatChord
from melfusion_core.score.score import Note, Score, Track


@pytest.fixture
def duet() -> Score:
    """Four beats in D major: a tune, block chords and drums."""
    lead = Track("flute", 73, [Note(0.0, 1.0, 74, 90), Note(1.0, 0.5, 78, 80), Note(1.5, 2.5, 81, 100)], role="lead")
    chords = Track("piano", 0, [Note(b, 2.0, p, 60) for b in (0.0, 2.0) for p in (62, 66, 69)], role="chords")
    hits = [Note(float(b), 0.2, 36 if b % 2 == 0 else 38, 110 if b == 0 else 70) for b in range(4)]
    drums = Track("drums", 0, hits, is_drum=True, role="drums")
    harmony = (BeatChord(2, "", 2),) * 4
    return Score([lead, chords, drums], 96.0, 4, 2, "major", "folk", "test/duet", "test", 1, harmony=harmony)
