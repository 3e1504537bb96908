"""The pipeline behind the generator: steps, previews, sounds, and stopping."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from demo.engine import PipelineEngine, gpu_seconds
from demo.service import StudioService
from demo.takes import Settings
from melfusion_core.pipelines.loading import HubError
from melfusion_core.pipelines.rendering import Step
from tests.demo.fakes import wish


@pytest.fixture
def engine(tiny_pipeline):
    return PipelineEngine(tiny_pipeline, "tiny", "0" * 64)


def settings(image=None, caption="Harp", steps=4, **others) -> Settings:
    values = {"guidance_scale": 3.0, "image_guidance_scale": 2.0, "synapse_strength": 1.0, "sampler": "dpm++"}
    values |= {"guidance_stop": 0.5, "seed": 5, "duration_s": 2.56, "num_inference_steps": steps} | others
    return Settings(caption=caption, image=image, **values)


def test_it_gives_what_the_pipeline_gives(engine, sunset):
    *steps, finished = engine.render(settings(sunset))
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(isinstance(step, Step) and step.num_steps == 4 for step in steps)
    previews = [step.view.mel_db for step in steps if step.view is not None]
    assert len(previews) == 3 and all(np.isfinite(preview).all() for preview in previews)
    expected = engine.pipe.compare(
        prompt="Harp",
        image=sunset,
        duration_s=2.56,
        num_inference_steps=4,
        guidance_scale=3.0,
        image_guidance_scale=2.0,
        guidance_stop=0.5,
        generator=torch.Generator().manual_seed(5),
    )
    np.testing.assert_array_equal(finished.takes["with_image"].audio.numpy(), expected.with_image[0])
    np.testing.assert_array_equal(finished.takes["text_only"].audio.numpy(), expected.text_only[0])
    shown = [takes["text_only"].view.mel_db for takes in (finished.takes, {"text_only": expected.text_only_takes[0]})]
    np.testing.assert_array_equal(*shown)
    assert not np.array_equal(finished.takes["with_image"].audio.numpy(), finished.takes["text_only"].audio.numpy())
    assert previews[0].shape[1] == shown[0].shape[1]


def test_guidance_until_reaches_the_pipeline(engine, sunset):
    half, whole = (list(engine.render(settings(sunset, guidance_stop=share)))[-1] for share in (0.5, 1.0))
    assert not np.array_equal(half.takes["with_image"].audio.numpy(), whole.takes["with_image"].audio.numpy())


def test_softer_guidance_reaches_the_pipeline(engine, sunset):
    soft, hard = (list(engine.render(settings(sunset, guidance_rescale=share)))[-1] for share in (0.8, 0.0))
    assert not np.array_equal(soft.takes["with_image"].audio.numpy(), hard.takes["with_image"].audio.numpy())


def test_synapse_at_zero_gives_the_same_samples_twice(engine, sunset):
    *_, finished = engine.render(settings(sunset, synapse_strength=0.0))
    np.testing.assert_array_equal(
        finished.takes["with_image"].audio.numpy(), finished.takes["text_only"].audio.numpy()
    )


def test_one_of_both_is_enough(engine, sunset):
    *_, from_words = engine.render(settings(steps=2))
    *_, from_picture = engine.render(settings(sunset, caption="", steps=2))
    assert list(from_words.takes) == ["text_only"] and list(from_picture.takes) == ["with_image"]


def test_closing_stops_after_the_step_and_leaves_the_engine_free(engine, monkeypatch):
    seen = []
    view = engine.pipe.engine.view
    monkeypatch.setattr(engine.pipe.engine, "view", lambda *given: (seen.append(1), view(*given))[1])
    with contextlib.closing(engine.render(settings(steps=100))) as work:
        assert next(work).step == 1
    assert len(seen) < 9, "previews come every few steps, and it did not run to its end"
    *steps, finished = engine.render(settings(steps=2))
    assert len(steps) == 2 and finished.takes


def test_errors_of_the_pipeline_reach_the_caller(engine):
    with pytest.raises(ValueError, match="duration_s"):
        list(engine.render(settings(duration_s=500.0)))
    assert list(engine.render(settings(steps=1)))


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(OSError):
        PipelineEngine.from_folder(tmp_path)


def test_recipes_name_the_folder(tiny_pipeline, tmp_path, monkeypatch):
    tiny_pipeline.save_pretrained(tmp_path / "tiny-model")
    monkeypatch.setattr("demo.engine.open_pipeline", lambda folder: tiny_pipeline)
    engine = PipelineEngine.from_folder(tmp_path / "tiny-model")
    assert engine.model_name == "tiny-model" and len(engine.model_sha256) == 64


def test_the_service_takes_the_real_pipeline(engine, pictures):
    *progress, result = StudioService(engine).compose(
        wish(str(pictures[0]), "Harp", duration_s=2.56, num_inference_steps=2)
    )
    assert [event.step for event in progress] == [0, 1, 2]
    assert result.with_image.recipe.model_name == "tiny"


def test_the_lent_gpu_is_asked_for_as_long_as_the_work_needs():
    assert gpu_seconds(settings(steps=25)) == 12
    assert gpu_seconds(settings(steps=25)) < gpu_seconds(settings(steps=100, duration_s=20.48)) <= 60


def test_words_to_steer_away_from_change_the_music(engine):
    *_, plain = engine.render(settings(steps=2))
    *_, steered = engine.render(settings(steps=2, negative_prompt="drums"))
    assert not np.array_equal(plain.takes["text_only"].audio.numpy(), steered.takes["text_only"].audio.numpy())


def test_a_repository_that_cannot_be_had_is_said(monkeypatch):
    def refuse(repo):
        raise HubError(f"{repo} could not be had")

    monkeypatch.setattr("melfusion_core.pipelines.loading.download_pipeline", refuse)
    with pytest.raises(HubError, match="somebody/something could not be had"):
        PipelineEngine.from_folder("somebody/something")
