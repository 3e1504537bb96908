"""The page in six languages."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from demo import words
from demo.languages import FOLDER, languages
from tests.demo.browser import compose, write

LANGUAGES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}


def english() -> set[str]:
    """Every text of the studio's words."""
    tree = ast.parse(Path(words.__file__).read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_language_says_the_same_and_nothing_that_is_not_said():
    assert sorted(LANGUAGES) == ["de", "es", "fr", "ja", "zh"]
    said = english()
    for language, texts in LANGUAGES.items():
        assert texts.keys() == LANGUAGES["de"].keys(), language
        for key, text in texts.items():
            assert key in said, f"{key} is not said any more"
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", key)), f"{language}: {text}"
            assert text.strip() and "<" not in text
    assert {"zh-CN", "ja", "fr"} <= languages().translations_dict.keys()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "label", "button", "done"),
    [("ja-JP", "ことば", "作曲する", "同じ音量")],
)
def test_the_page_speaks_the_visitors_language(studio, visit, pictures, language, label, button, done):
    with visit(studio, language=language) as page:
        expect(page.locator("#caption span").first).to_have_text(label)
        expect(page.locator("#compose")).to_have_text(button)
        page.locator("#examples .thumbnail-item").first.click()
        write(page, "Harp")
        compose(page)
        expect(page.locator("#status")).to_contain_text(done)
        expect(page.locator(".pl-take").nth(1)).to_contain_text(LANGUAGES[language[:2]]["Words alone"])
