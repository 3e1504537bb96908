"""The pipeline with the engine of notes: lengths, directions, looks, comparisons, and files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from melfusion_core.engines.score.direction import Direction
from melfusion_core.engines.score.engine import ScoreEngine
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from tests.score_pipeline import FOLD, make_score_pipeline

FAST = {"num_inference_steps": 2, "seed": 3}
TOLD = "folk in 4/4 at 120 BPM"


@pytest.fixture(scope="module")
def pipe(tiny_text) -> MelFusionPipeline:
    return make_score_pipeline(tiny_text)


def latents(pipe, *args, **settings):
    return pipe(*args, output_type="latent", **{**FAST, **settings}).audios


def test_what_the_caption_states_is_what_the_take_is(pipe):
    output = pipe("a waltz in 3/4 at 90 BPM in D minor without drums", bars=4, output_type="pt", **FAST)
    [take] = output.takes
    score = take.score
    assert (score.tempo_bpm, score.beats_per_bar, score.tonic, score.mode) == (90.0, 3, 2, "minor")
    assert take.view.beats == 12 and not any(track.is_drum for track in score.tracks)
    assert take.audio.shape[0] == 2 and take.duration_s >= 12 * 60 / 90 - 1e-3
    assert np.array_equal(output.audios[0].numpy(), take.audio.numpy())


def test_seconds_become_whole_bars(pipe):
    assert latents(pipe, TOLD, duration_s=10.0).shape[2] == 20
    assert latents(pipe, TOLD, duration_s=10.0, tempo_bpm=96.0).shape[2] == 16
    assert latents(pipe, TOLD, bars=3).shape[2] == 12


def test_tempo_that_is_not_told_is_found_by_a_look_and_kept(pipe):
    calls = []
    handle = pipe.unet.register_forward_pre_hook(lambda module, args: calls.append(args[0].shape[2]))
    try:
        [take] = pipe("music", duration_s=8.0, **FAST).takes
    finally:
        handle.remove()
    assert calls[0] == 16 and len(calls) == 2 * FAST["num_inference_steps"]
    again = pipe("music", duration_s=8.0, **FAST).takes[0]
    assert again.score == take.score and torch.equal(again.audio, take.audio)
    bars = take.view.beats / take.score.beats_per_bar
    wanted = 8.0 * take.score.tempo_bpm / 60 / take.score.beats_per_bar
    assert bars == int(bars) and abs(bars - wanted) <= 0.51 or take.view.beats >= 8


def test_strength_zero_is_no_picture(pipe, sunset):
    alone = latents(pipe, TOLD)
    assert torch.equal(latents(pipe, TOLD, sunset, synapse_strength=0.0), alone)
    assert not torch.equal(latents(pipe, TOLD, sunset), alone)


def test_a_comparison_gives_both_takes_their_own_length(pipe, sunset):
    output = pipe.compare("music", sunset, duration_s=8.0, output_type="pt", **FAST)
    for takes, audios in (
        (output.with_image_takes, output.with_image),
        (output.text_only_takes, output.text_only),
    ):
        [take] = takes
        assert torch.equal(audios[0], take.audio)
        assert take.view.duration_s == pytest.approx(take.view.beats * 60 / take.score.tempo_bpm)


def test_directions_are_followed(pipe):
    told = Direction(parts={"lead": "violin", "drums": "off", "bass": "off"}, mode="minor", tonic=9)
    [take] = pipe(TOLD, directions=[told], bars=4, **FAST).takes
    assert take.score.key_name == "A minor"
    assert {track.role for track in take.score.tracks}.isdisjoint({"drums", "bass"})
    both = pipe([TOLD, "jazz in 3/4 at 100 BPM"], directions=[told], bars=2, **FAST).takes
    assert [take.score.tonic for take in both] == [9, 9]
    assert [take.view.beats for take in both] == [8, 6]


def test_noise_can_be_given_only_where_the_length_is_settled(pipe):
    with pytest.raises(ValueError, match="length is settled"):
        pipe("music", latents=torch.zeros(1, 3, 4, 4), **FAST)
    with pytest.raises(ValueError, match="must have shape"):
        pipe(TOLD, latents=torch.zeros(1, 3, 4, 4), **FAST)


def test_it_comes_back_from_a_folder(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = MelFusionPipeline.from_pretrained(tmp_path, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded.engine, ScoreEngine) and loaded.engine.config.fold == FOLD
    assert torch.equal(latents(loaded, TOLD), latents(pipe, TOLD))
