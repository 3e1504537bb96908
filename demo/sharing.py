"""What other sites show of a link to the studio: a title, a description and a picture (Open Graph)."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from gradio.route_utils import get_root_url
from starlette.requests import Request
from starlette.responses import FileResponse

from demo import words

PICTURE = Path(__file__).resolve().parent.parent / "assets" / "share.jpg"
PICTURE_PATH = "/share.jpg"
_OTHERS = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')

Message = MutableMapping[str, Any]


class SharePreview:
    """Puts the studio's own title, description and picture into the page's head, in place of Gradio's.

    Args:
        app: The application behind.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer for the picture, and change the page on its way out.

        Args:
            scope: Of the connection.
            receive: Gives the body piece by piece.
            send: Takes the answer.
        """
        path = scope.get("path", "")
        if scope["type"] == "http" and path == PICTURE_PATH:
            await FileResponse(PICTURE)(scope, receive, send)
            return
        if scope["type"] != "http" or path not in ("", "/") or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        head: Message = {}
        page = bytearray()

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
                return
            page.extend(message.get("body", b""))
            if not message.get("more_body"):
                root = get_root_url(Request(scope), route_path="/", root_path=scope.get("root_path") or None)
                body = with_preview(bytes(page), root)
                headers = [(name, value) for name, value in head["headers"] if name.lower() != b"content-length"]
                length = (b"content-length", str(len(body)).encode())
                await send({**head, "headers": [*headers, length]})
                await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, changed)


def with_preview(page: bytes, root: str) -> bytes:
    """Put the preview into a page.

    Args:
        page: HTML.
        root: Address of the studio.

    Returns:
        HTML; what has no head comes back as it is.
    """
    root = root.rstrip("/")
    told = {
        "og:type": "website",
        "og:url": f"{root}/",
        "og:title": words.PAGE_TITLE,
        "og:description": words.SHARE_TEXT,
        "og:image": f"{root}{PICTURE_PATH}",
        "og:image:alt": words.SHARE_ALT,
        "twitter:card": "summary_large_image",
        "twitter:title": words.PAGE_TITLE,
        "twitter:description": words.SHARE_TEXT,
        "twitter:image": f"{root}{PICTURE_PATH}",
    }
    tags = [f'<meta name="description" content="{html.escape(words.SHARE_TEXT)}">']
    for name, value in told.items():
        kind = "property" if name.startswith("og:") else "name"
        tags.append(f'<meta {kind}="{name}" content="{html.escape(value)}">')
    return _OTHERS.sub(b"", page).replace(b"</head>", "".join(tags).encode() + b"</head>", 1)
