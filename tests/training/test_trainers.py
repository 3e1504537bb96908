"""Every trainer: two steps, stop, resume; what it exports loads and works."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from melfusion_core.engines.spectrogram.latents import encode_mel
from melfusion_core.engines.spectrogram.patch_codec import PatchCodec
from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
from melfusion_core.mel import MelConfig, MelSpectrogram
from melfusion_core.models.synapse import VisualSynapse
from melfusion_core.training import image, music, prepare, vocoder
from melfusion_core.training.data import read_crop
from melfusion_core.training.loop import TrainLoop
from tests.conftest import make_picture_encoder
from tests.training.conftest import TINY


def train_in_two_sittings(config_class, task_class, corpus, out, **settings):
    """Run 2 steps whole, and 2 steps with a stop after the first; both must give the same weights."""
    weights = []
    for name, stops in (("whole", False), ("parts", True)):
        config = config_class(data=str(corpus), out=str(out / name), max_steps=2, **{**TINY, **settings})
        loop = TrainLoop(config)
        task = task_class(config, loop.device)
        if stops:
            step = task.step

            def stopping(loop, generator, step=step):
                loop.stop()
                return step(loop, generator)

            task.step = stopping
            assert loop.run(task).step == 1
            loop = TrainLoop(config)
            task = task_class(config, loop.device)
        result = loop.run(task)
        assert result.finished
        assert all(value == value for value in result.metrics.values())
        weights.append({name: network.state_dict() for name, network in task.networks.items()})
    for name, state in weights[0].items():
        for key, value in state.items():
            assert torch.equal(value, weights[1][name][key]), (name, key)
    summary = json.loads((out / "parts/summary.json").read_text())
    assert summary["steps"] == 2
    return out / "parts"


@pytest.mark.parametrize("adversarial_start", [0.0, 1.0])
def test_vocoder(mini_corpus, tmp_path, adversarial_start):
    settings = {"crop_frames": 8, "validation_frames": 16, "adversarial_start": adversarial_start}
    run = train_in_two_sittings(vocoder.VocoderConfig, vocoder.VocoderTask, mini_corpus, tmp_path, **settings)
    made = ISTFTVocoder.from_pretrained(run / "export")(torch.zeros(1, 1, 8, 128))
    assert made.shape == (1, 8 * 512)
    assert (run / "samples/0000002/0_resynthesis.flac").exists()


def test_vocoder_learns_through_a_codec(mini_corpus, tmp_path):
    PatchCodec(patch=(8, 32), latent_channels=4).save_pretrained(tmp_path / "codec")
    settings = {"crop_frames": 8, "validation_frames": 16, "adversarial_start": 1.0, "codec_share": 1.0}
    vae_folder = str(tmp_path / "codec")
    run = train_in_two_sittings(
        vocoder.VocoderConfig, vocoder.VocoderTask, mini_corpus, tmp_path, vae=vae_folder, **settings
    )
    metrics = json.loads((run / "summary.json").read_text())["validation"]
    assert metrics["coded_mel_l1_nats"] > metrics["mel_l1_nats"]  # a codec with 4 of 256 coefficients loses much
    folder, frames = str(tmp_path / "next"), settings["validation_frames"]
    config = vocoder.VocoderConfig(
        data=str(mini_corpus), out=folder, max_steps=1, validation_frames=frames, init=str(run / "export")
    )
    start = vocoder.VocoderTask(config, torch.device("cpu")).vocoder
    assert torch.equal(start.head.weight, ISTFTVocoder.from_pretrained(run / "export").head.weight)


def test_settings_that_would_change_nothing_are_refused():
    with pytest.raises(ValueError, match="codec_share needs vae"):
        vocoder.VocoderConfig(data="a", out="b", max_steps=1, codec_share=0.5)
    with pytest.raises(ValueError, match="init brings its own size"):
        image.ImageConfig(data="a", out="b", max_steps=1, size="tiny", init="c")


def test_image(mini_corpus, tmp_path, fake_text):
    run = train_in_two_sittings(image.ImageConfig, image.ImageTask, mini_corpus, tmp_path, sample_steps=2)
    UNet2DConditionModel.from_pretrained(run / "export")
    assert (run / "samples/0000002/pictures.png").exists()


@pytest.fixture
def encoder_folder(tmp_path):
    """A picture encoder of a classifier with random weights."""
    make_picture_encoder().save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_image_that_is_told_what_pictures_show(trained, mini_corpus, tmp_path, encoder_folder):
    init = str(trained / "image/export")
    told, encoder = image.image_networks("mini", init, str(encoder_folder))
    before = UNet2DConditionModel.from_pretrained(init)
    inputs = {"sample": torch.randn(1, 12, 8, 8), "timestep": 100, "encoder_hidden_states": torch.randn(1, 3, 384)}
    labels = torch.zeros(1, encoder.dim)
    with torch.no_grad():  # told nothing in particular, it is as it was; else it listens from the start
        torch.testing.assert_close(told(**inputs, class_labels=labels).sample, before(**inputs).sample)
        assert not torch.allclose(told(**inputs, class_labels=labels + 1).sample, before(**inputs).sample)
    settings = {"init": init, "encoder": str(encoder_folder), "sample_steps": 2, "size": "mini", "learning_rate": 0.01}
    out = tmp_path / "told"
    run = train_in_two_sittings(image.ImageConfig, image.ImageTask, mini_corpus, out, **settings)
    metrics = json.loads((run / "summary.json").read_text())["validation"]
    assert metrics["loss"] != metrics["loss_without_embedding"]
    assert {"mood", "meaning"} <= set((run / "train.csv").read_text().splitlines()[0].split(","))
    trained_unet, found = image.image_networks("mini", str(run / "export"), "")  # brings its encoder along
    assert found.dim == encoder.dim == trained_unet.config.projection_class_embeddings_input_dim
    with pytest.raises(ValueError, match="embedding_dropout needs an encoder"):
        alone = image.ImageConfig(
            data=str(mini_corpus), out=str(tmp_path / "alone"), max_steps=1, embedding_dropout=0.5
        )
        image.ImageTask(alone, torch.device("cpu"))
    with pytest.raises(ValueError, match="told 5 numbers, and the encoder tells 4"):
        make_picture_encoder(codes=2).save_pretrained(tmp_path / "other")
        image.image_networks("mini", str(run / "export"), str(tmp_path / "other"))
    shared = {"data": str(mini_corpus), "vae": str(trained / "codec"), "num_inversion_steps": 2, "batch_size": 4}
    for name, folder in (("as_told", run / "export"), ("as_before", trained / "image/export")):
        prepare.prepare(prepare.PrepareConfig(out=str(tmp_path / name), image_unet=str(folder), **shared))
    (key, _), (other, _) = (
        prepare.PreparedData.load(tmp_path / name).features_at([1], torch.tensor([100]))[0]
        for name in ("as_told", "as_before")
    )
    assert not torch.equal(key, other)


def test_prepare(trained, mini_corpus):
    data = prepare.PreparedData.load(trained / "prepared")
    assert data.latents.shape == (6, 4, 8, 4)
    assert data.captions.get([0]).mask.sum() == 2  # the empty caption has its two special tokens
    codec = PatchCodec.from_pretrained(trained / "codec")
    assert data.latents_std == tuple(codec.config.latents_std) and data.latents_mean == (0.0,) * 4
    mel = MelSpectrogram(MelConfig())(torch.from_numpy(read_crop(mini_corpus / "audio/3.flac", 32000, 0, -1))[None])
    expected = encode_mel(codec, mel).mode()[0]
    torch.testing.assert_close(torch.from_numpy(data.latents[3].astype("float32")), expected, rtol=1e-3, atol=1e-3)
    early, late = (data.features_at([1], torch.tensor([timestep])) for timestep in (0, 999))
    assert [tuple(key.shape[1:]) for key, _ in early] == list(data.feature_shapes)
    assert not torch.equal(early[0][0], late[0][0])


def test_a_codec_must_state_its_scales(trained, mini_corpus, tmp_path):
    PatchCodec(patch=(8, 32), latent_channels=4).save_pretrained(tmp_path / "unfitted")
    config = prepare.PrepareConfig(
        data=str(mini_corpus), out=str(tmp_path / "p"), vae=str(tmp_path / "unfitted"), parts=("latents",)
    )
    with pytest.raises(ValueError, match="train codec"):
        prepare.prepare(config)


def test_prepared_parts_must_fit_together(trained):
    path = trained / "prepared/latents.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clips_id": "other"}))
    with pytest.raises(ValueError, match="different clips"):
        prepare.PreparedData.load(trained / "prepared")


def test_music(trained, tmp_path):
    settings = {
        "crop_frames": 4,
        "full_from": 0.5,
        "validation_clips": 2,
        "sample_steps": 2,
        "vae": str(trained / "codec"),
    }
    prepared = trained / "prepared"
    run = train_in_two_sittings(music.MusicConfig, music.MusicTask, prepared, tmp_path / "music", **settings)
    synapse = VisualSynapse.from_pretrained(run / "export/synapse")
    assert synapse.config.num_inversion_steps == 2
    assert not torch.allclose(synapse.gates(), torch.tensor(0.5), atol=1e-9)  # the gates are trained
    assert (run / "samples/0000002/real_picture_text.png").exists()
    header = (run / "validation.csv").read_text().splitlines()[0]
    assert {"loss", "loss_text_only", "picture_gain", "gate_3"} <= set(header.split(","))


def test_music_without_a_picture_does_not_read_it(trained, tmp_path):
    config = music.MusicConfig(data=str(trained / "prepared"), out=str(tmp_path), max_steps=1, crop_frames=4, **TINY)
    task = music.MusicTask(config, torch.device("cpu"))
    with torch.no_grad():
        losses = [task._validation_loss([0, 0], pictures, 0.0) for pictures in ([0, 1], [2, 3])]
        others = [task._validation_loss([0, 0], pictures, 1.0) for pictures in ([0, 1], [2, 3])]
    assert losses[0] == losses[1]
    assert others[0] != others[1]


def test_samples_follow_the_picture_as_far_as_the_strength_says(trained, tmp_path):
    config = music.MusicConfig(data=str(trained / "prepared"), out=str(tmp_path), max_steps=1, sample_steps=2, **TINY)
    task = music.MusicTask(config, torch.device("cpu"))
    rows = task.held_out[:2]
    pictures = [task.data.clips[row]["picture"] for row in rows]
    made = {}
    with torch.no_grad():
        for order in (pictures, pictures[::-1]):
            for row, picture in zip(rows, order, strict=True):
                task.data.clips[row]["picture"] = picture
            for strength in (0.0, 1.0):
                made[strength, tuple(order)] = task.generate(rows, strength)
    own, swapped = tuple(pictures), tuple(pictures[::-1])
    assert made[0.0, own].shape == (2, *task.data.latents.shape[1:]) and torch.isfinite(made[1.0, own]).all()
    assert torch.equal(made[0.0, own], made[0.0, swapped])
    assert not torch.equal(made[1.0, own], made[1.0, swapped])


def test_a_clips_picture_is_drawn_anew_by_its_mood(trained, tmp_path):
    shared = {
        "data": str(trained / "prepared"),
        "out": str(tmp_path / "run"),
        "max_steps": 1,
        "crop_frames": 4,
        **TINY,
    }
    near, wide, own = (
        music.MusicTask(music.MusicConfig(pairing_width=width, **shared), torch.device("cpu"))
        for width in (0.01, 100.0, 0.0)
    )
    clips = [near.data.clips[row] for row in near.rows]
    places = (0.1, 0.3, 0.6, 0.9)
    for clip in clips:  # moods and pictures of the tiny corpus lie 0.2 apart
        assert {task._picture(clip, place) for task in (near, own) for place in places} == {clip["picture"]}
        assert {wide._picture(clip, place) for place in places} == {each["picture"] for each in clips}
    path = trained / "prepared/captions.json"
    path.write_text(path.read_text().replace('"music": [', '"other": ['))
    with pytest.raises(ValueError, match="pairing_width 0"):
        music.MusicTask(music.MusicConfig(**shared), torch.device("cpu"))
    music.MusicTask(music.MusicConfig(pairing_width=0.0, **shared), torch.device("cpu"))


def test_more_draws_take_longer_captions(trained, tmp_path):
    shared = {"data": str(trained / "prepared"), "out": str(tmp_path), "max_steps": 1, "crop_frames": 4, **TINY}
    once, often = (
        music.MusicTask(music.MusicConfig(caption_draws=draws, **shared), torch.device("cpu")) for draws in (1, 4)
    )
    captions, places = [1, 2, 3, 4], np.linspace(0, 0.9999, 257)
    store = once.data.captions
    for task in (once, often):
        task.data.captions.offsets = np.array([0, 2, 5, 8, 20, 30])  # of 3, 3, 12 and 10 tokens
    assert store.length(3) == 12
    drawn = {task: [task._caption(captions, place) for place in places] for task in (once, often)}
    assert [drawn[once].count(row) for row in captions] == pytest.approx([64, 64, 64, 64], abs=1)
    shares = [drawn[often].count(row) / 257 for row in captions]
    assert shares[2] == pytest.approx(1 - 0.75**4, abs=0.03) and shares[3] == pytest.approx(0.75**4 - 0.5**4, abs=0.03)


def test_cropped_pictures_change_what_is_learned(trained, tmp_path):
    shared = {"data": str(trained / "prepared"), "max_steps": 4, "crop_frames": 4, "validation_clips": 2, **TINY}
    shared["learning_rate"] = 0.01
    losses = []
    for crop in (1.0, 0.25):
        run = tmp_path / str(crop)
        music.train(music.MusicConfig(out=str(run), sample_steps=2, picture_crop=crop, image_dropout=0.0, **shared))
        losses.append((run / "train.csv").read_text().splitlines()[-1].split(",")[1])
    assert losses[0] != losses[1]


@pytest.mark.parametrize("ignored", [{"subset": "core"}, {"image_unet": "image"}])
def test_prepared_data_refuses_settings_of_the_preparation(trained, tmp_path, ignored):
    config = music.MusicConfig(
        data=str(trained / "prepared"), out=str(tmp_path / "run"), max_steps=1, **ignored, **TINY
    )
    with pytest.raises(ValueError, match="prepared already"):
        music.MusicTask(config, torch.device("cpu"))


def test_music_starts_from_an_export(trained, tmp_path):
    first = {"data": str(trained / "prepared"), "max_steps": 2, "crop_frames": 4, "validation_clips": 2, **TINY}
    music.train(music.MusicConfig(out=str(tmp_path / "first"), sample_steps=2, **first))
    again = {name: value for name, value in first.items() if name != "size"}
    config = music.MusicConfig(out=str(tmp_path / "again"), init=str(tmp_path / "first/export"), **again)
    task = music.MusicTask(config, torch.device("cpu"))
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "first/export/unet")
    synapse = VisualSynapse.from_pretrained(tmp_path / "first/export/synapse")
    for mine, theirs in ((task.unet, unet), (task.synapse, synapse)):
        given = theirs.state_dict()
        assert all(torch.equal(value, given[name]) for name, value in mine.state_dict().items())


def test_music_starts_only_from_what_fits_the_data(trained, tmp_path):
    shared = {"data": str(trained / "prepared"), "max_steps": 1, "crop_frames": 4, "validation_clips": 2}
    music.train(music.MusicConfig(out=str(tmp_path / "first"), sample_steps=2, **shared, **TINY))
    path = trained / "prepared/features.json"
    path.write_text(path.read_text().replace('"num_inversion_steps": 2', '"num_inversion_steps": 3'))
    config = music.MusicConfig(out=str(tmp_path / "again"), init=str(tmp_path / "first/export"), **shared)
    with pytest.raises(ValueError, match="inversion steps 2, the data has 3"):
        music.MusicTask(config, torch.device("cpu"))


def test_music_takes_its_size_from_where_it_starts():
    with pytest.raises(ValueError, match="init brings its own size"):
        music.MusicConfig(data="a", out="b", max_steps=1, init="c", size="tiny")
