"""Takes made of notes: drawn as piano rolls, kept in files with their notes, opened again."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from demo.faces import faces, live_html
from demo.roll_view import ONLY_A, ONLY_B, roll_face
from demo.take_files import NOTES_TAG, open_take, tag_take, take_title
from demo.takes import COMPARE, DOSE, SWAP, TAKES, Result, StudioError, Take
from melfusion_core.audio import save_audio
from melfusion_core.engines.score.view import COLOURS, ScoreView
from melfusion_core.recipe import Recipe
from melfusion_core.score.score import Note, Score, Track
from melfusion_core.tags import write_tags

RATE = 44100


def score(pitches: list[int], drums: bool = True) -> ScoreView:
    lead = Track("flute", 73, [Note(float(beat), 1.0, pitch, 90) for beat, pitch in enumerate(pitches)], role="lead")
    kit = Track("drums", 0, [Note(float(beat), 0.25, 36, 100) for beat in range(8)], is_drum=True, role="drums")
    tracks = [lead, kit] if drums else [lead]
    return ScoreView(Score(tracks, 120.0, 4, 0, "major", "folk", "x", "composer", 0), 8)


def take(view: ScoreView, **recipe) -> Take:
    values = {"prompt": "Flute", "seed": 3, "model_name": "notes", "model_sha256": "1" * 64, "sounds_sha256": "2" * 64}
    made = Recipe(**values | recipe, sample_rate=RATE)
    time = np.arange(RATE * 4) / RATE
    samples = 0.2 * np.stack([np.sin(440 * time), np.sin(660 * time)]).astype(np.float32)
    return Take("Words alone", "", view, made, samples)


def drawn(source: str) -> str:
    picture = base64.b64decode(source.removeprefix("data:image/svg+xml;base64,")).decode()
    ElementTree.fromstring(picture)
    return picture


def test_a_roll_has_a_colour_a_part_and_time_from_left_to_right():
    first, second = score([60, 62, 64, 65, 67, 69, 71, 72]), score([60, 62, 64, 65, 66, 68, 70, 73], drums=False)
    face = roll_face([first, second], ["a", "b"], 4.0, "little")
    pictures = [drawn(plot["src"]) for plot in face["plots"]]
    assert COLOURS["drums"] in pictures[0] and COLOURS["drums"] not in pictures[1]
    [notes] = re.findall(rf'fill="{COLOURS["lead"]}"[^>]* d="([^"]+)"', pictures[0])
    starts = [float(start) for start in re.findall(r"M([\d.]+)", notes)]
    heights = [float(top) for top in re.findall(r"M[\d.]+ ([\d.]+)", notes)]
    assert starts == pytest.approx([125.0 * beat for beat in range(8)], abs=0.1)
    assert heights == sorted(heights, reverse=True), "higher notes lie higher"
    assert face["plots"][0]["alt"] == "a: melody flute; drums drums"
    different = drawn(face["difference"]["src"])
    assert ONLY_A in different and ONLY_B in different
    assert face["difference"]["spans"] == [], "drums are missing in every bar"
    alike = roll_face([first, score([60, 62, 64, 65, 66, 68, 70, 73])], ["a", "b"], 4.0, "little")
    assert alike["difference"]["spans"] == [(0.0, 2.0)], "the first bar is the same"


def test_nothing_is_drawn_of_nothing():
    empty = ScoreView(dataclasses.replace(score([60]).score, tracks=[]), 8)
    assert "nobody plays" in roll_face([empty], ["a"], 4.0, "x")["plots"][0]["alt"]
    assert "image/svg" in live_html(empty, "forming")


def test_notes_come_first_and_sound_is_the_second_face():
    pair = (take(score([60, 62])), take(score([60, 64])))
    found = faces(Result(pair, COMPARE, 3, ()))
    assert [face["name"] for face in found] == ["notes", "sound"]
    assert all(len(face["plots"]) == 2 and face["difference"] for face in found)


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".mp3"])
def test_a_file_brings_its_notes_back(tmp_path, suffix):
    made, path = take(score([60, 62, 64])), tmp_path / f"x{suffix}"
    save_audio(path, made.samples, RATE, None if suffix == ".mp3" else "PCM_16")
    tag_take(path, made)
    opened = open_take(path, COMPARE)
    assert opened.view == made.view and opened.recipe == made.recipe and opened.title == "Words alone"
    assert opened.samples.shape[0] == 2 and abs(opened.samples.shape[1] - made.samples.shape[1]) < 3000
    if suffix != ".mp3":
        assert np.abs(opened.samples - made.samples).max() < 1e-4


@pytest.mark.parametrize(
    "change",
    [
        {"tempo_bpm": 0}, {"tempo_bpm": "x"}, {"tracks": 5}, {"beats_per_bar": 0},
        {"tracks": [{"instrument": "<b>", "program": 0, "role": "lead", "notes": []}]},
        {"tracks": [{"instrument": "flute", "program": 0, "role": "lead", "notes": [[1]]}]},
    ],
)  # fmt: skip
def test_damaged_notes_are_refused(tmp_path, change):
    made, path = take(score([60])), tmp_path / "x.flac"
    save_audio(path, made.samples, RATE)
    tag_take(path, made)
    told = {"beats": 8, "score": made.view.score.to_dict() | change}
    write_tags(path, NOTES_TAG, json.dumps(told), "x")
    with pytest.raises(StudioError, match="its notes are damaged"):
        open_take(path, COMPARE)


def test_what_is_no_sound_or_endless_is_refused(tmp_path, monkeypatch):
    made, path = take(score([60])), tmp_path / "x.flac"
    save_audio(path, made.samples, RATE)
    tag_take(path, made)
    monkeypatch.setattr("demo.take_files.MOST_SECONDS", 1.0)
    with pytest.raises(StudioError, match="too long"):
        open_take(path, COMPARE)


def test_takes_are_headed_by_what_they_were_made_beside():
    recipe = take(score([60]), image_sha256="3" * 64, synapse_strength=0.5).recipe
    titles = [take_title(recipe, mode, 1) for mode in (TAKES, DOSE, SWAP, COMPARE)]
    assert titles == ["Seed 3", "Picture at 50\u00a0%", "The other picture", "Picture and words"]
    assert take_title(dataclasses.replace(recipe, render="compare:text_only"), COMPARE, 0) == "Words alone"
