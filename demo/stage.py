"""The stage: where one result is shown, played and kept. Whatever changes there changes together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo.keep import take_choices
from demo.listening import room_value
from demo.take_store import TakeStore
from demo.takes import Result
from demo.votes import VoteBook


@dataclass(frozen=True)
class Stage:
    """The components that show a result, and where results come from.

    Attributes:
        status: Says what happens.
        preview: Shows a take while it forms.
        player: Plays and shows the takes.
        box: Holds the downloads; hidden until there is a take.
        take: Which take is downloaded.
        recipe: Recipe of the first take.
        current: Name of the result on the stage, in the store; `None` for none.
        store: Where results lie.
        votes: Where blind votes go.
    """

    status: gr.HTML
    preview: gr.HTML
    player: gr.HTML
    box: gr.Column
    take: gr.Radio
    recipe: gr.JSON
    current: gr.State
    store: TakeStore
    votes: VoteBook

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`show` and :meth:`clear` set."""
        return [self.player, self.box, self.take, self.recipe, self.current]

    def show(self, name: str, result: Result, folder: Path, known: bool = False, kept: bool = False) -> dict[Any, Any]:
        """Put a result on the stage, in place of what was there.

        Args:
            name: Of the result, known to its visitor alone.
            result: To show.
            folder: Folder for its sound files, which may be gone once the page has the values.
            known: Whether the visitor has seen before which take is which.
            kept: Whether the visitor's browser keeps it already.

        Returns:
            Value by component.
        """
        room = room_value(result, self.votes, folder, known, None if kept else name)
        return self.show_room(name, result, room)

    def show_room(self, name: str, result: Result, room: dict[str, Any]) -> dict[Any, Any]:
        """Put a result on the stage whose player is furnished already.

        Args:
            name: Of the result.
            result: To show.
            room: As :func:`demo.listening.room_value` gives it.

        Returns:
            Value by component.
        """
        self.store.keep(name, result)
        return {
            self.player: room,
            self.box: gr.update(visible=True),
            self.take: gr.update(choices=take_choices(result), value=0),
            self.recipe: result.main.recipe.to_dict(),
            self.current: name,
        }

    def clear(self) -> dict[Any, Any]:
        """Leave the stage empty.

        Returns:
            Value by component.
        """
        return {self.player: None, self.box: gr.update(visible=False), self.recipe: None, self.current: None}
