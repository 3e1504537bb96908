"""Trainers of the score engine on a handful of composed sections."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from melfusion_core.data.associations import STYLE_WORDS
from melfusion_core.data.score_corpus import ScoreCorpusSpec, make_section
from melfusion_core.data.score_table import ScoreTable
from melfusion_core.engines.score.cells import CellCodec
from melfusion_core.engines.score.codec import encode_grid
from melfusion_core.engines.score.controls import FIELDS
from melfusion_core.engines.score.grid import grid_from_score
from melfusion_core.engines.score.inputs import meaningful
from melfusion_core.engines.score.layout import CHANNELS, DRUM_ROW, PARTS, ROWS
from melfusion_core.engines.score.measure import measure_controls
from melfusion_core.engines.score.names import INSTRUMENT_NUMBERS, STYLE_NUMBERS
from melfusion_core.models.features import decoder_attention_names
from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.score.instruments import LEAD_INSTRUMENTS
from melfusion_core.training import score_codec, score_data, score_music
from melfusion_core.training.presets import build_score_unet
from melfusion_core.training.score_known import draw_known


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Twelve sections, eight of them to train on."""
    folder = tmp_path_factory.mktemp("scores")
    spec = ScoreCorpusSpec(12, seed=4)
    scores, known = zip(*(make_section(spec, index) for index in range(12)), strict=True)
    for row, clip in enumerate(known):
        clip |= {"split": "train" if row < 8 else "validation", "valence": 0.1 * row % 1, "arousal": 0.5}
        clip["captions"] = [f"caption {row}", "music", "", "slow", "fast", "loud", "soft", "a piece of music"]
    ScoreTable.from_scores(scores, known).save(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    torch.manual_seed(0)
    CellCodec(width=16).save_pretrained(folder / "codec")
    score_data.prepare(score_data.ScorePrepareConfig(str(corpus), str(folder), str(folder / "codec")))
    return folder


def test_the_cell_codec_learns_and_resumes(corpus, tmp_path):
    settings = dict(data=str(corpus), out=str(tmp_path), width=64, batch_size=8, learning_rate=3e-3, log_steps=1)
    score_codec.train(score_codec.ScoreCodecConfig(max_steps=2, validate_minutes=0, sample_minutes=0, **settings))
    result = score_codec.train(score_codec.ScoreCodecConfig(max_steps=40, **settings))
    assert result.finished and result.step == 40
    losses = np.genfromtxt(tmp_path / "train.csv", delimiter=",", names=True)["loss"]
    assert losses[-5:].mean() < 0.6 * losses[:3].mean()
    assert set(result.metrics) >= {"clean_onset_f", "noised_onset_f"}
    loaded = CellCodec.from_pretrained(tmp_path / "export")
    assert loaded.config.width == 64


def test_decoding_at_some_cells_is_decoding_everywhere():
    codec = CellCodec(width=16)
    for decoder, points in ((codec.notes_out, torch.randn(2, 24, 5, 7)), (codec.drums_out, torch.randn(2, 36, 5, 1))):
        points = points[:, : decoder[0].in_channels]
        chosen = torch.rand(2, *points.shape[2:]) < 0.4
        expected = decoder(points).permute(0, 2, 3, 1)[chosen]
        torch.testing.assert_close(score_codec.decode_at(decoder, points, chosen), expected, atol=1e-5, rtol=1e-4)


def test_prepared_latents_are_those_of_the_scores(corpus, prepared):
    table, data = ScoreTable.load(corpus), score_data.PreparedScores(prepared)
    codec = CellCodec.from_pretrained(prepared / "codec")
    for row in (0, 5, 11):
        clip, score = table.clips[row], table.score(row)
        grid = grid_from_score(score, clip["beats"])
        mood = (clip["valence"], clip["arousal"])
        said = measure_controls(
            score, grid, STYLE_NUMBERS[score.style], INSTRUMENT_NUMBERS, mood, clip["begins"], clip["ends"]
        )
        expected = encode_grid(codec, grid, said)
        torch.testing.assert_close(data.latents(row, 4, 8), expected[:, 4:12], atol=5e-3, rtol=5e-3)
    assert data.rows("validation", 8) == [8, 9, 10, 11]
    with pytest.raises(ValueError, match="no passage"):
        data.rows("test", 8)


def test_the_music_unet_learns_resumes_and_is_exported(prepared, tmp_path):
    settings = dict(data=str(prepared), out=str(tmp_path), width=32, batch_size=4, crop_beats=8, long_share=0.5)
    config = score_music.ScoreMusicConfig(max_steps=3, log_steps=1, **settings)
    score_music.train(config)
    result = score_music.train(score_music.ScoreMusicConfig(max_steps=6, log_steps=1, **settings))
    assert result.finished and result.step == 6
    assert set(result.metrics) == {"loss", "loss_wrong_text", "loss_nothing", "loss_known"}
    assert all(np.isfinite(value) for value in result.metrics.values())
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "export" / "unet")
    again = score_music.ScoreMusicConfig(max_steps=1, init=str(tmp_path / "export"), **{**settings, "out": "x"})
    task = score_music.ScoreMusicTask(again, torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(unet.parameters(), task.unet.parameters(), strict=True))


@pytest.fixture
def pictures(prepared, tmp_path):
    """Six views with features for every layer of the smallest UNet, four of them to train on."""
    unet = build_score_unet("mini", 1, 32)
    shapes = [(4, 8)] * len(decoder_attention_names(unet, "attn2"))
    rng, folder = np.random.default_rng(0), tmp_path / "pictures"
    folder.mkdir()
    size = 2 * 2 * sum(tokens * dim for tokens, dim in shapes)
    np.save(folder / "features.npy", rng.standard_normal((6, size)).astype(np.float16))
    chances = {"styles": rng.random((6, len(STYLE_WORDS))), "leads": rng.random((6, len(LEAD_INSTRUMENTS)))}
    np.savez(folder / "facts.npz", moods=rng.random((6, 2)), **chances)
    notes = {"splits": ["train"] * 4 + ["validation"] * 2, "key_timesteps": [100, 600], "num_inversion_steps": 4}
    (folder / "pictures.json").write_text(json.dumps({**notes, "shapes": shapes}))
    return folder


def test_the_music_unet_hears_pictures(prepared, pictures, tmp_path):
    settings = dict(data=str(prepared), pictures=str(pictures), width=32, batch_size=4, crop_beats=8, log_steps=1)
    result = score_music.train(score_music.ScoreMusicConfig(out=str(tmp_path / "run"), max_steps=2, **settings))
    assert np.isfinite(result.metrics["loss_picture"])
    assert "picture_gain" in result.metrics and "gate_0" in result.metrics
    export = tmp_path / "run" / "export"
    synapse = VisualSynapse.from_pretrained(export / "synapse")
    assert set(synapse.config.image_dims) == {8}
    again = score_music.ScoreMusicConfig(init=str(export), out="x", max_steps=1, **settings)
    task = score_music.ScoreMusicTask(again, torch.device("cpu"))
    assert torch.equal(task.handle.synapse.gate_logits, synapse.gate_logits)


def test_what_is_known_does_not_count_in_the_loss(prepared):
    config = score_music.ScoreMusicConfig(data=str(prepared), out="x", max_steps=1, width=32, crop_beats=8)
    task = score_music.ScoreMusicTask(config, torch.device("cpu"))
    batch = task._batch(np.random.default_rng(0), [0, 1], 8)
    noise, steps = torch.randn(batch.clean.shape), torch.tensor([500, 900])
    everything = torch.ones_like(batch.known) & meaningful().unsqueeze(1)
    assert torch.equal(task.errors(score_music._Batch(batch.clean, everything, [0, 0], batch.starts), noise, steps),
                       torch.zeros(2))  # fmt: skip
    nothing = score_music._Batch(batch.clean, torch.zeros_like(batch.known), [0, 0], batch.starts)
    assert (task.errors(nothing, noise, steps) > 0).all()


@pytest.mark.parametrize("wrong", [{"crop_beats": 3}, {"fold": 4}, {"text_dropout": 2.0}, {"fold": 5}])
def test_settings_of_the_music_trainer_are_checked(wrong):
    with pytest.raises(ValueError):
        score_music.ScoreMusicConfig(data="a", out="b", max_steps=1, **wrong)


def test_known_parts_cover_every_kind():
    rng = np.random.default_rng(0)
    masks = torch.stack([draw_known(rng, 12, ["lead", "chords", "drums"]) for _ in range(400)])
    assert masks.shape == (400, CHANNELS, 12, ROWS)
    assert 0.05 < (~masks.flatten(1).any(dim=1)).float().mean() < 0.5, "often nothing is known"
    assert 0.05 < masks[:, :, :, DRUM_ROW].any(dim=2).any(dim=1).float().mean() < 0.7
    for name in FIELDS:
        row, channels = FIELDS[name]
        share = masks[:, channels, :, row].float().mean()
        assert 0.02 < share < 0.8, name
    spans = masks.all(dim=1).all(dim=2)
    assert (spans.any(dim=1) & ~spans.all(dim=1)).any(), "time spans"
    assert set(PARTS) == {"lead", "counter", "chords", "pad", "bass", "drums"}
