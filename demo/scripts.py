"""The page's own scripts, each put together from files beside this one."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """Put a script together; its parts share their names, as if they stood in one file.

    Args:
        names: Files without suffix, in order.

    Returns:
        JavaScript for ``js_on_load`` of a ``gr.HTML``.
    """
    return "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in ("dom", *names))
