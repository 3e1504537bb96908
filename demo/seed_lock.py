"""The seed beside Compose: whether the next take begins from new noise or from a kept seed, always in sight."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from demo import words
from demo.api import NEW_SEED
from demo.controls import QUIET
from demo.take_store import TakeStore
from demo.takes import MAX_SEED


def wire_seed_lock(lock: gr.Button, seed: gr.Number, current: gr.State, store: TakeStore) -> None:
    """Connect the button that shows and changes it.

    Args:
        lock: The button.
        seed: The field for the seed.
        current: Name of the result on the stage, whose seed is kept.
        store: Where results lie.
    """

    def toggled(value: float | None, name: str | None) -> int:
        if _is_kept(value):
            return NEW_SEED
        result = store.find(name)
        return secrets.randbelow(MAX_SEED + 1) if result is None else result.seed

    lock.click(toggled, [seed, current], seed, **QUIET)
    seed.change(_shown, seed, lock, **QUIET)


def _is_kept(value: Any) -> bool:
    return value is not None and value != NEW_SEED


def _shown(value: float | None) -> str:
    if not _is_kept(value):
        return words.SEED_NEW
    return words.SEED_KEPT.format(seed=f"{value:.0f}" if isinstance(value, int | float) else value)
