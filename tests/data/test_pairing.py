"""Pictures drawn for pieces of music, by mood and meaning."""

from __future__ import annotations

import numpy as np
import pytest

from melfusion_core.data.associations import STYLE_WORDS
from melfusion_core.data.pairing import UNKNOWN, MusicFacts, PictureChances, PicturePairing
from melfusion_core.score.instruments import LEAD_INSTRUMENTS

STYLES, LEADS = len(STYLE_WORDS), len(LEAD_INSTRUMENTS)


def even_pictures(moods: np.ndarray) -> PictureChances:
    """Pictures that go with any music."""
    return PictureChances(moods, np.full((len(moods), STYLES), 1 / STYLES), np.full((len(moods), LEADS), 1 / LEADS))


def pieces(moods: np.ndarray) -> MusicFacts:
    unknown = np.full(len(moods), UNKNOWN)
    return MusicFacts(moods, unknown, unknown)


def draw(rng: np.random.Generator, music: MusicFacts, pictures: PictureChances, *settings: float) -> np.ndarray:
    """A picture for every piece."""
    count = len(music.moods)
    return PicturePairing(pictures, *settings).draw(music, np.arange(count), rng.random(count))


def test_pictures_are_drawn_near_the_mood_and_vary():
    rng = np.random.default_rng(0)
    moods, music = rng.random((2000, 2)), rng.random((1500, 2))
    drawn = draw(rng, pieces(music), even_pictures(moods), 0.08)
    for axis in range(2):
        assert np.corrcoef(music[:, axis], moods[drawn, axis])[0, 1] > 0.93
    inner = np.abs(music - 0.5).max(axis=1) < 0.25  # away from the borders
    assert (moods[drawn] - music)[inner].std(axis=0) == pytest.approx([0.08, 0.08], rel=0.15)
    pairing = PicturePairing(even_pictures(moods), 0.08)
    again = pairing.draw(pieces(np.full((200, 2), 0.5)), np.arange(200), np.linspace(0, 0.999, 200))
    assert len(set(again.tolist())) > 50


def test_a_mood_without_neighbours_gets_the_nearest():
    pairing = PicturePairing(even_pictures(np.array([[0.1, 0.1], [0.2, 0.1]])), 0.001)
    music = pieces(np.full((3, 2), 0.9))
    assert pairing.draw(music, np.arange(3), np.array([0.0, 0.5, 0.999999])).tolist() == [1, 1, 1]


def test_pictures_are_drawn_as_often_as_their_style_and_lead_are_likelier_than_by_chance():
    styles = np.full((2, STYLES), 0.5 / (STYLES - 1))
    styles[0, 3], styles[1, 4] = 0.5, 0.5
    leads = np.full((2, LEADS), 1 / LEADS)
    pictures = PictureChances(np.full((2, 2), 0.5), styles, leads)
    count = 4000
    music = MusicFacts(np.full((count, 2), 0.5), np.full(count, 3), np.full(count, UNKNOWN))
    drawn = draw(np.random.default_rng(1), music, pictures, 0.12)
    own, other = 0.5, 0.5 / (STYLES - 1)
    assert (drawn == 0).mean() == pytest.approx(own / (own + other), abs=0.02)
    by_mood = draw(np.random.default_rng(1), music, pictures, 0.12, 0.0)
    assert (by_mood == 0).mean() == pytest.approx(0.5, abs=0.03)


def test_names_are_looked_up_and_unknown_ones_go_with_everything():
    music = MusicFacts.from_names(np.zeros((2, 2)), ["waltz", "polka from Mars"], ["violin", "theremin"])
    assert music.styles.tolist() == [STYLE_WORDS.index("waltz"), UNKNOWN]
    assert music.leads.tolist() == [LEAD_INSTRUMENTS.index("violin"), UNKNOWN]
    rng = np.random.default_rng(2)
    chances = PictureChances(np.full((5, 2), 0.5), rng.dirichlet(np.ones(STYLES), 5), rng.dirichlet(np.ones(LEADS), 5))
    scores = PicturePairing(chances).scores(music, slice(1, 2))
    np.testing.assert_allclose(scores, scores[0, 0])
    with pytest.raises(ValueError, match="fit together"):
        MusicFacts.from_names(np.zeros((2, 2)), ["waltz"], ["violin"])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="fit together"):
        even_pictures(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="fit together"):
        PictureChances(np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((2, LEADS)))
    with pytest.raises(ValueError, match="finite"):
        even_pictures(np.array([[np.nan, 0.0]]))
    for width, meaning in ((0.0, 1.0), (0.1, -1.0)):
        with pytest.raises(ValueError, match="width must be"):
            PicturePairing(even_pictures(np.zeros((2, 2))), width, meaning)
