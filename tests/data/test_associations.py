"""What pictures may sound like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from melfusion_core.data.associations import ASSOCIATIONS, STYLE_WORDS, Association, Associations
from melfusion_core.data.styles import STYLES
from melfusion_core.models.text import encode_text
from melfusion_core.score.instruments import LEAD_INSTRUMENTS

TABLE = (
    Association(("church", "chapel"), ("organ piece", "choral"), ("church organ",)),
    Association(("desert",), ("world",), ("sitar", "oboe")),
)


def axes(texts: Sequence[str]) -> np.ndarray:
    """Words on axes of their own; "chapel" lies between those of "church" and something else."""
    words = ["church", "desert", "something else", *STYLE_WORDS, *LEAD_INSTRUMENTS]
    found = np.zeros((len(texts), len(words)))
    for row, text in enumerate(texts):
        found[row, words.index("church" if text == "chapel" else text)] = 1.0
    return found


def test_the_table_names_what_there_is_and_every_style():
    assert {style for row in ASSOCIATIONS for style in row.styles} == set(STYLE_WORDS)
    assert {lead for row in ASSOCIATIONS for lead in row.leads} <= set(LEAD_INSTRUMENTS)
    scenes = [scene for row in ASSOCIATIONS for scene in row.scenes]
    assert len(scenes) == len(set(scenes)) and all(row.scenes and row.leads for row in ASSOCIATIONS)
    assert {style.name for style in STYLES} <= set(STYLE_WORDS)


def test_a_scene_goes_with_its_row_the_first_named_most():
    styles, leads = Associations(axes, TABLE).chances(axes(["church", "desert"]))
    np.testing.assert_allclose(styles.sum(1), 1.0)
    np.testing.assert_allclose(leads.sum(1), 1.0)
    organ, choral, world = (STYLE_WORDS.index(name) for name in ("organ piece", "choral", "world"))
    assert styles[0, organ] > styles[0, choral] > 0.3 > 0.01 > styles[0, world] > 0
    assert styles[1].argmax() == world
    assert leads[1].argmax() == LEAD_INSTRUMENTS.index("sitar")


def test_what_the_table_lacks_goes_by_the_styles_own_words_or_is_open():
    table = Associations(axes, TABLE)
    (waltz,), _ = table.chances(axes(["waltz"]))
    assert waltz[STYLE_WORDS.index("waltz")] > 0.1 > 10 * waltz[STYLE_WORDS.index("tango")]
    (nothing,), _ = table.chances(np.zeros((1, len(axes(["church"])[0]))))
    assert nothing.max() < 0.5  # no scene at all: the mean of the rows


def test_unclear_scenes_are_less_decided():
    table = Associations(axes, TABLE)
    clear, unclear = (table.chances(share * axes(["church"]))[0][0] for share in (1.0, 0.1))
    assert clear.max() > unclear.max()


def test_rows_that_name_nothing_known_are_refused():
    for row in (Association(("desert",), ("sea shanty",), ("flute",)), Association(("desert",), ("folk",), ())):
        with pytest.raises(ValueError, match="unknown in the table"):
            Associations(axes, (row,))
    with pytest.raises(ValueError, match="empty"):
        Associations(axes, ())


@pytest.fixture(scope="module")
def spoken(minilm):
    """How the caption encoder places words, about the middle of the table's, and the table by it."""

    def place(texts: Sequence[str]) -> np.ndarray:
        return encode_text(*minilm, list(texts), max_length=16).pooled.numpy()

    middle = place([scene for row in ASSOCIATIONS for scene in row.scenes]).mean(0)

    def embed(texts: Sequence[str]) -> np.ndarray:
        return place(texts) - middle

    return embed, Associations(embed)


@pytest.mark.parametrize(
    ("scene", "style", "lead"),
    [
        ("a church", "organ piece", "church organ"),
        ("a cradle", "lullaby", "music box"),
        ("a desert", "world", "sitar"),
        ("a thunderstorm", "cinematic", "strings"),
        ("a battlefield", "march", "brass section"),
        ("a city at night", "synthwave", "saw lead"),
        ("the galaxy", "ambient", "warm pad"),
    ],
)
def test_the_caption_encoder_finds_the_row_of_plain_words(spoken, scene, style, lead):
    embed, table = spoken
    (styles,), (leads,) = table.chances(embed([scene]))
    assert STYLE_WORDS[styles.argmax()] == style and LEAD_INSTRUMENTS[leads.argmax()] == lead
