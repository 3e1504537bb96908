"""What happens around the picture: what is seen in it, and the example pictures with their finished takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo import words
from demo.controls import QUIET
from demo.examples import Example
from demo.fragments import message_html
from demo.listening import FinishedExamples, kept_value
from demo.picture_words import PictureFacts, facts_html, offer, picture_facts, suggestion
from demo.service import StudioService
from demo.stage import Stage
from melfusion_core.image import ImageError

LIGHT = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}
# Whether the shelf has opened what was on the stage last; asked once it stands.
BEGIN_JS = """async () => {
  for (let waited = 0; waited < 60; waited++) {
    const shelf = document.querySelector('#history .shelf')?.parentElement.shelf;
    if (shelf) return [await shelf.begin() ? 'kept' : ''];
    await new Promise((done) => setTimeout(done, 50));
  }
  return [''];
}"""


class PictureDesk:
    """Says what is seen in a picture, and offers words for it.

    Args:
        service: Reads pictures, and knows the model's scenes.
        image: Where the picture is chosen.
    """

    def __init__(self, service: StudioService, image: gr.Image) -> None:
        self._service, self._image = service, image
        self._facts = gr.HTML(visible=False, elem_id="facts")
        self._suggest = gr.Button(size="sm", visible=False, elem_id="suggest")

    def wire(self, caption: gr.Textbox) -> None:
        """Connect it.

        Args:
            caption: Where the words are written.
        """
        self._image.change(self.look, self._image, [self._facts, self._suggest], **QUIET)
        self._suggest.click(self.suggest, [self._image, caption], caption, **QUIET)

    def look(self, path: str | None) -> tuple[Any, Any]:
        """Show the facts of a picture.

        Args:
            path: Its file, or ``None``.

        Returns:
            Updates of the facts and of the offered words.
        """
        try:
            found = self._facts_of(path) if path else None
        except ImageError:
            found = None  # Compose says what is wrong with it
        if found is None:
            return gr.update(visible=False, value=""), gr.update(visible=False)
        return gr.update(visible=True, value=facts_html(found)), gr.update(visible=True, value=offer(found))

    def suggest(self, path: str | None, written: str) -> str:
        """Put words for a picture into the caption.

        Args:
            path: The picture's file, or ``None``.
            written: What is written so far.

        Returns:
            The caption.
        """
        try:
            return suggestion(self._facts_of(path), written or "") if path else written
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def _facts_of(self, path: str) -> PictureFacts:
        picture = self._service.pictures(path)
        return picture_facts(picture, self._service.engine.scene(picture))


class ExampleDesk:
    """Gives example pictures with their words and finished takes; words that somebody typed stay.

    Args:
        examples: The examples.
        finished: Their finished takes.
        stage: Where those are shown.
        image: Where the picture goes.
        caption: Where the words go.
        other_words: Offers words instead of those that are written.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        finished: FinishedExamples,
        stage: Stage,
        image: gr.Image,
        caption: gr.Textbox,
        other_words: gr.Button,
    ) -> None:
        self._examples, self._finished, self._stage = examples, finished, stage
        self._image, self._caption, self._other_words = image, caption, other_words

    def wire(self, page: gr.Blocks, gallery: gr.Gallery | None, listing: gr.HTML) -> None:
        """Connect them.

        Args:
            page: The page; where the browser has kept nothing, it begins with the first finished example.
            gallery: The pictures; ``None`` where there are none.
            listing: The shelf of what the browser has kept.
        """
        image, caption, button = self._image, self._caption, self._other_words
        offered = self._offered = gr.State("")
        outputs = [image, caption, button, offered, self._stage.status, *self._stage.outputs]
        page.load(self.begin, listing, outputs, js=BEGIN_JS, **LIGHT)
        if gallery is not None:
            gallery.select(self.tap, caption, outputs, **LIGHT)
        button.click(lambda written, other: (other, written), [caption, offered], [caption, offered], **QUIET)
        button.click(lambda: gr.update(value=words.WORDS_BACK), None, button, **QUIET)
        image.input(self.own_words, [image, caption], caption, **QUIET)

    def begin(self, kept: str | None) -> dict[Any, Any]:
        """Begin with the first finished example, where the browser has kept nothing.

        Args:
            kept: Something where it has.

        Returns:
            Value by component.
        """
        first = next((index for index, example in enumerate(self._examples) if example.takes), None)
        return {self._stage.status: gr.skip()} if kept or first is None else self._shown(first, "")

    def tap(self, written: str | None, event: gr.SelectData) -> dict[Any, Any]:
        """Take an example that was tapped.

        Args:
            written: Words that are written.
            event: Of the gallery.

        Returns:
            Value by component.
        """
        return self._shown(self._examples.index(example_at(event, self._examples)), written or "", keep=True)

    def own_words(self, path: str | None, written: str | None) -> Any:
        """Take an example's words away when somebody brings a picture of their own.

        Args:
            path: The picture's file, or ``None``.
            written: Words that are written.

        Returns:
            The words, or nothing to change.
        """
        return "" if path and self.is_an_examples(written) else gr.skip()

    def is_an_examples(self, written: str | None) -> bool:
        """Whether words came from an example and nobody has changed them.

        Args:
            written: Words that are written.

        Returns:
            Whether so.
        """
        return bool(written) and written in {example.caption for example in self._examples}

    def _shown(self, index: int, written: str, keep: bool = False) -> dict[Any, Any]:
        chosen, result = self._examples[index], self._finished.result(index)
        typed = bool(written.strip()) and not self.is_an_examples(written)
        shown: dict[Any, Any] = {self._image: chosen.image_path, self._other_words: gr.update(visible=False)}
        if not typed:
            shown[self._caption] = chosen.caption
        elif chosen.caption and chosen.caption != written:
            label = words.WORDS_OF_EXAMPLE.format(words=chosen.caption)
            shown |= {self._other_words: gr.update(visible=True, value=label), self._offered: chosen.caption}
        if result is not None:
            name = f"example-{index}"
            room = self._finished.room(index)
            room = room | {"keep": kept_value(name, result)} if keep else room
            title = words.EXAMPLE_TITLE.format(title=chosen.title)
            shown |= self._stage.show_room(name, result, room)
            shown[self._stage.status] = message_html(title, words.EXAMPLE_NOTE, "done")
        return shown


def example_at(event: gr.SelectData, examples: Sequence[Example]) -> Example:
    """Find the example that was tapped.

    Args:
        event: Of the gallery.
        examples: The examples.

    Returns:
        The example.

    Raises:
        gradio.Error: When there is no such one.
    """
    if type(event.index) is not int or not 0 <= event.index < len(examples):
        raise gr.Error(words.NO_SUCH_EXAMPLE, print_exception=False)
    return examples[event.index]
