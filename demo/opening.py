"""What comes onto the page: pictures, finished takes and recipes, from files or from what the browser kept."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gradio as gr

from demo import words
from demo.controls import Controls, recipe_values
from demo.examples import Example
from demo.field_errors import CLEAR_FIELDS_JS, MARK_FIELD_JS
from demo.fragments import error_html, message_html
from demo.limits import MAX_UPLOAD_MB
from demo.scripts import script
from demo.service import StudioService, crop_region
from demo.stage import Stage
from demo.take_files import RESTORABLE, SOUND_FILES, open_take, read_take
from demo.takes import COMPARE, LETTERS, MODES, WHOLE_PICTURE, Result, StudioError, new_name
from demo.uploads import is_upload
from melfusion_core.image import ImageError, load_image, short_name
from melfusion_core.recipe import Recipe, image_sha256

MOST_KEPT_BYTES = 300_000_000
MOST_KEPT_TAKES = 200
LARGE_PICTURE_BYTES = 10_000_000
_NAME = re.compile("[0-9a-f]{32}")
_SHOWN_BY_BROWSERS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM")
MARK_ANEW_JS = f"() => {{ ({CLEAR_FIELDS_JS})(); ({MARK_FIELD_JS})(); }}"
NOTES_FILES = (".mid", ".midi")


class Opener:
    """Brings files and kept takes onto the page; what cannot be used changes nothing.

    Args:
        service: For limits, pictures and the model's name.
        stage: Where takes are shown.
        examples: The example pictures, which come back exactly.
    """

    def __init__(self, service: StudioService, stage: Stage, examples: Sequence[Example]) -> None:
        self.service, self.stage = service, stage
        self._examples = examples
        self.shelf, self._door = self._build()

    def _build(self) -> tuple[gr.HTML, gr.HTML]:
        def missing(name: str) -> dict[str, bool]:
            return self.missing(name)

        plain = {"html_template": "", "apply_default_css": False}
        shelf = gr.HTML(
            "",
            js_on_load=script("shelf"),
            words=words.SHELF,
            accept=",".join(RESTORABLE),
            most_bytes=MOST_KEPT_BYTES,
            most_takes=MOST_KEPT_TAKES,
            server_functions=[missing],
            elem_id="history",
            **plain,
        )
        most = MAX_UPLOAD_MB * 1_000_000
        arrivals = script("arrivals")
        door = gr.HTML("", js_on_load=arrivals, words=words.ARRIVALS, most_bytes=most, elem_id="arrivals", **plain)
        return shelf, door

    def wire(self, controls: Controls) -> None:
        """Connect the shelf of kept takes and the door for files.

        Args:
            controls: What is set as a take or a recipe has it.
        """
        self.controls = controls
        queued = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}
        outputs = [*controls.all, self.stage.status, *self.stage.outputs]
        self.shelf.reopen(self.reopen, None, outputs, **queued)
        arrived = self._door.arrive(self.arrive, controls.caption, outputs, **queued)
        arrived.then(None, js=MARK_ANEW_JS, api_visibility="private")

    def missing(self, name: str) -> dict[str, bool]:
        """Say what the server lacks of a result that a browser has kept.

        Args:
            name: Of the result.

        Returns:
            Whether ``takes`` and ``picture`` have to be sent.
        """
        result = self.stage.store.find(name if isinstance(name, str) else None)
        path = None if result is None else result.picture_path
        return {"takes": result is None, "picture": path is None or not Path(path).is_file()}

    def arrive(self, written: str | None, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        """Take a file in.

        Args:
            written: Words that are written.
            event: With ``name``, and ``path`` of the upload or the ``trouble`` that there was.

        Yields:
            Value by component.
        """
        told = _told(event)
        name, path = short_name(str(told.get("name", ""))), told.get("path")
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            try:
                if told.get("trouble") == "large":
                    raise StudioError(words.FILE_TOO_LARGE.format(name=name, most=MAX_UPLOAD_MB), "picture")
                if not is_upload(path):
                    raise StudioError(words.NOT_UPLOADED)
                yield self._opened(Path(path), Path(folder), written)
            except StudioError as error:
                yield {self.stage.status: error_html(error, words.NOT_TAKEN)}

    def reopen(self, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        """Put a kept result on the stage again and set the controls as it had them.

        Args:
            event: With ``id`` and ``mode`` of the result, and where the server lacked them ``files`` of its takes and
                the ``picture``; ``region`` is what was heard of that.

        Yields:
            Value by component.
        """
        told = _told(event)
        name = told.get("id")
        name = name if isinstance(name, str) else ""
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            try:
                result = self.stage.store.find(name)
                picture = told.get("picture") if is_upload(told.get("picture")) else None
                result = result or self._kept(told, picture)
                picture = picture or result.picture_path
                # Only names that nobody can guess are taken from the page; the examples have others.
                name = name if _NAME.fullmatch(name) else new_name()
                yield self._on_stage(name, result, picture, Path(folder), kept=True)
            except StudioError as error:
                yield {self.stage.status: error_html(error, words.NOT_TAKEN)}

    def _opened(self, path: Path, folder: Path, written: str | None) -> dict[Any, Any]:
        suffix = path.suffix.lower()
        if suffix in SOUND_FILES:
            take = open_take(path, COMPARE)
            result = Result((take,), COMPARE, take.recipe.seed, (), picture_path=self._example(take.recipe))
            return self._on_stage(new_name(), result, result.picture_path, folder)
        if suffix in RESTORABLE:
            return self._recipe_alone(read_take(path)[0])
        if suffix in NOTES_FILES:
            raise StudioError(words.NO_NOTES_YET.format(name=short_name(path)))
        # The words of an example belong to its picture.
        others = {self.controls.caption: ""} if written in {example.caption for example in self._examples} else {}
        return {self.controls.image: self._shown(path, folder)} | others

    def _on_stage(
        self, name: str, result: Result, picture: str | None, folder: Path, kept: bool = False
    ) -> dict[Any, Any]:
        recipe, said = result.main.recipe, words.RESTORED
        picture = picture if picture is not None and Path(picture).is_file() else None
        if recipe.image_sha256 is not None:
            exact = picture is not None and self._sha256(picture, result.region) == recipe.image_sha256
            if picture is None and result.main.cover is not None:
                picture = str(folder / "picture.png")
                result.main.cover.save(picture)
            said += words.RESTORED_EXACT if exact else words.RESTORED_COPY if picture else words.RESTORED_LOST
        said += words.RESTORED_SEED
        return (
            self._set(recipe, picture, result.region)
            | self.stage.show(name, result, folder, known=True, kept=kept)
            | {self.stage.status: message_html(words.RESTORED_TITLE, said + self._other_model(recipe))}
        )

    def _recipe_alone(self, recipe: Recipe) -> dict[Any, Any]:
        """A recipe is no sound: the stage is left empty until it is composed."""
        picture, said = self._example(recipe), words.RESTORED_RECIPE
        if recipe.image_sha256 is not None:
            said += words.RESTORED_EXACT if picture else words.RESTORED_LOST
        status = {self.stage.status: message_html(words.RESTORED_RECIPE_TITLE, said + self._other_model(recipe))}
        return self._set(recipe, picture, WHOLE_PICTURE) | self.stage.clear() | status

    def _kept(self, told: dict[str, Any], picture: str | None) -> Result:
        """Read the files of a kept result back."""
        files, mode, region = told.get("files"), told.get("mode"), _region(told.get("region"))
        some = isinstance(files, list) and 0 < len(files) <= len(LETTERS) and all(map(is_upload, files))
        if not some or mode not in MODES:
            raise StudioError(words.HISTORY_GONE)
        heard = self._read(picture, region)
        takes = [open_take(path, mode, index) for index, path in enumerate(files)]
        if heard is not None:
            named = image_sha256(heard)
            very = [take.recipe.image_sha256 == named for take in takes]
            pairs = zip(takes, very, strict=True)
            takes = [replace(take, image=take.image and heard, cover=heard) if same else take for take, same in pairs]
        # The twin from the words alone goes under the picture of its comparison.
        takes = [take if take.cover is not None else replace(take, cover=takes[0].cover) for take in takes]
        return Result(tuple(takes), mode, takes[0].recipe.seed, (), picture_path=picture, region=region)

    def _set(self, recipe: Recipe, picture: str | None, region: tuple[float, float, float]) -> dict[Any, Any]:
        return recipe_values(self.controls, recipe, picture, self.service.limits, region)

    def _shown(self, path: Path, folder: Path) -> str:
        """Check a picture, and turn what browsers do not show, or is very large, into what they do."""
        try:
            picture = self.service.pictures(path)
        except ImageError as error:
            raise StudioError(str(error), "picture") from error
        with path.open("rb") as file:
            viewable = file.read(4).startswith(_SHOWN_BY_BROWSERS)
        if viewable and path.stat().st_size <= LARGE_PICTURE_BYTES:
            return str(path)
        picture.save(folder / f"{path.stem}.png")
        return str(folder / f"{path.stem}.png")

    def _read(self, path: str | None, region: tuple[float, float, float]) -> Any:
        try:
            return None if path is None else crop_region(self.service.pictures(path), region)
        except (ImageError, StudioError):
            return None  # what the file itself carries stands in for it

    def _sha256(self, path: str, region: tuple[float, float, float]) -> str | None:
        picture = self._read(path, region)
        return None if picture is None else image_sha256(picture)

    def _example(self, recipe: Recipe) -> str | None:
        return self._example_paths.get(recipe.image_sha256 or "")

    @cached_property
    def _example_paths(self) -> dict[str, str]:
        return {image_sha256(load_image(example.image_path)): example.image_path for example in self._examples}

    def _other_model(self, recipe: Recipe) -> str:
        same = recipe.model_sha256 == self.service.engine.model_sha256
        return "" if same else words.RESTORED_MODEL.format(name=recipe.model_name)


def _told(event: gr.EventData) -> dict[str, Any]:
    return event._data if isinstance(event._data, dict) else {}


def _region(told: Any) -> tuple[float, float, float]:
    numbers = isinstance(told, list) and len(told) == 3 and all(type(value) in (int, float) for value in told)
    within = numbers and all(0 <= value <= 1 for value in told)
    return tuple(float(value) for value in told) if within else WHOLE_PICTURE
