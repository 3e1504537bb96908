"""How much a client may send: bounds on every request's body, and on uploads by visitor and altogether."""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse

from demo import words
from demo.visitors import visitor_of

MAX_UPLOAD_MB = 50
MAX_BODY_MB = 2  # of what is no upload: captions, settings, a vote, a browser's history
MAX_AGENT_MB = 70  # agents send pictures within their calls, written in letters
MAX_HOURLY_MB = 500
MAX_STORED_MB = 4000
MOST_VISITORS = 10_000
_MB = 1_000_000

Message = MutableMapping[str, Any]


class BodyLimits:
    """Refuses bodies that are too large, before they are read where their length is told, else while they are.

    Args:
        app: The application behind.
        clock: Gives the time in seconds.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._uploads: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Pass a request on, or refuse it.

        Args:
            scope: Of the connection.
            receive: Gives the body piece by piece.
            send: Takes the answer.
        """
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        path, connection = scope["path"].rstrip("/"), HTTPConnection(scope)
        uploads = path.endswith("/upload")
        most = (MAX_UPLOAD_MB + 1 if uploads else MAX_AGENT_MB if "/mcp" in path else MAX_BODY_MB) * _MB
        told = connection.headers.get("content-length", "")
        size = int(told) if told.isascii() and told.isdecimal() and len(told) < 16 else None
        refusal = (413, words.BODY_TOO_LARGE.format(most=most // _MB)) if size is not None and size > most else None
        if uploads and refusal is None:
            refusal = self._refuse_upload(visitor_of(connection), size)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        passed, begun = 0, False

        async def counted() -> Message:
            nonlocal passed
            message = await receive()
            passed += len(message.get("body", b""))
            if passed > most:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLarge:
            if not begun:
                await _answer(send, 413, words.BODY_TOO_LARGE.format(most=most // _MB))

    def _refuse_upload(self, visitor: str, size: int | None) -> tuple[int, str] | None:
        if size is None:
            return 411, words.LENGTH_NEEDED
        now = self._clock()
        mine = self._uploads.setdefault(visitor, deque())
        self._uploads.move_to_end(visitor)
        while len(self._uploads) > MOST_VISITORS:
            self._uploads.popitem(last=False)
        while mine and now - mine[0][0] > 3600:
            mine.popleft()
        if sum(bytes_then for _, bytes_then in mine) + size > MAX_HOURLY_MB * _MB:
            return 429, words.MANY_UPLOADS.format(most=MAX_HOURLY_MB)
        if folder_bytes(get_upload_folder()) + size > MAX_STORED_MB * _MB:
            return 429, words.STORE_FULL
        mine.append((now, size))
        return None


class _TooLarge(Exception):
    pass


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, text: str) -> None:
    body = json.dumps({"detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


async def refuse_body(request: Request, error: Exception) -> JSONResponse:
    """Answer a body that is not of the form that its address takes, for FastAPI.

    Args:
        request: The request.
        error: What FastAPI found, at the length of the body or more.

    Returns:
        One sentence, with status 422.
    """
    return JSONResponse({"detail": words.VALUE_UNREADABLE}, status_code=422)


def folder_bytes(folder: str | Path) -> int:
    """Add up the files of a folder.

    Args:
        folder: Which may be missing.

    Returns:
        Bytes.
    """
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone meanwhile
                continue
    return total
