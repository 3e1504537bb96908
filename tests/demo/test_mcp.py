"""The studio as an MCP server: started as `app.py --mcp` starts it, asked by the protocol's own client."""

from __future__ import annotations

import ast
import asyncio
import base64
import importlib.util
import re
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool

import app
from demo.takes import MAX_SEED, Limits
from demo.ui import launch
from melfusion_core.recipe import read_from_file
from melfusion_core.take import SAMPLERS
from tests.demo.fakes import FakeEngine

QUICK = {"steps": 3, "duration_s": 2.56}


@pytest.fixture(scope="module")
def fake() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def address(fake: FakeEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the server that `app.py --mcp` opens on a free port; the fake engine stands in for the model."""
    started = []

    def start(demo: Any, **options: Any) -> None:
        _, url, _ = launch(demo, **options, prevent_thread_lock=True, quiet=True)
        started.append((demo, url))

    votes = tmp_path_factory.mktemp("votes") / "votes.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.PipelineEngine, "from_folder", lambda folder: fake)
        patch.setattr(app, "launch", start)
        assert app.main(["--mcp", "--host", "127.0.0.1", "--votes", str(votes)]) == 0
    [(demo, url)] = started
    yield f"{url}gradio_api/mcp/"
    demo.close(verbose=False)


def ask(address: str, question: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Open a session, put a question, and close it."""

    async def session() -> Any:
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as client:
            await client.initialize()
            return await question(client)

    return asyncio.run(session())


def call(address: str, tool: str, progress: Callable | None = None, **arguments: Any) -> CallToolResult:
    return ask(address, lambda client: client.call_tool(tool, arguments, progress_callback=progress))


def refusal(address: str, **arguments: Any) -> str:
    """What `generate` says where it refuses."""
    answer = call(address, "generate", **arguments)
    assert answer.isError and len(answer.content) == 1
    return answer.content[0].text


def fetch(url: str, address: str, folder: Path) -> Path:
    """Download a file of a result from the studio, and from nowhere else."""
    assert url.startswith(address.removesuffix("mcp/") + "file=")
    path = folder / url.rpartition("/")[2]
    with urllib.request.urlopen(url) as reply:
        path.write_bytes(reply.read())
    return path


@pytest.fixture(scope="module")
def tools(address: str) -> dict[str, Tool]:
    return {tool.name: tool for tool in ask(address, lambda client: client.list_tools()).tools}


@pytest.fixture(scope="module")
def data_url(pictures: list[Path]) -> str:
    """The sunset as agents give a picture that lies nowhere on the web."""
    return "data:image/png;base64," + base64.b64encode(pictures[0].read_bytes()).decode()


def test_only_the_two_functions_for_programs_are_tools(address, tools):
    assert sorted(tools) == ["capabilities", "generate"]
    assert tools["generate"].description.startswith("Make music from a picture, a caption, or both.")
    assert "the recipe, which is every setting with the seed; and notes." in tools["generate"].description
    assert "which model answers" in tools["capabilities"].description
    assert not tools["capabilities"].inputSchema["properties"]
    for handler in ("check", "compose", "look", "show_example"):
        answer = call(address, handler)
        assert answer.isError and "Unknown tool" in answer.content[0].text


def test_arguments_have_types_defaults_and_whole_descriptions(tools):
    schema = tools["generate"].inputSchema
    words = {"image", "caption", "sampler", "negative"}
    kinds = {name: argument["type"] for name, argument in schema["properties"].items()}
    assert {name for name, kind in kinds.items() if kind == "string"} == words
    assert {name for name, kind in kinds.items() if kind in ("number", "integer")} == kinds.keys() - words
    assert kinds["seed"] == "integer" and len(kinds) == 15
    assert schema["properties"]["sampler"]["enum"] == list(SAMPLERS)
    assert "required" not in schema
    for name, argument in schema["properties"].items():
        assert re.fullmatch(r"\S.{8,}\.", argument["description"]), f"{name} is cut short: {argument['description']}"
        assert "default" in argument or name in ("image", "caption", "negative")


def test_descriptions_tell_the_limits_that_hold(tools):
    limits = Limits()
    told = {name: argument["description"] for name, argument in tools["generate"].inputSchema["properties"].items()}
    assert f"at most {limits.max_caption_characters} characters" in told["caption"]
    assert f"at most {limits.max_caption_characters} characters" in told["negative"]
    assert "from 0 " in told["synapse_percent"]
    assert f" to {100 * limits.max_synapse_strength:g};" in told["synapse_percent"]
    assert f"from 1 to {limits.max_steps}." in told["steps"]
    assert f"From 0 to {MAX_SEED}, or -1" in told["seed"]
    assert f"from {limits.min_duration_s:g} to {limits.max_duration_s:g}." in told["duration_s"]
    for name in ("guidance", "image_guidance"):
        assert f"from 0 to {limits.max_guidance_scale:g}." in told[name]


def test_capabilities_answer(address):
    told = ast.literal_eval(call(address, "capabilities").content[0].text)
    assert told["model_name"] == "fake" and told["max_steps"] == Limits().max_steps


def test_generate_gives_music_spectrograms_and_recipe(address, fake, data_url, tmp_path):
    heard = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    wishes = {"image": data_url, "caption": "Slow piano", "seed": 11, "synapse_percent": 150, **QUICK}
    answer = call(address, "generate", progress, **wishes)
    assert not answer.isError and heard
    settings = fake.settings[-1]
    assert settings.image.size == (64, 48) and settings.synapse_strength == 1.5
    audio, twin, picture, picture_url, recipe, notes = answer.content
    recipe = ast.literal_eval(recipe.text)
    assert recipe["seed"] == 11 and recipe["prompt"] == "Slow piano" and recipe["num_inference_steps"] == 3
    assert picture.mimeType == "image/png" and base64.b64decode(picture.data)[:4] == b"\x89PNG"
    assert picture_url.text.startswith("Image URL: http://127.0.0.1")
    assert any("same loudness" in note for note in ast.literal_eval(notes.text))
    music = fetch(audio.text, address, tmp_path)
    assert music.name == "slow-piano-seed11-with-image.wav"
    assert read_from_file(music).to_dict() == recipe
    alone = read_from_file(fetch(twin.text, address, tmp_path))
    assert alone.render == "compare:text_only" and alone.seed == 11


def test_a_client_that_wants_no_progress_gets_the_same_in_one_text(address, tmp_path):
    answer = call(address, "generate", caption="Slow piano", seed=12, **QUICK)
    assert not answer.isError
    # Gradio writes all of several results into one text for such clients.
    audio, twin, figure, recipe, _ = ast.literal_eval(answer.content[0].text)
    assert recipe["seed"] == 12 and twin is None and figure["orig_name"].endswith(".png")
    assert read_from_file(fetch(audio["url"], address, tmp_path)).to_dict() == recipe


REFUSALS = [
    ({"steps": 500}, "Steps must be from 1 to 100; it is 500."),
    ({"duration_s": 0.5}, "Length (seconds) must be from 2.56 to 20.48; it is 0.5."),
    ({"guidance": -1}, "Text guidance must be from 0 to 12; it is -1."),
    ({"synapse_percent": 300}, "How much the picture is heard (%) must be from 0 to 200; it is 300."),
    ({"region_percent": 1e300}, "Size of the part (%) must be from 10 to 100; it is far beyond that."),
    ({"seed": MAX_SEED + 1}, "The seed must be from 0 to 4294967295; it is 4294967296."),
    ({"seed": "eleven"}, "'eleven' is not of type 'integer'"),
    ({"sampler": "euler"}, "'euler' is not one of ['dpm++', 'ddim']"),
    ({"caption": ""}, "Give a picture, a few words, or both"),
    ({"loudness": 3}, "`loudness` is not a valid"),
]


@pytest.mark.parametrize(("wishes", "said"), REFUSALS, ids=["-".join(wishes) for wishes, _ in REFUSALS])
def test_what_is_wrong_is_said_in_plain_words(address, fake, wishes, said):
    made = len(fake.settings)
    assert said in refusal(address, **{"caption": "Harp"} | wishes)
    assert len(fake.settings) == made


def test_files_of_the_studio_s_own_machine_are_out_of_reach(address, fake, pictures, tmp_path):
    made = len(fake.settings)
    for path in (str(pictures[0]), f"file://{pictures[0]}", "/etc/passwd"):
        assert "provide a url" in refusal(address, image=path)
    refusal(address, image={"path": str(pictures[0])})
    refusal(address, image={"path": str(pictures[0]), "meta": {"_type": "gradio.FileData"}})
    assert "not a picture" in refusal(address, image="data:image/png;base64,AAAA")
    assert len(fake.settings) == made
    [answer] = call(address, "generate", caption="Harp", **QUICK).content
    url = ast.literal_eval(answer.text)[2]["url"]
    assert fetch(url, address, tmp_path).read_bytes()[:4] == b"\x89PNG"
    refusal(address, image=url)  # a picture, but at a private address
    assert len(fake.settings) == made + 1


def test_app_says_when_the_package_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    assert app.main(["--mcp"]) == 1
    assert "pip install 'gradio[mcp]'" in capsys.readouterr().err
