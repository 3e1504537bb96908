"""The page in the visitor's language: the English texts of :mod:`demo.words` are the keys of what stands for them."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).parent / "translations"
ALSO = {"zh": ("zh-CN", "zh-TW")}
"""Further names under which Gradio looks for a language."""


def languages() -> gr.I18n:
    """Read the translations.

    Returns:
        For ``gr.Blocks.launch``; the page's own scripts read them too.
    """
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
    more = {name: found[language] for language, names in ALSO.items() for name in names}
    return gr.I18n(**found, **more)
