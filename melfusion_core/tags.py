"""A text, a title and a cover picture in the tags of sound and video files; the sound stays as it is.

ID3 for WAV and MP3, Vorbis comments for FLAC, free-form atoms for MP4.
"""

from __future__ import annotations

import io
from pathlib import Path

import mutagen
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import mutagen.wave
from PIL import Image

SUFFIXES = (".wav", ".flac", ".mp3", ".mp4")
COVER_SIZE = 512
MAX_COVER_PIXELS = 4_000_000
MP4_PREFIX = "----:org.melfusion:"
_KINDS = dict(zip(SUFFIXES, (mutagen.wave.WAVE, mutagen.flac.FLAC, mutagen.mp3.MP3, mutagen.mp4.MP4), strict=True))


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
    tags = file.tags
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
    file = _open(Path(path))
    if isinstance(file, mutagen.flac.FLAC):
        texts = (file.tags or {}).get(name, [])
    elif isinstance(file, mutagen.mp4.MP4):
        texts = [bytes(text).decode("utf-8", "replace") for text in (file.tags or {}).get(_mp4_key(name), [])]
    else:
        texts = getattr((file.tags or {}).get(f"TXXX:{name}"), "text", [])
    return str(texts[0]) if texts else None


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
    file = _open(Path(path))
    if isinstance(file, mutagen.flac.FLAC):
        found = [picture.data for picture in file.pictures]
    elif isinstance(file, mutagen.mp4.MP4):
        found = [bytes(cover) for cover in (file.tags or {}).get("covr", [])]
    else:
        found = [picture.data for picture in file.tags.getall("APIC")] if file.tags is not None else []
    if not found:
        return None
    try:
        with Image.open(io.BytesIO(found[0]), formats=["JPEG", "PNG"]) as image:
            if image.width * image.height > MAX_COVER_PIXELS:
                raise TagError(f"The cover of {Path(path).name} is too large.")
            image.thumbnail((COVER_SIZE, COVER_SIZE))
            return image.convert("RGB")
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for some damaged PNG files
        raise TagError(f"The cover of {Path(path).name} is damaged.") from error


def _open(path: Path) -> mutagen.FileType:
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise TagError(f"There are tags in {', '.join(SUFFIXES)} files, not in {path.name!r}.")
    try:
        return kind(path)
    except mutagen.MutagenError as error:
        if error.args and isinstance(error.args[0], OSError):
            raise error.args[0] from error
        raise TagError(f"{path.name} is not a readable {path.suffix[1:].upper()} file.") from error


def _mp4_key(name: str) -> str:
    return MP4_PREFIX + name.removeprefix("MELFUSION_")


def _jpeg(cover: Image.Image) -> bytes:
    picture = cover.convert("RGB")
    picture.thumbnail((COVER_SIZE, COVER_SIZE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
