"""From a request to files: limits, seeds, loudness, recipes, stopping."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from demo.api import to_request
from demo.service import DOSES, StudioService, crop_region, write_figure
from demo.takes import DOSE, MAX_SEED, SWAP, TAKES, Limits, Progress, Result, StudioError
from melfusion_core.audio import integrated_lufs, load_audio
from melfusion_core.engines.base import Rendered
from melfusion_core.engines.spectrogram.engine import SpectrogramView
from melfusion_core.mel import MelConfig
from melfusion_core.pipelines.rendering import Finished, Step
from melfusion_core.recipe import read_from_file
from tests.demo.fakes import FakeEngine, wish

SHORT = {"num_inference_steps": 4, "duration_s": 2.56}


def run(service: StudioService, **settings) -> tuple[list[Progress], Result, dict[str, bytes]]:
    """All progress, the result, and the contents of its files, which are gone afterwards."""
    progress, result, contents = [], None, {}
    for event in service.compose(wish(**SHORT | settings)):
        if isinstance(event, Progress):
            progress.append(event)
        else:
            result = event
            paths = [take.path for take in (event.with_image, event.text_only) if take]
            contents = {path: Path(path).read_bytes() for path in [*paths, event.recipe_path]}
    return progress, result, contents


def test_picture_and_words_give_two_takes_at_one_loudness(engine, pictures, tmp_path):
    rate = engine.sample_rate
    with contextlib.closing(
        StudioService(engine).compose(wish(str(pictures[0]), " Slow  piano ", seed=7, **SHORT))
    ) as work:
        result = next(event for event in work if isinstance(event, Result))
        first, second = (load_audio(take.path, rate) for take in (result.with_image, result.text_only))
        assert first.shape == second.shape == (round(2.56 * rate),)
        assert integrated_lufs(first, rate) == pytest.approx(integrated_lufs(second, rate), abs=0.1)
        recipes = [read_from_file(take.path) for take in (result.with_image, result.text_only)]
        assert recipes == [result.with_image.recipe, result.text_only.recipe]
        assert [recipe.render for recipe in recipes] == ["compare:with_image", "compare:text_only"]
        assert recipes[0].gain_db - recipes[1].gain_db > 10, "the fake's takes differ in level"
        assert recipes[0].prompt == "Slow piano" and recipes[0].seed == 7
        assert recipes[0].image_name is recipes[0].image_path is None
        assert read_from_file(result.recipe_path) == recipes[0]
        assert Path(result.with_image.path).name == "slow-piano-seed7-with-image.wav"
        assert Path(result.text_only.path).name == "slow-piano-seed7-text-only.wav"
        figure = write_figure(result, tmp_path)
        assert figure.name.endswith("with-image.png") and figure.read_bytes()[:4] == b"\x89PNG"
        *_, finished = FakeEngine().render(engine.settings[-1])
        for take, name in ((first, "with_image"), (second, "text_only")):
            gain_db = getattr(result, name).recipe.gain_db
            expected = np.round(finished.takes[name].audio[0].numpy() * np.float32(10.0 ** (gain_db / 20.0)) * 32767.0)
            assert np.abs(take.numpy() * 32768.0 - expected).max() <= 1.0, "the recipe's gain leads to the file"
        assert any("same loudness" in note for note in result.notes)
    assert not Path(result.with_image.path).parent.exists()


def test_progress_counts_steps_and_estimates_time(engine, pictures):
    progress, _, _ = run(StudioService(engine), image_path=str(pictures[0]), caption="x")
    assert [event.step for event in progress] == [0, 1, 2, 3, 4]
    assert {event.num_steps for event in progress} == {4}
    assert [event.seconds_left is None for event in progress] == [True, True, False, False, False]
    assert progress[-1].seconds_left == 0.0
    assert progress[2].view.mel_db.shape == (160, 128)


@pytest.mark.parametrize(("picture", "caption", "said"), [(False, "Harp", "No picture"), (True, " ", "No words")])
def test_half_filled_requests_work_and_say_so(engine, pictures, picture, caption, said):
    _, result, contents = run(StudioService(engine), image_path=str(pictures[0]) if picture else None, caption=caption)
    assert (result.with_image is not None) == picture
    assert (result.text_only is not None) != picture
    assert result.main.recipe.render == "single"
    assert said in " ".join(result.notes) and "loudness" not in " ".join(result.notes)
    assert len(contents) == 2
    name = Path(result.main.path).name
    assert name.startswith("picture-seed" if picture else "harp-seed")


def test_synapse_at_zero_says_that_the_takes_are_the_same(engine, pictures):
    _, result, contents = run(
        StudioService(engine), image_path=str(pictures[0]), caption="Harp", synapse_strength=0.0, seed=1
    )
    assert "0 %" in result.notes[0] and "same" in result.notes[0]


def test_a_seed_is_drawn_told_and_used(engine):
    service = StudioService(engine)
    seeds = {run(service, caption="Harp")[1].seed for _ in range(3)}
    assert len(seeds) == 3 and all(0 <= seed <= MAX_SEED for seed in seeds)
    assert seeds == {settings.seed for settings in engine.settings}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Give a picture, a few words, or both"),
        ({"caption": " \n "}, "Give a picture"),
        ({"caption": "x" * 401}, "401 characters"),
        ({"caption": "x", "duration_s": 999.0}, "length in seconds must be from 2.56 to 20.48; it is 999"),
        ({"caption": "x", "duration_s": None}, "it is nothing"),
        ({"caption": "x", "num_inference_steps": 0}, "number of steps"),
        ({"caption": "x", "guidance_scale": float("nan")}, "Text guidance"),
        ({"caption": "x", "image_guidance_scale": -1.0}, "Image guidance"),
        ({"caption": "x", "guidance_stop": 1.1}, "guided share of the way must be from 0 to 1"),
        ({"caption": "x", "guidance_rescale": -0.1}, "softening of guidance must be from 0 to 1"),
        ({"caption": "x", "synapse_strength": 2.5}, "How much the picture is heard"),
        ({"caption": "x", "seed": -1}, "The seed"),
        ({"caption": "x", "seed": float("nan")}, "The seed must be from 0 to 4294967295; it is not a number"),
        ({"caption": "x", "seed": 10**400}, "it is far beyond that"),
        ({"caption": "x", "synapse_strength": float("inf")}, "it is far beyond that"),
        ({"caption": "x", "num_inference_steps": None}, "number of steps must be from 1 to 100; it is nothing"),
        ({"caption": "x" * 10_000}, "10000 characters"),
        ({"caption": "x", "sampler": "euler"}, "sampler"),
        ({"image_path": "missing.png"}, "no picture"),
        ({"caption": "x", "mode": "guess"}, "mode"),
        ({"caption": "x", "mode": TAKES, "num_takes": 9}, "number of takes must be from 2 to 4"),
        ({"caption": "x", "mode": DOSE}, "needs a picture"),
        ({"caption": "x", "negative_prompt": "y" * 401}, "401 characters"),
    ],
)
def test_bad_requests_are_refused_in_plain_words(engine, settings, message):
    with pytest.raises(StudioError, match=message):
        next(iter(StudioService(engine).compose(wish(**settings))))
    assert not engine.settings, "nothing reached the model"


def test_a_broken_picture_is_named(engine, pictures):
    with pytest.raises(StudioError, match="broken.png is not a picture"):
        StudioService(engine).check(wish(image_path=str(pictures[2])))


def test_limits_can_be_narrowed(engine):
    service = StudioService(engine, Limits(max_steps=8))
    with pytest.raises(StudioError, match="from 1 to 8"):
        service.check(wish(caption="x", num_inference_steps=9))


def test_closing_stops_the_engine():
    engine = FakeEngine(hold_at=2)
    work = StudioService(engine).compose(wish(caption="Harp", **SHORT))
    while next(work).step < 2:
        pass
    assert not engine.closed.is_set()
    work.close()
    assert engine.closed.is_set()


class _BadEngine(FakeEngine):
    def __init__(self, waveform: np.ndarray | None) -> None:
        super().__init__()
        self.waveform = waveform

    def render(self, settings):
        yield Step(1, 1)
        if self.waveform is None:
            yield Finished({})
        else:
            view = SpectrogramView(np.zeros((8, 128), np.float32), MelConfig())
            yield Finished({"text_only": Rendered(torch.from_numpy(self.waveform)[None], self.sample_rate, view)})


@pytest.mark.parametrize(
    ("waveform", "message"), [(None, "without any sound"), (np.full(32000, np.nan, np.float32), "not numbers")]
)
def test_what_the_model_must_not_give(waveform, message):
    with pytest.raises(StudioError, match=message):
        list(StudioService(_BadEngine(waveform)).compose(wish(caption="x")))


def test_silence_is_said():
    _, result, contents = run(StudioService(_BadEngine(np.zeros(32000, np.float32))), caption="x")
    assert "silent" in " ".join(result.notes)
    assert result.main.recipe.gain_db == 0.0
    assert json.loads(contents[result.recipe_path])["gain_db"] == 0.0


def test_the_page_says_minus_one_for_a_new_seed():
    values = ("x.png", None, 50, 25, -1, 10.24, 4.0, 2.0, "ddim")
    given = {"duration_s": 10.24, "guidance_scale": 4.0, "image_guidance_scale": 2.0, "sampler": "ddim"}
    given |= {"num_inference_steps": 25, "synapse_strength": 0.5, "guidance_rescale": 0.5, "guidance_stop": 1.0}
    assert to_request(*values) == wish("x.png", seed=None, negative_prompt="", **given)
    assert to_request(*values[:4], 3, *values[5:]).knobs["seed"] == 3
    values = (*values, "drums", 40, 0, 100)
    request = to_request(*values, mode=TAKES, num_takes=2)
    assert request.knobs["negative_prompt"] == "drums" and request.region == (0.4, 0.0, 1.0)
    assert (request.mode, request.num_takes) == (TAKES, 2)
    shares = [
        [to_request(*values, *percents).knobs[name] for name in ("guidance_stop", "guidance_rescale")]
        for percents in ((), (60,), (60, 0))
    ]
    assert shares == [[1.0, 0.5], [0.6, 0.5], [0.6, 0.0]]


def test_ten_pairs_are_equally_loud(pictures):
    service, worst = StudioService(FakeEngine()), 0.0
    for seed in range(10):
        wishes = wish(str(pictures[seed % 2]), "x", seed=seed, synapse_strength=0.2 * seed, **SHORT)
        *_, result = service.compose(wishes)
        rate = service.engine.sample_rate
        loudness = [integrated_lufs(take.samples, rate) for take in result.takes]
        worst = max(worst, abs(loudness[0] - loudness[1]))
    assert worst < 0.05, f"{worst:.3f} LU"


def test_several_takes_have_seeds_in_a_row(engine, pictures):
    progress, result, _ = run(
        StudioService(engine), image_path=str(pictures[0]), caption="x", seed=MAX_SEED, mode=TAKES, num_takes=3
    )
    assert [take.recipe.seed for take in result.takes] == [MAX_SEED, 0, 1]
    assert {take.recipe.render for take in result.takes} == {"single"} and result.seed == MAX_SEED
    assert [(event.take, event.num_takes) for event in progress if event.step == 1] == [(1, 3), (2, 3), (3, 3)]
    assert progress[-1].seconds_left == 0.0
    assert not any(settings.compares for settings in engine.settings)


def test_the_dose_strip_changes_nothing_but_the_strength(engine, pictures):
    _, result, contents = run(StudioService(engine), image_path=str(pictures[0]), caption="x", seed=4, mode=DOSE)
    assert [take.recipe.synapse_strength for take in result.takes] == list(DOSES)
    assert {take.recipe.seed for take in result.takes} == {4}
    assert [Path(take.path).name for take in result.takes][1] == "x-seed4-synapse50.wav" and len(contents) == 2
    _, result, _ = run(StudioService(engine), image_path=str(pictures[0]), mode=DOSE)
    assert len(result.takes) == 3, "without words there is nothing to hear at 0 %"


def test_swapping_the_picture_keeps_words_and_seed(engine, pictures):
    service = StudioService(engine)
    with pytest.raises(StudioError, match="the other picture"):
        service.plan(wish(str(pictures[0]), "x", mode=SWAP))
    wishes = {"image_path": str(pictures[0]), "other_image_path": str(pictures[1]), "caption": "x", "seed": 4}
    _, result, _ = run(service, **wishes, mode=SWAP)
    first, second = (take.recipe for take in result.takes)
    assert (first.seed, first.prompt) == (second.seed, second.prompt) == (4, "x")
    assert first.image_sha256 != second.image_sha256
    assert Path(result.takes[1].path).name == "x-seed4-b.wav"


def test_a_region_is_cut_out_and_named_in_the_recipe(engine, pictures, sunset):
    whole, left = crop_region(sunset, (1.0, 0.5, 0.5)), crop_region(sunset, (0.5, 0.0, 1.0))
    side = round(min(sunset.size) / 2)
    assert whole is sunset and left.size == (side, side)
    assert left.getpixel((0, side - 1)) == sunset.getpixel((0, sunset.height - 1))
    with pytest.raises(StudioError, match="region"):
        crop_region(sunset, (0.01, 0.5, 0.5))
    _, result, _ = run(StudioService(engine), image_path=str(pictures[0]), caption="x", region=(0.5, 0.0, 1.0))
    _, other, _ = run(StudioService(engine), image_path=str(pictures[0]), caption="x")
    assert result.main.recipe.image_sha256 != other.main.recipe.image_sha256
    assert engine.settings[0].image.size == (side, side) and "part of the picture" in " ".join(result.notes)


def test_words_to_steer_away_from_reach_engine_and_recipe(engine):
    _, result, _ = run(StudioService(engine), caption="x", negative_prompt=" loud  drums ")
    assert engine.settings[0].negative_prompt == result.main.recipe.negative_prompt == "loud drums"
