from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from melfusion_core.engines.base import Known
from melfusion_core.image import ImageError
from melfusion_core.pipelines.inputs import GenerationRequest
from melfusion_core.pipelines.outputs import GenerationInterrupted
from melfusion_core.pipelines.pipeline_melfusion import IMAGE_CACHE_SIZE, MelFusionPipeline
from melfusion_core.take import TakeSettings

FAST = {"num_inference_steps": 3, "duration_s": 1.28, "guidance_scale": 3.0, "image_guidance_scale": 1.5}
CAPTION = "a calm piano"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def count_calls(module: torch.nn.Module) -> tuple[list[int], torch.utils.hooks.RemovableHandle]:
    """Batch sizes of the calls of a module."""
    batches: list[int] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    return batches, handle


def processors(pipe) -> dict:
    return {**pipe.unet.attn_processors, **{f"image.{k}": v for k, v in pipe.image_unet.attn_processors.items()}}


def assert_restored(before: dict, after: dict) -> None:
    assert before.keys() == after.keys() and all(after[name] is before[name] for name in before)


# 1. Strength


@pytest.mark.parametrize("fusion", ["decoupled", "interpolate", "concatenate"])
def test_strength_zero_is_bit_identical_to_no_picture(make_tiny_pipeline, sunset, fusion):
    pipe = make_tiny_pipeline(fusion=fusion)
    without = pipe(CAPTION, generator=seeded(), **FAST).audios
    zero = pipe(CAPTION, sunset, synapse_strength=0.0, generator=seeded(), **FAST).audios
    assert np.array_equal(without, zero)
    assert not np.array_equal(without, pipe(CAPTION, sunset, generator=seeded(), **FAST).audios)


@pytest.mark.parametrize("fusion", ["decoupled", "interpolate", "concatenate"])
def test_the_dose_is_monotone(make_tiny_pipeline, sunset, fusion):
    pipe = make_tiny_pipeline(fusion=fusion, gate_init=0.5)
    settings = {**FAST, "output_type": "latent"}
    base = pipe(CAPTION, generator=seeded(), **settings).audios
    distances = []
    for strength in (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0):
        latents = pipe(CAPTION, sunset, synapse_strength=strength, generator=seeded(), **settings).audios
        distances.append(float((latents - base).norm()))
    assert distances[0] == 0.0
    assert all(low < high for low, high in zip(distances, distances[1:], strict=False)), distances


def test_gates_are_clipped_at_one(make_tiny_pipeline, sunset):
    pipe = make_tiny_pipeline(gate_init=0.9)
    strong = [
        pipe(CAPTION, sunset, synapse_strength=strength, generator=seeded(), **FAST).audios for strength in (1.2, 2.0)
    ]
    assert np.array_equal(*strong)


# 2. The picture matters, and the same inputs give the same samples


@pytest.mark.parametrize("sampler", ["dpm++", "ddim"])
def test_pictures_matter_and_results_repeat(shared_pipeline, sunset, checkers, sampler):
    settings = {**FAST, "sampler": sampler}
    first, again, other = (
        shared_pipeline(CAPTION, image, generator=seeded(), **settings).audios for image in (sunset, sunset, checkers)
    )
    assert first.shape == (1, 1, 1024) and np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()
    assert not np.array_equal(first, shared_pipeline(CAPTION, sunset, generator=seeded(1), **settings).audios)


def test_captions_matter(shared_pipeline, sunset):
    one, two = (
        shared_pipeline(text, sunset, generator=seeded(), **FAST).audios for text in (CAPTION, "loud metal guitars")
    )
    assert np.abs(one - two).max() > 1e-3 * np.abs(one).max()


# 3. Picture alone, caption alone, both; separate guidance, no wasted branches


def test_every_mode_runs_only_the_branches_it_needs(shared_pipeline, sunset):
    pipe = shared_pipeline
    batches, handle = count_calls(pipe.unet)
    cases = [
        ({"prompt": CAPTION, "image": sunset}, 3),
        ({"prompt": CAPTION}, 2),
        ({"image": sunset}, 2),
        ({"prompt": "  ", "image": sunset}, 2),
        ({"prompt": CAPTION, "image": sunset, "guidance_scale": 1.0, "image_guidance_scale": 1.0}, 1),
        ({"prompt": CAPTION, "image": sunset, "image_guidance_scale": 3.0}, 2),
        ({"image": sunset, "negative_prompt": "noise"}, 3),
        ({"prompt": [CAPTION, "rock"], "image": sunset, "num_waveforms_per_prompt": 2}, 12),
    ]
    outputs = []
    try:
        for arguments, rows in cases:
            batches.clear()
            outputs.append(pipe(generator=seeded(), **{**FAST, **arguments}).audios)
            assert batches == [rows] * FAST["num_inference_steps"], arguments
            assert np.isfinite(outputs[-1]).all()
    finally:
        handle.remove()
    assert outputs[-1].shape == (4, 1, 1024)
    assert np.array_equal(outputs[2], outputs[3])
    distinct = [outputs[index] for index in (0, 1, 2, 4, 5, 6)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(distinct) for b in distinct[i + 1 :])


def test_batches_pair_captions_with_pictures(shared_pipeline, sunset, checkers):
    pipe, settings = shared_pipeline, {**FAST, "output_type": "latent"}
    plan = pipe.plan(GenerationRequest.of([CAPTION, "rock"], **FAST), 2)
    noise = torch.randn(2, *plan.shape, generator=seeded())
    together = pipe([CAPTION, "rock"], [sunset, checkers], latents=noise, **settings).audios
    for row, (caption, image) in enumerate([(CAPTION, sunset), ("rock", checkers)]):
        alone = pipe(caption, image, latents=noise[row : row + 1], **settings).audios
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-4, rtol=1e-4)


def test_one_generator_per_sample(shared_pipeline):
    both = shared_pipeline([CAPTION, CAPTION], generator=[seeded(1), seeded(2)], output_type="latent", **FAST).audios
    alone = shared_pipeline(CAPTION, generator=seeded(2), output_type="latent", **FAST).audios
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=1e-4)


def test_a_seed_is_a_generator_of_that_seed(shared_pipeline):
    seed = shared_pipeline(CAPTION, seed=7, **FAST).audios
    generator = shared_pipeline(CAPTION, generator=seeded(7), **FAST).audios
    assert np.array_equal(seed, generator)
    settings = TakeSettings(**FAST, seed=7, negative_prompt="drums")
    steered = shared_pipeline(CAPTION, settings=settings).audios
    assert not np.array_equal(steered, seed)
    assert np.array_equal(steered, shared_pipeline(CAPTION, seed=7, negative_prompt="drums", **FAST).audios)
    assert np.array_equal(seed, shared_pipeline(CAPTION, settings=settings, negative_prompt="").audios)


def test_rescaling_changes_the_result(shared_pipeline):
    plain, rescaled = (
        shared_pipeline(CAPTION, generator=seeded(), guidance_rescale=share, **FAST).audios for share in (0.0, 0.7)
    )
    assert np.isfinite(rescaled).all() and not np.array_equal(plain, rescaled)


def test_guidance_stops(tiny_pipeline, sunset):
    settings = {"num_inference_steps": 4, "duration_s": 1.28, "output_type": "latent"}
    pipe, picture = tiny_pipeline, {"prompt": CAPTION, "image": sunset}
    never = pipe(**picture, generator=seeded(), guidance_stop=0.0, **settings).audios
    unguided = pipe(
        **picture, generator=seeded(), guidance_scale=1.0, image_guidance_scale=1.0, **settings
    ).audios  # fmt: skip
    torch.testing.assert_close(never, unguided, atol=1e-5, rtol=1e-5)
    half, whole = (pipe(**picture, generator=seeded(), guidance_stop=share, **settings).audios for share in (0.5, 1.0))
    assert not torch.allclose(half, whole) and not torch.allclose(half, never)
    batches, _ = count_calls(pipe.unet)
    pipe.compare(**picture, generator=seeded(), guidance_stop=0.5, **settings)
    assert batches == [5, 5, 2, 2]  # null, text, image; null, text; then one branch each
    batches.clear()
    pipe(prompt=CAPTION, generator=seeded(), guidance_stop=0.5, **settings)
    assert batches == [2, 2, 1, 1]


@pytest.mark.parametrize("sampler", ["dpm++", "ddim"])
def test_steps_crowd_towards_the_noise(tiny_pipeline, sunset, sampler):
    settings = {"num_inference_steps": 4, "duration_s": 1.28, "output_type": "latent", "sampler": sampler}

    def take(**arguments):
        seen = []
        made = tiny_pipeline(
            CAPTION, sunset, generator=seeded(), callback_on_step_end=lambda info: seen.append(info.timestep),
            **settings, **arguments,
        )  # fmt: skip
        return seen, made.audios

    plain, shifted, even = take(), take(timestep_shift=3.0), take(timestep_shift=1.0)
    assert plain[0] == even[0] == [999, 749, 499, 249] and torch.equal(plain[1], even[1])
    assert shifted[0] == [999, 899, 749, 499] and not torch.allclose(plain[1], shifted[1])
    tiny_pipeline.register_to_config(timestep_shift=3.0)
    own = take()
    assert own[0] == shifted[0] and torch.equal(own[1], shifted[1])  # the model's own, where none is asked for
    with pytest.raises(ValueError, match="timestep_shift"):
        MelFusionPipeline(**tiny_pipeline.components, timestep_shift=0.5)


# 4. Features once per picture


def test_features_are_computed_once_per_picture(tiny_pipeline, sunset, checkers, tmp_path):
    pipe = tiny_pipeline
    batches, _ = count_calls(pipe.image_unet)
    sunset.save(tmp_path / "copy.png")
    first = pipe.encode_image(sunset)
    calls = len(batches)
    assert calls == 4 and len(first) == 1  # timesteps 0, 100, 250, 500: the inversion itself, no second pass
    for same in (sunset, sunset.copy(), tmp_path / "copy.png", [sunset, sunset]):
        features = pipe.encode_image(same)
    assert len(batches) == calls and len(features) == 2
    assert torch.equal(features.at(100)[0][0][1], first.at(100)[0][0][0])
    pipe(CAPTION, sunset, **FAST)
    pipe("something else", sunset, **FAST)
    assert len(batches) == calls
    both = pipe.encode_image([checkers, sunset])
    assert len(batches) == 2 * calls and batches[-1] == 1
    assert not torch.equal(both.at(100)[0][0][0], both.at(100)[0][0][1])
    pipe.clear_image_cache()
    pipe.encode_image(sunset)
    assert len(batches) == 3 * calls


def test_the_cache_is_small_and_forgets_the_oldest(tiny_pipeline, sunset):
    pipe = tiny_pipeline
    batches, _ = count_calls(pipe.image_unet)
    pipe.encode_image(sunset)
    for shade in range(IMAGE_CACHE_SIZE - 1):
        pipe.encode_image(Image.new("RGB", (8, 8), (shade, shade, shade)))
    calls = len(batches)
    pipe.encode_image(sunset)
    assert len(batches) == calls
    pipe.encode_image(Image.new("RGB", (8, 8), "red"))
    pipe.encode_image(sunset)  # used more recently than the first shade
    assert len(batches) == calls + 4
    assert len(pipe._image_cache) == IMAGE_CACHE_SIZE


# 5. Comparison


def test_comparison_is_one_batch_from_one_noise(shared_pipeline, sunset):
    pipe = shared_pipeline
    batches, handle = count_calls(pipe.unet)
    try:
        both = pipe.compare(CAPTION, sunset, generator=seeded(), **FAST)
    finally:
        handle.remove()
    assert batches == [5] * FAST["num_inference_steps"]
    assert both.with_image.shape == both.text_only.shape == (1, 1, 1024)
    views = [takes[0].view.mel_db for takes in (both.with_image_takes, both.text_only_takes)]
    assert views[0].shape == (64, 32)
    with_image = pipe(CAPTION, sunset, generator=seeded(), **FAST)
    text_only = pipe(CAPTION, generator=seeded(), **FAST)
    np.testing.assert_allclose(views[0], with_image.takes[0].view.mel_db, atol=1e-2, rtol=1e-3)
    np.testing.assert_allclose(views[1], text_only.takes[0].view.mel_db, atol=1e-2, rtol=1e-3)
    assert np.abs(views[0] - views[1]).max() > 0.1


def test_comparison_at_strength_zero_and_without_a_picture(shared_pipeline, sunset):
    both = shared_pipeline.compare(CAPTION, sunset, synapse_strength=0.0, generator=seeded(), **FAST)
    assert np.array_equal(both.with_image, both.text_only)
    with pytest.raises(ValueError, match="picture"):
        shared_pipeline.compare(CAPTION, **FAST)


# 6. Processors


def test_processors_are_restored(shared_pipeline, sunset):
    before = processors(shared_pipeline)
    shared_pipeline.clear_image_cache()
    shared_pipeline(CAPTION, sunset, **FAST)
    assert_restored(before, processors(shared_pipeline))


def test_processors_are_restored_when_a_call_raises(shared_pipeline, sunset):
    before = processors(shared_pipeline)

    def fail(info):
        raise KeyError("from the callback")

    with pytest.raises(KeyError):
        shared_pipeline(CAPTION, sunset, callback_on_step_end=fail, **FAST)
    assert_restored(before, processors(shared_pipeline))
    handle = shared_pipeline.unet.register_forward_pre_hook(fail_in_unet)
    try:
        with pytest.raises(ArithmeticError):
            shared_pipeline.compare(CAPTION, sunset, **FAST)
    finally:
        handle.remove()
    assert_restored(before, processors(shared_pipeline))


def fail_in_unet(*_):
    raise ArithmeticError


# 8. Callback, cancelling, streaming


def test_callback_gets_clean_latents_that_become_the_result(shared_pipeline, sunset):
    infos = []
    output = shared_pipeline(
        CAPTION, sunset, generator=seeded(), output_type="latent", callback_on_step_end=infos.append, **FAST
    )
    assert [info.step for info in infos] == [1, 2, 3] and {info.num_steps for info in infos} == {3}
    assert infos[0].timestep == 999
    assert all(torch.isfinite(info.clean_latents).all() for info in infos)
    torch.testing.assert_close(infos[-1].clean_latents, output.audios, atol=1e-4, rtol=1e-4)
    [view] = shared_pipeline.engine.view(infos[0].clean_latents)
    assert view.mel_db.shape == (64, 32)


def test_cancelling(shared_pipeline, sunset):
    before = processors(shared_pipeline)
    steps = []

    def stop_at_two(info):
        steps.append(info.step)
        return info.step < 2

    with pytest.raises(GenerationInterrupted, match="step 2 of 3"):
        shared_pipeline(CAPTION, sunset, callback_on_step_end=stop_at_two, **FAST)
    assert steps == [1, 2]
    with pytest.raises(GenerationInterrupted, match="step 1 of 3"):
        shared_pipeline(CAPTION, sunset, callback_on_step_end=lambda _: shared_pipeline.interrupt(), **FAST)
    assert_restored(before, processors(shared_pipeline))
    shared_pipeline(CAPTION, sunset, **FAST)  # the next call is not stopped


def test_streaming_and_closing_early(shared_pipeline, sunset):
    before = processors(shared_pipeline)
    request = GenerationRequest.of(CAPTION, sunset, generator=seeded(), **FAST)
    events = list(shared_pipeline.stream(request))
    assert [event.step for event in events[:-1]] == [1, 2, 3]
    direct = shared_pipeline(CAPTION, sunset, generator=seeded(), **FAST)
    assert np.array_equal(events[-1].audios, direct.audios)
    stream = shared_pipeline.stream(request, compare=True)
    next(stream)
    stream.close()
    assert_restored(before, processors(shared_pipeline))
    assert torch.is_grad_enabled()


# Lengths and output types


@pytest.mark.parametrize("duration_s", [1.0, 1.283, 10.24, 30.72])
def test_any_length_comes_out_to_the_sample(shared_pipeline, duration_s):
    settings = {**FAST, "num_inference_steps": 1, "duration_s": duration_s}
    output = shared_pipeline(CAPTION, **settings)
    samples = round(duration_s * 800)
    assert output.audios.shape == (1, 1, samples)
    assert output.takes[0].view.mel_db.shape == (math.ceil(samples / 16), 32)


def test_native_length_has_the_trained_latent_shape(shared_pipeline):
    plan = shared_pipeline.plan(GenerationRequest.of("a", duration_s=10.24), 1)
    assert plan.shape == (4, 64, 4)


def test_output_types(shared_pipeline):
    results = {
        kind: shared_pipeline(CAPTION, generator=seeded(), output_type=kind, **FAST) for kind in ("np", "pt", "latent")
    }
    assert isinstance(results["np"].audios, np.ndarray) and isinstance(results["pt"].audios, torch.Tensor)
    assert np.array_equal(results["np"].audios, results["pt"].audios.numpy())
    assert torch.equal(results["pt"].takes[0].audio, results["pt"].audios[0]) and results["latent"].takes is None
    plan = shared_pipeline.engine.plan(["a"], TakeSettings(duration_s=FAST["duration_s"]))
    [take] = shared_pipeline.engine.decode(results["latent"].audios, plan)
    assert torch.equal(take.audio, results["pt"].audios[0])
    assert isinstance(shared_pipeline(CAPTION, return_dict=False, **FAST), tuple)


# Bad inputs


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"prompt": ""}, ValueError, "a caption, a picture"),
        ({"prompt": None}, ValueError, "a caption, a picture"),
        ({"prompt": 7}, TypeError, "prompt"),
        ({"prompt": ["a", None]}, TypeError, "prompt"),
        ({"prompt": []}, ValueError, "empty list"),
        ({"image": []}, ValueError, "empty list"),
        ({"image": 3}, TypeError, "image"),
        ({"image": "missing.png"}, ImageError, "no picture"),
        ({"duration_s": -1.0}, ValueError, "duration_s"),
        ({"duration_s": 31.0}, ValueError, "duration_s"),
        ({"duration_s": "long"}, TypeError, "duration_s"),
        ({"guidance_scale": math.nan}, ValueError, "guidance_scale"),
        ({"guidance_scale": math.inf}, ValueError, "guidance_scale"),
        ({"image_guidance_scale": -1.0}, ValueError, "image_guidance_scale"),
        ({"guidance_rescale": 1.5}, ValueError, "guidance_rescale"),
        ({"guidance_stop": -0.1}, ValueError, "guidance_stop"),
        ({"synapse_strength": 2.1}, ValueError, "synapse_strength"),
        ({"synapse_strength": -0.1}, ValueError, "synapse_strength"),
        ({"synapse_strength": math.nan}, ValueError, "synapse_strength"),
        ({"num_inference_steps": 0}, ValueError, "num_inference_steps"),
        ({"num_inference_steps": 2.5}, TypeError, "num_inference_steps"),
        ({"num_waveforms_per_prompt": 0}, ValueError, "num_waveforms"),
        ({"prompt": ["a", "b"], "negative_prompt": ["a", "b", "c"]}, ValueError, "batch sizes"),
        ({"generator": 5}, TypeError, "generator"),
        ({"generator": [seeded()] * 2}, ValueError, "generators"),
        ({"latents": torch.zeros(1, 4, 3, 4)}, ValueError, "latents"),
        ({"output_type": "wav"}, ValueError, "output_type"),
        ({"sampler": "euler"}, ValueError, "sampler"),
        ({"loudness": 3}, TypeError, "loudness"),
        ({"seed": 3, "generator": seeded()}, ValueError, "a seed or a generator, not both"),
        ({"known": Known(torch.zeros(1, 4, 8, 4), torch.ones(1, 4, 8, 4) > 0)}, ValueError, "nothing of the music"),
        ({"timestep_shift": 0.5}, ValueError, "timestep_shift"),
        ({"timestep_shift": math.nan}, ValueError, "timestep_shift"),
    ],
)
def test_bad_inputs_raise_before_any_work(shared_pipeline, arguments, error, message):
    batches, handle = count_calls(shared_pipeline.unet)
    try:
        with pytest.raises(error, match=message):
            shared_pipeline(**{"prompt": CAPTION, **FAST, **arguments})
    finally:
        handle.remove()
    assert not batches


def test_an_endless_caption_is_cut_with_a_warning(shared_pipeline):
    with pytest.warns(UserWarning, match="only the first 64"):
        output = shared_pipeline("violin " * 1430, generator=seeded(), **FAST)
    assert np.isfinite(output.audios).all()
