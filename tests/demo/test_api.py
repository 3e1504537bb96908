"""The endpoint for programs, and what the page's program must not do."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
from demo import words
from demo.service import StudioService
from demo.ui import build_demo
from tests.demo.conftest import serving


@pytest.fixture(scope="module")
def client(studio: str, tmp_path_factory: pytest.TempPathFactory):
    client = Client(studio, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def test_only_generate_is_offered(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/capabilities", "/generate"]
    names = [parameter["parameter_name"] for parameter in endpoints["/generate"]["parameters"]]
    assert names[:4] == ["image", "caption", "synapse_percent", "steps"] and len(names) == 15


def test_generate_gives_files_and_the_recipe(client, pictures):
    audio, twin, figure, recipe, notes = client.predict(
        image=handle_file(str(pictures[0])),
        caption="Slow piano",
        steps=3,
        seed=11,
        duration_s=2.56,
        guidance_percent=60,
        rescale_percent=70,
        api_name="/generate",
    )
    assert Path(audio).name == "slow-piano-seed11-with-image.wav"
    assert Path(twin).name == "slow-piano-seed11-text-only.wav"
    assert Path(figure).suffix == ".png"
    assert recipe["seed"] == 11 and recipe["num_inference_steps"] == 3 and recipe["guidance_stop"] == 0.6 and notes
    assert recipe["guidance_rescale"] == 0.7


def test_capabilities_tell_the_limits(client):
    told = client.predict(api_name="/capabilities")
    assert told["model_name"] == "fake" and told["max_steps"] == 100 and told["sample_rate_hz"] == 32000


def test_generate_refuses_in_plain_words(client):
    with pytest.raises(AppError, match="Give a picture, a few words, or both"):
        client.predict(image=None, caption="", api_name="/generate")


def test_two_pages_can_be_built_and_none_warns(engine):
    for _ in range(2):
        demo = build_demo(StudioService(engine))
        events = [event for event in demo.config["dependencies"] if event["api_visibility"] == "public"]
        assert [event["api_name"] for event in events] == ["generate", "capabilities"]
    with serving(demo) as url:
        assert url.startswith("http://127.0.0.1")


def test_app_says_when_there_is_no_model(tmp_path, capsys):
    assert app.main(["--model", str(tmp_path / "none")]) == 1
    assert "could not be loaded" in capsys.readouterr().err


def test_what_is_no_number_and_what_cannot_be_fetched_are_refused_in_words(client):
    for name, value, said in (
        ("seed", "seven", "The seed must be a whole number, not str"),
        ("seed", [1], "The seed must be a whole number, not list"),
        ("steps", "many", "Steps must be a number, not str"),
        ("sampler", "best", words.VALUE_UNREADABLE),
        ("image", handle_file("https://nowhere.invalid/photo.jpg"), "The picture could not be fetched"),
        ("image", "https://nowhere.invalid/photo.jpg", words.VALUE_UNREADABLE),
    ):
        with pytest.raises(AppError) as refused:
            client.predict(**{"caption": "Harp", "steps": 1, name: value}, api_name="/generate")
        assert said in str(refused.value), name
