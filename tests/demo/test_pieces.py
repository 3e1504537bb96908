"""The small pieces: spectrograms as HTML, words, example pictures."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from demo.examples import EXAMPLES_FOLDER, load_examples
from demo.faces import live_html
from demo.fragments import error_html, idle_html, message_html, progress_html, result_html
from demo.mel_view import (
    MAX_COLUMNS,
    difference_legend,
    difference_source,
    frequency_marks,
    level_legend,
    spectrogram_face,
)
from demo.picture_words import facts_html, offer, picture_facts, suggestion
from demo.takes import COMPARE, Progress, Result, StudioError, Take
from melfusion_core.engines.spectrogram.engine import SpectrogramView
from melfusion_core.mel import MelConfig


def picture_in(html: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])))


def test_low_sounds_lie_at_the_bottom_and_early_ones_at_the_left():
    mel = np.full((100, 128), -80.0, np.float32)
    mel[:50, :64] = 40.0
    pixels = np.asarray(picture_in(live_html(SpectrogramView(mel, MelConfig()), "x"))).astype(int).sum(axis=2)
    assert pixels.shape == (128, 100)
    assert pixels[70:, :45].min() > pixels[:58].max() and pixels[70:, :45].min() > pixels[:, 55:].max()


def test_long_mels_are_thinned():
    html = live_html(SpectrogramView(np.zeros((2 * MAX_COLUMNS + 1, 128), np.float32), MelConfig()), "x")
    assert picture_in(html).width <= MAX_COLUMNS


def test_alternative_texts_are_escaped():
    view = SpectrogramView(np.zeros((9, 128), np.float32), MelConfig())
    assert 'alt="&quot;&gt;&lt;script&gt;"' in live_html(view, '"><script>')


def test_equal_takes_differ_nowhere():
    mel = np.random.default_rng(0).uniform(-100, 40, (60, 128)).astype(np.float32)
    pixels = np.asarray(picture_in(difference_source(mel, mel, -80.0)))
    assert pixels.max() < 45, "dark everywhere"
    louder = np.asarray(picture_in(difference_source(mel + 30, mel, -80.0))).astype(int)
    assert louder[..., 0].mean() > louder[..., 2].mean(), "red where the first is louder"
    with pytest.raises(ValueError, match="one shape"):
        difference_source(mel, mel[1:], -80.0)


def test_two_takes_share_a_scale_and_it_is_said_where_little_changed():
    config = MelConfig()
    first = np.random.default_rng(0).uniform(-30, 20, (313, 128)).astype(np.float32)
    second = first.copy()
    second[:157] += 9.0
    face = spectrogram_face([SpectrogramView(mel, config) for mel in (first, second)], ["a", "b"], "little")
    pictures = [np.asarray(picture_in(f'{plot["src"]}"')).astype(int) for plot in face["plots"]]
    assert pictures[1][:, :150].sum() > pictures[0][:, :150].sum(), "what is louder is brighter"
    assert np.abs(pictures[1][:, 170:] - pictures[0][:, 170:]).mean() < 4, "what is equal looks equal"
    [(begin, end)] = face["difference"]["spans"]
    assert begin == pytest.approx(2.5, abs=0.6) and end == pytest.approx(313 / config.frame_rate_hz, abs=0.01)
    uneven = [SpectrogramView(first, config), SpectrogramView(second[:200], config)]
    assert spectrogram_face(uneven, ["a", "b"], "x")["difference"], "takes of two lengths can be compared too"


def test_legends_say_their_ends():
    assert "−43 dB" in level_legend(-43.0, 12.0) and "+12 dB" in level_legend(-43.0, 12.0)
    assert "louder in A" in difference_legend() and "louder in B" in difference_legend()


def test_status_escapes_and_counts():
    assert "&lt;b&gt;" in error_html(StudioError("<b>")) and "data-field" not in error_html(StudioError("x"))
    assert 'data-field="seed"' in error_html(StudioError("x", "seed"))
    assert "about 3 s left" in progress_html(Progress(5, 10, 2.4))
    assert 'aria-valuenow="50"' in progress_html(Progress(5, 10, 2.4))
    assert "Turning it into sound" in progress_html(Progress(10, 10, 0.0))
    assert "Composing take 2 of 3" in progress_html(Progress(5, 10, 2.4, take=2, num_takes=3))
    assert 'aria-valuenow="50"' in progress_html(Progress(5, 10, 2.4, take=2, num_takes=3))
    assert "&lt;i&gt;" in message_html("<i>", "x")
    take = Take("x", "x.wav", np.zeros((1, 128)), None)
    assert "&lt;u&gt;" in result_html(Result((take,), COMPARE, 3, ("<u>",), "x.json"))
    assert idle_html() == idle_html()


def test_examples_are_read_in_order(tmp_path, sunset):
    assert load_examples(tmp_path) == []
    sunset.save(tmp_path / "a.jpg")
    rows = [{"file": "a.jpg", "title": "Sunset", "caption": "Slow piano"}, {"file": "a.jpg", "title": "Again"}]
    (tmp_path / "examples.json").write_text(json.dumps(rows))
    examples = load_examples(tmp_path)
    assert [(example.title, example.caption) for example in examples] == [("Sunset", "Slow piano"), ("Again", "")]
    (tmp_path / "examples.json").write_text(json.dumps([{"file": "b.jpg", "title": "Gone"}]))
    with pytest.raises(ValueError, match="b.jpg"):
        load_examples(tmp_path)
    (tmp_path / "examples.json").write_text("[")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_examples(tmp_path)


def test_shipped_examples_can_be_read():
    for example in load_examples(EXAMPLES_FOLDER):
        with Image.open(example.image_path) as image:
            assert image.width >= 128 and example.title


def test_frequencies_are_marked_from_low_to_high():
    marks = frequency_marks(MelConfig())
    heights = [float(height.rstrip("%")) for _, height in marks]
    assert heights == sorted(heights) and marks[2][0] == "1k" and 0 < heights[0] < heights[-1] < 100


def test_facts_of_a_picture_are_computed_and_put_into_words():
    dark, bright = (Image.new("RGB", (40, 30), colour) for colour in ((10, 12, 40), (250, 220, 60)))
    night, day = picture_facts(dark), picture_facts(bright)
    assert night.lightness < 10 < 80 < day.lightness
    assert night.palette[0] == "#0a0c28" and day.valence > night.valence
    assert "Lightness" in facts_html(day) and day.palette[0] in facts_html(day)
    written = suggestion(day, "slow piano")
    assert written.startswith("slow piano, ") and written.endswith(day.moods[1])
    assert suggestion(day, written) == written, "nothing is added twice"
    assert suggestion(day, " ").endswith(" music") and "Looks like" not in facts_html(day)
    sea = picture_facts(dark, "the sea")
    assert "Looks like the sea." in facts_html(sea) and offer(sea).endswith(f"{sea.moods[1]}, like the sea")
    assert suggestion(sea, "").endswith(" music, like the sea")
    assert suggestion(sea, "harp, like the sea") == f"harp, like the sea, {sea.moods[0]}, {sea.moods[1]}"
