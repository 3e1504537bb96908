"""A text, a title and a cover picture in the tags of sound and video files; the sound stays as it is.

ID3 for WAV and MP3, Vorbis comments for FLAC, free-form atoms for MP4. What a stranger wrote into a file may unfold to
gigabytes or nest a thousand deep, so tags are read in a process apart.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import mutagen
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import mutagen.wave
from PIL import Image

from melfusion_core import apart
from melfusion_core.image import ImageError, load_image, short_name

SUFFIXES = (".wav", ".flac", ".mp3", ".mp4")
COVER_SIZE = 512
MAX_COVER_BYTES = 16_000_000
MAX_TEXT = 1_000_000
MAX_CPU_S = 3
MP4_PREFIX = "----:org.melfusion:"
_KINDS: dict[str, type[mutagen.FileType]] = dict(
    zip(SUFFIXES, (mutagen.wave.WAVE, mutagen.flac.FLAC, mutagen.mp3.MP3, mutagen.mp4.MP4), strict=True)
)


class TagError(ValueError):
    """A file whose tags cannot be read or written; the message is meant for people."""


def write_tags(path: str | Path, name: str, text: str, title: str, cover: Image.Image | None = None) -> None:
    """Write a text, a title and a cover into a file, in place of what it had of these.

    Args:
        path: A .wav, .flac, .mp3 or .mp4 file.
        name: Name of the tag for the text, in capitals.
        text: The text.
        title: The title.
        cover: Picture to embed as cover art, reduced to at most `COVER_SIZE` pixels a side; `None` for none.

    Raises:
        TagError: The file is of another kind, or not readable as what its suffix says.
    """
    file = _open(Path(path))
    jpeg = _jpeg(cover) if cover is not None else None
    if isinstance(file, mutagen.flac.FLAC):
        file[name], file["TITLE"] = text, title
        file.clear_pictures()
        if jpeg is not None:
            picture = mutagen.flac.Picture()
            picture.type, picture.mime, picture.desc, picture.data = 3, "image/jpeg", "Cover", jpeg
            file.add_picture(picture)
        file.save()
        return
    if file.tags is None:
        file.add_tags()
    tags = _tags(file)
    if isinstance(file, mutagen.mp4.MP4):
        tags[_mp4_key(name)] = [mutagen.mp4.MP4FreeForm(text.encode())]
        tags["\xa9nam"] = title
        tags.pop("covr", None)
        if jpeg is not None:
            tags["covr"] = [mutagen.mp4.MP4Cover(jpeg, mutagen.mp4.MP4Cover.FORMAT_JPEG)]
    else:
        tags.setall(f"TXXX:{name}", [mutagen.id3.TXXX(encoding=3, desc=name, text=[text])])
        tags.setall("TIT2", [mutagen.id3.TIT2(encoding=3, text=[title])])
        tags.delall("APIC")
        if jpeg is not None:
            tags.add(mutagen.id3.APIC(encoding=3, mime="image/jpeg", type=3, desc="Cover", data=jpeg))
    file.save()


def read_text(path: str | Path, name: str) -> str | None:
    """Read a text that `write_tags` wrote.

    Args:
        path: A .wav, .flac, .mp3 or .mp4 file.
        name: Name of the tag.

    Returns:
        The text; `None` where the file has none of this name.

    Raises:
        TagError: The file is of another kind, or not readable as what its suffix says.
        FileNotFoundError: There is no such file.
    """
    text = _ask(path, name)[0]["text"]
    return None if text is None else str(text)


def read_cover(path: str | Path) -> Image.Image | None:
    """Read the cover picture.

    Args:
        path: A .wav, .flac, .mp3 or .mp4 file.

    Returns:
        RGB picture of at most `COVER_SIZE` pixels a side; `None` where there is none.

    Raises:
        TagError: The file or its cover is not readable, or the cover has too many pixels.
        FileNotFoundError: There is no such file.
    """
    reply, pixels = _ask(path, None)
    return None if reply["size"] is None else Image.frombytes("RGB", tuple(reply["size"]), pixels)


def _ask(path: str | Path, name: str | None) -> tuple[dict[str, Any], bytes]:
    path = Path(path)
    _check_kind(path)
    try:
        path.open("rb").close()  # whoever asks is told here of a file that is not there, or not theirs to read
        reply, pixels = apart.ask("melfusion_core.tags", {"path": str(path), "name": name}, cpu_s=MAX_CPU_S)
    except apart.ApartError as error:
        raise TagError(f"The tags of {short_name(path)} take too much memory or time to read.") from error
    except ValueError as error:  # a null byte in the path
        raise FileNotFoundError(f"There is no file {short_name(path)}.") from error
    if "error" in reply:
        raise TagError(reply["error"])
    return reply, pixels


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    path, name = Path(request["path"]), request["name"]
    try:
        file = _open(path)
        if name is not None:
            return {"text": _text(file, path, name)}, b""
        cover = _cover(file)
        if cover is None:
            return {"size": None}, b""
        image = load_image(cover, MAX_COVER_BYTES, COVER_SIZE)
        return {"size": image.size}, image.tobytes()
    except TagError as error:
        return {"error": str(error)}, b""
    except ImageError:
        return {"error": f"The cover of {short_name(path)} is damaged or too large."}, b""


def _tags(file: mutagen.FileType) -> Any:
    """What a file is tagged with; each format has a class of its own, some of them without annotations."""
    return {} if file.tags is None else file.tags


def _text(file: mutagen.FileType, path: Path, name: str) -> str | None:
    if isinstance(file, mutagen.flac.FLAC):
        texts = _tags(file).get(name, [])
    elif isinstance(file, mutagen.mp4.MP4):
        texts = [bytes(text).decode("utf-8", "replace") for text in _tags(file).get(_mp4_key(name), [])]
    else:
        texts = getattr(_tags(file).get(f"TXXX:{name}"), "text", [])
    text = str(texts[0]) if texts else None
    if text is not None and len(text) > MAX_TEXT:
        raise TagError(f"The text in the tags of {short_name(path)} is too long.")
    return text


def _cover(file: mutagen.FileType) -> bytes | None:
    if isinstance(file, mutagen.flac.FLAC):
        found = [picture.data for picture in file.pictures]
    elif isinstance(file, mutagen.mp4.MP4):
        found = [bytes(cover) for cover in _tags(file).get("covr", [])]
    else:
        tags = _tags(file)
        found = [picture.data for picture in tags.getall("APIC")] if tags else []
    return found[0] if found else None


def _check_kind(path: Path) -> None:
    if path.suffix.lower() not in _KINDS:
        raise TagError(f"There are tags in {', '.join(SUFFIXES)} files, not in {short_name(path)!r}.")


def _open(path: Path) -> mutagen.FileType:
    _check_kind(path)
    try:
        return _KINDS[path.suffix.lower()](path)
    except mutagen.MutagenError as error:
        if error.args and isinstance(error.args[0], OSError):
            raise error.args[0] from error
        raise _unreadable(path) from error
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  (mutagen lets through what its parsers stumble over)
        raise _unreadable(path) from error


def _unreadable(path: Path) -> TagError:
    return TagError(f"{short_name(path)} is not a readable {path.suffix[1:].upper()} file.")


def _mp4_key(name: str) -> str:
    return MP4_PREFIX + name.removeprefix("MELFUSION_")


def _jpeg(cover: Image.Image) -> bytes:
    picture = cover.convert("RGB")
    picture.thumbnail((COVER_SIZE, COVER_SIZE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    apart.answer(_answer)
