"""Takes remembered in the visitor's own browser: recipes and small pictures, never sound."""

from __future__ import annotations

import base64
import html
import io
import secrets
from typing import Any

from PIL import Image

from demo import words
from demo.takes import MODES, Result
from melfusion_core.image import ImageError, load_image_apart
from melfusion_core.recipe import Recipe, RecipeError

STORAGE_KEY = "melfusion-studio-v1"
MOST_ENTRIES = 20
PICTURE_SIDE = 256
MAX_PICTURE_CHARACTERS = 300_000
_PREFIX = "data:image/jpeg;base64,"


def new_entry(result: Result) -> dict[str, Any]:
    """Make an entry of a result.

    Args:
        result: From the service.

    Returns:
        What the browser keeps; JSON can hold it.
    """
    picture = None
    if result.main.cover is not None:
        small = result.main.cover.copy()
        small.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        picture = _PREFIX + base64.b64encode(buffer.getvalue()).decode()
    return {
        "id": secrets.token_hex(8),
        "mode": result.mode,
        "takes": len(result.takes),
        "picture": picture,
        "recipe": result.main.recipe.to_dict(),
    }


def add_entry(entries: Any, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Put an entry before the others.

    Args:
        entries: What the browser held; anything that is no entry is left out.
        entry: The new one.

    Returns:
        The entries, newest first, as many as are kept.
    """
    return [entry, *read_entries(entries)][:MOST_ENTRIES]


def read_entries(stored: Any) -> list[dict[str, Any]]:
    """Read what the browser held, which may come from an older studio or have been changed.

    Args:
        stored: As the browser gave it.

    Returns:
        The valid entries.
    """
    return [entry for entry in stored[:MOST_ENTRIES] if _is_valid(entry)] if isinstance(stored, list) else []


def entry_picture(entry: dict[str, Any]) -> Image.Image | None:
    """Open the small picture of an entry.

    Args:
        entry: A valid entry.

    Returns:
        RGB picture; ``None`` where there is none, or none that can be read.
    """
    if entry["picture"] is None:
        return None
    try:
        return load_image_apart(base64.b64decode(entry["picture"].removeprefix(_PREFIX)), PICTURE_SIDE)
    except ImageError:
        return None


def history_html(entries: list[dict[str, Any]]) -> str:
    """List the entries, each with what brings it back.

    Args:
        entries: Valid ones, newest first.

    Returns:
        HTML.
    """
    if not entries:
        return f'<p class="history-empty">{words.HISTORY_EMPTY}</p>'
    rows = []
    for entry in entries:
        recipe = entry["recipe"]
        title = html.escape(recipe["prompt"] or words.TITLE_PICTURE_ALONE, quote=True)
        detail = html.escape(words.HISTORY_DETAIL[entry["mode"]].format(seed=recipe["seed"], takes=entry["takes"]))
        picture = f'<img src="{html.escape(entry["picture"], quote=True)}" alt="">' if entry["picture"] else "<i></i>"
        identity = html.escape(entry["id"], quote=True)
        rows.append(
            f'<li><button type="button" class="history-restore" data-entry="{identity}">{picture}'
            f"<span><b>{title}</b><small>{detail}</small></span></button>"
            f'<button type="button" class="history-remove" data-entry="{identity}" '
            f'aria-label="{words.HISTORY_REMOVE.format(title=title)}">×</button></li>'
        )
    return f'<ul class="history">{"".join(rows)}</ul>'


def _is_valid(entry: Any) -> bool:
    try:
        Recipe.from_dict(entry["recipe"])
        picture = entry["picture"]
        if picture is not None:
            if len(picture) > MAX_PICTURE_CHARACTERS:
                return False
            base64.b64decode(picture.removeprefix(_PREFIX), validate=True)
        whole = isinstance(entry["id"], str) and entry["mode"] in MODES and isinstance(entry["takes"], int)
        return whole and (picture is None or picture.startswith(_PREFIX))
    except (RecipeError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return False
