"""Files that come from a client: none is read but what was uploaded to this server.

Gradio checks a file's path only where the client marks the value as a file, which a client need not do. So every
value that names a path is checked here before any component sees it, whichever endpoint it is meant for.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo import words
from demo.downloads import download
from demo.takes import StudioError
from demo.visitors import FairQueue

MOST_DOWNLOADS = 2


class GuardedBlocks(gr.Blocks):
    """A page whose endpoints, private ones and those for agents included, take uploaded files only, in fair turns."""

    def queue(self, *arguments: Any, **options: Any) -> GuardedBlocks:
        """Set the queue up as Gradio does, but as a fair one.

        Args:
            arguments: As for ``gr.Blocks.queue``.
            options: As for ``gr.Blocks.queue``; ``max_size`` has no effect, as the bounds are the fair queue's own.

        Returns:
            The page.
        """
        super().queue(*arguments, **options)
        plain = self._queue
        self._queue = FairQueue(
            plain.live_updates,
            plain.max_thread_count,
            plain.update_intervals,
            None,
            self,
            plain.default_concurrency_limit,
        )
        return self

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """Check the files among the inputs of an event, then do as Gradio does.

        Args:
            block_fn: The event.
            inputs: Values as the client sent them.
            state: Of the client's session.
            explicit_call: Whether the call comes from Python rather than from a client.

        Returns:
            What the event's handler gets.

        Raises:
            gradio.Error: When a file was not uploaded.
        """
        if not explicit_call:
            for node in check_files(inputs):
                try:
                    node["path"] = str(await download(node["path"]))
                except StudioError as error:
                    raise gr.Error(str(error), print_exception=False) from error
                self.upload_file_set.add(node["path"])
            for block, value in zip(block_fn.inputs, inputs, strict=False):
                # Gradio would write a list or an object out and take that for the visitor's words.
                if isinstance(block, gr.Textbox) and not isinstance(value, str | None):
                    raise gr.Error(words.VALUE_UNREADABLE, print_exception=False)
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except Exception as error:  # whatever a component stumbles over; only the studio's own words are passed on
            if isinstance(error, gr.Error) and not error.print_exception:
                raise
            raise gr.Error(words.VALUE_UNREADABLE, print_exception=False) from error

    async def process_api(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Handle an event as Gradio does; what goes wrong is told in a sentence, and to whoever runs the studio.

        Args:
            arguments: As for ``gr.Blocks.process_api``.
            options: As for ``gr.Blocks.process_api``.

        Returns:
            As ``gr.Blocks.process_api`` does.

        Raises:
            gradio.Error: When the event cannot be handled.
        """
        try:
            return await super().process_api(*arguments, **options)
        except gr.Error:
            raise
        except Exception as error:
            traceback.print_exc()
            raise gr.Error(words.FAILED_TEXT, print_exception=False) from error


def check_files(value: Any) -> list[dict[str, Any]]:
    """Refuse a value that names a file which was not uploaded.

    Args:
        value: Anything that JSON can hold.

    Returns:
        The files among it that are named by a web address and marked as files; they are to be downloaded.

    Raises:
        gradio.Error: When there is such a file; what is said is the same whether it exists or not.
    """
    waiting, wanted = [value], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "path" in node and _is_download(node):
                wanted.append(node)
            elif "path" in node and not is_upload(node["path"]):
                raise not_uploaded()
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)
    if len(wanted) > MOST_DOWNLOADS:
        raise not_uploaded()
    return wanted


def is_upload(path: Any) -> bool:
    """Whether a path is that of a file in the server's own cache, to which uploads and downloads go.

    Args:
        path: As a client gave it.

    Returns:
        Whether it is; symbolic links are followed first.
    """
    try:
        file = Path(path).resolve(strict=True)
        return file.is_file() and file.is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError, TypeError, RuntimeError):
        return False


def uploaded_path(payload: Any) -> str | None:
    """Take the path out of a file component's value.

    Args:
        payload: As Gradio hands it to a component; `None` where there is no file.

    Returns:
        Path of the uploaded file, or `None`.

    Raises:
        gradio.Error: When it was not uploaded.
    """
    if payload is None:
        return None
    if not is_upload(payload.path):
        raise not_uploaded()
    return payload.path


def not_uploaded() -> gr.Error:
    """Make the refusal of a file.

    Returns:
        The error, which names no path.
    """
    return gr.Error(words.NOT_UPLOADED, print_exception=False)


def _is_download(node: dict[str, Any]) -> bool:
    meta, path = node.get("meta"), node["path"]
    marked = isinstance(meta, dict) and meta.get("_type") == "gradio.FileData"
    return marked and isinstance(path, str) and path.startswith(("http://", "https://"))
