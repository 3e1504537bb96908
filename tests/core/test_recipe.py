"""Recipes: strict reading, and round trips through JSON and the tags of audio files."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from melfusion_core import recipe as recipes
from melfusion_core.recipe import Recipe, RecipeError

DIGEST = "0123456789abcdef" * 4


def make_recipe(**changes) -> Recipe:
    values = {
        "prompt": "Piano – lent, “sous la pluie” 雨",
        "seed": 7,
        "duration_s": 10.0,
        "num_inference_steps": 25,
        "sampler": "dpm++",
        "guidance_scale": 4.0,
        "image_guidance_scale": 2.0,
        "synapse_strength": 1.0,
        "sample_rate": 32000,
        "model_name": "melfusion-mini",
        "model_sha256": DIGEST,
        "image_name": "rain.jpg",
        "image_path": "../pictures/rain.jpg",
        "image_sha256": DIGEST,
        "gain_db": -0.1234567890123,
        "library_versions": {"torch": "2.15.0"},
        "created_at": "2026-01-02T03:04:05+00:00",
    }
    return Recipe(**(values | changes))


def write_tone(path) -> np.ndarray:
    tone = (0.4 * np.sin(np.arange(8000) * 0.05)).astype(np.float32)
    soundfile.write(path, tone, 32000)
    return tone


def test_json_round_trip():
    recipe = make_recipe()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(recipe.to_json(indent=None)) == recipe
    assert list(json.loads(recipe.to_json()))[0] == "version"


def test_whole_numbers_are_read_as_numbers():
    assert make_recipe(duration_s=10).duration_s == 10.0
    assert isinstance(make_recipe(duration_s=10).duration_s, float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guidance_scale": float("nan")}, "guidance_scale must be from 0 to 50; it is not a number"),
        ({"duration_s": float("inf")}, "duration_s must be from 1 to 30.72; it is far beyond that"),
        ({"duration_s": 10**400}, "duration_s must be from 1 to 30.72; it is far beyond that"),
        ({"duration_s": 0}, "duration_s must be from 1 to 30.72; it is 0"),
        ({"num_inference_steps": True}, "num_inference_steps must be a whole number"),
        ({"num_inference_steps": 2.5}, "num_inference_steps must be a whole number"),
        ({"gain_db": float("nan")}, "gain_db must be a finite number"),
        ({"seed": None}, "needs a seed"),
        ({"seed": -1}, "seed must be from 0"),
        ({"seed": 2**70}, "seed must be from 0"),
        ({"prompt": None}, "prompt must be a text"),
        ({"prompt": " ", "image_name": None, "image_path": None, "image_sha256": None}, "a prompt, a picture"),
        ({"sampler": "euler"}, "sampler must be one of"),
        ({"render": "twice"}, "render must be one of"),
        ({"synapse_strength": -0.5}, "synapse_strength must be from 0 to 2"),
        ({"model_sha256": "short"}, "64 hexadecimal"),
        ({"image_sha256": None}, "must also give its image_sha256"),
        ({"library_versions": {"torch": 2}}, "library_versions must be an object of texts"),
        ({"version": 3}, "version 3"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 60000, "not valid JSON"),
        ("[]", "a JSON object"),
        ("{}", "version None"),
        ('{"version": 1}', "lacks duration_s, num"),
        ('{"version": 2}', "lacks duration_s, num"),
        ('{"version": 1, "timestep_shift": 3}', "version 1 does not know: timestep_shift"),
        ('{"version": true}', "version True"),
        ('{"version": 1, "sead": 3}', "does not know: sead"),
        (" " * 70000, "longer than"),
    ],
)
def test_bad_texts_are_refused(text, message):
    with pytest.raises(RecipeError, match=message):
        Recipe.from_json(text)


def test_nan_in_json_is_refused():
    text = make_recipe().to_json().replace('"guidance_scale": 4.0', '"guidance_scale": NaN')
    with pytest.raises(RecipeError, match="not a number"):
        Recipe.from_json(text)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
@pytest.mark.parametrize("with_cover", [False, True])
def test_tags_carry_the_recipe_and_leave_the_audio(tmp_path, suffix, with_cover):
    path = tmp_path / f"take{suffix}"
    write_tone(path)
    before, _ = soundfile.read(path)
    cover = Image.new("RGB", (900, 600), (200, 30, 30)) if with_cover else None
    recipe = make_recipe()
    recipes.embed_in_file(path, recipe, cover)
    assert recipes.read_from_file(path) == recipe
    after, rate = soundfile.read(path)
    assert rate == 32000
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_tags_are_replaced_not_added(tmp_path, suffix):
    path = tmp_path / f"take{suffix}"
    write_tone(path)
    cover = Image.new("RGB", (64, 64))
    recipes.embed_in_file(path, make_recipe(), cover)
    size = path.stat().st_size
    recipes.embed_in_file(path, make_recipe(seed=8), cover)
    assert recipes.read_from_file(path).seed == 8
    assert path.stat().st_size <= size + 64


def test_sidecar_round_trip(tmp_path):
    recipe = make_recipe()
    path = recipes.write_sidecar(tmp_path / "take.wav", recipe)
    assert path == tmp_path / "take.json"
    assert recipes.read_from_file(path) == recipe
    assert [item.name for item in tmp_path.iterdir()] == ["take.json"]


def test_files_without_a_recipe_say_so(tmp_path):
    plain = tmp_path / "plain.wav"
    write_tone(plain)
    with pytest.raises(RecipeError, match="carries no recipe"):
        recipes.read_from_file(plain)
    fake = tmp_path / "fake.flac"
    fake.write_bytes(b"not audio")
    with pytest.raises(RecipeError, match="not a readable FLAC"):
        recipes.read_from_file(fake)
    with pytest.raises(RecipeError, match="not in 'x.txt'"):
        recipes.read_from_file(tmp_path / "x.txt")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not a text file"):
        recipes.read_from_file(binary)
    for name in ("missing.wav", "missing.json"):
        with pytest.raises(FileNotFoundError):
            recipes.read_from_file(tmp_path / name)


def test_image_hash_is_of_the_pixels(tmp_path):
    image = Image.effect_noise((40, 30), 50).convert("RGB")
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.bmp")
    digests = {recipes.image_sha256(Image.open(tmp_path / name)) for name in ("a.png", "b.bmp")}
    assert digests == {recipes.image_sha256(image)}
    assert recipes.image_sha256(image.rotate(90, expand=True)) not in digests


def test_checkpoint_hash_follows_weights_and_config(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "model_index.json").write_text("{}")
    first = recipes.checkpoint_sha256(tmp_path)
    (tmp_path / "README.md").write_text("card")
    assert recipes.checkpoint_sha256(tmp_path) == first
    (tmp_path / "unet" / "model.safetensors").write_bytes(b"Weights")
    assert recipes.checkpoint_sha256(tmp_path) != first
    with pytest.raises(FileNotFoundError, match="no model"):
        recipes.checkpoint_sha256(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Slow piano, in the Rain!", "slow-piano-in-the-rain"),
        ("Été à Genève", "ete-a-geneve"),
        ("../../etc/passwd; $(rm)", "etc-passwd-rm"),
        ("雨", "untitled"),
        ("", "untitled"),
        ("a" * 100, "a" * 48),
        ("word " * 30, "word-word-word-word-word-word-word-word-word"),
    ],
)
def test_slug(text, expected):
    assert recipes.slug(text) == expected


def test_file_stem_names_caption_or_picture():
    assert recipes.file_stem(make_recipe(prompt="Slow piano")) == "slow-piano-seed7"
    assert recipes.file_stem(make_recipe(prompt="")) == "rain-seed7"


def test_recipe_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_recipe().seed = 3
