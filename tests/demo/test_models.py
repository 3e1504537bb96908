"""More than one model: loaded when asked for, one at a time, refused in plain words."""

from __future__ import annotations

import pytest

from demo.models import ModelShelf
from demo.service import StudioService
from demo.takes import StudioError
from demo.ui import build_demo
from tests.demo.fakes import FakeEngine


def load(name: str) -> FakeEngine:
    if name == "gone/away":
        raise OSError("the Hub does not answer")
    engine = FakeEngine()
    engine.model_name = name
    return engine


def test_models_are_loaded_once_and_when_asked_for():
    loaded = []
    shelf = ModelShelf(FakeEngine(), lambda name: (loaded.append(name), load(name))[1], ["second"])
    assert shelf.service(None) is shelf.service("fake") is shelf.first and not loaded
    assert not shelf.is_loaded("second")
    assert shelf.service("second").engine.model_name == "second"
    assert shelf.service("second") is shelf.service("second") and shelf.is_loaded("second")
    assert loaded == ["second"] and shelf.service("second").limits is shelf.limits


def test_models_that_are_not_offered_or_not_there_are_refused():
    shelf = ModelShelf(FakeEngine(), load, ["second"])
    with pytest.raises(StudioError, match="not offered"):
        shelf.service("gone/away")
    shelf = ModelShelf(FakeEngine(), load, any_name=True)
    with pytest.raises(StudioError, match="gone/away could not be loaded: the Hub does not answer"):
        shelf.service("gone/away")
    assert shelf.service("anything").engine.model_name == "anything"
    with pytest.raises(StudioError, match="not offered"):
        shelf.service("x" * 201)


@pytest.mark.parametrize("any_name", [False, True])
def test_the_page_offers_a_choice_only_where_there_is_one(any_name):
    shelf = ModelShelf(FakeEngine(), load, any_name=any_name)
    demo = build_demo(StudioService(FakeEngine()), shelf=shelf)
    ids = [component["props"].get("elem_id") for component in demo.config["components"]]
    assert ("model" in ids) == any_name
