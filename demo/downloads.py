"""Pictures that clients name by a web address: fetched from public addresses only, up to a bound, once checked."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import httpx
import safehttpx
from gradio.utils import get_upload_folder

from demo import words
from demo.takes import StudioError

MAX_BYTES = 50_000_000
MAX_HOPS = 5
PATIENCE_S = 20.0


async def download(url: str) -> Path:
    """Fetch a file into the server's cache.

    Every hop's name is looked up once, has to lead to a public address, and that address is what is asked. The body
    is taken as it comes, since what is packed for the way could unfold without bound.

    Args:
        url: Address that begins with http:// or https://.

    Returns:
        The file.

    Raises:
        StudioError: When it cannot be fetched, or is too large.
    """
    folder = Path(get_upload_folder()) / secrets.token_hex(32)
    try:
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(MAX_HOPS):
                target = httpx.URL(url)
                if target.scheme not in ("http", "https"):
                    break
                transport = safehttpx.AsyncSecureTransport(await safehttpx.async_validate_url(target.host))
                async with (
                    httpx.AsyncClient(transport=transport, timeout=PATIENCE_S) as client,
                    client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as reply,
                ):
                    if reply.has_redirect_location:
                        url = str(target.join(reply.headers["Location"]))
                        continue
                    reply.raise_for_status()
                    return await _kept(reply, folder / _name(target))
    except StudioError:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, UnicodeError) as error:
        raise StudioError(words.NOT_FETCHED, "picture") from error
    raise StudioError(words.NOT_FETCHED, "picture")


async def _kept(reply: httpx.Response, path: Path) -> Path:
    path.parent.mkdir(parents=True)
    size = 0
    with path.open("wb") as file:
        async for part in reply.aiter_raw():
            size += len(part)
            if size > MAX_BYTES:
                break
            file.write(part)
    if size > MAX_BYTES:
        path.unlink()
        raise StudioError(words.FETCHED_TOO_LARGE.format(most=MAX_BYTES // 1_000_000), "picture")
    return path


def _name(url: httpx.URL) -> str:
    suffix = Path(url.path).suffix
    return f"picture{suffix}" if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) < 6 else "picture"
