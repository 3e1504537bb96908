"""Files that come from a client: none is read but what was uploaded to this server.

Gradio checks a file's path only where the client marks the value as a file, which a client need not do. So every
value that names a path is checked here before any component sees it, whichever endpoint it is meant for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo import words
from demo.visitors import FairQueue


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
            check_files(inputs)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


def check_files(value: Any) -> None:
    """Refuse a value that names a file which was not uploaded.

    Args:
        value: Anything that JSON can hold. A web address passes where Gradio is going to download it into the cache.

    Raises:
        gradio.Error: When it does; what is said is the same whether there is such a file or not.
    """
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "path" in node and not (_is_download(node) or is_upload(node["path"])):
                raise not_uploaded()
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)


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
