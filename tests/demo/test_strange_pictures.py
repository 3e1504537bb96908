"""Whatever file a visitor brings: music comes of it, or one plain sentence, and never an accident."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from demo.picture_words import facts_html, picture_facts, suggestion
from demo.service import StudioService
from demo.takes import Result, StudioError
from melfusion_core.image import load_image
from tests.demo.fakes import wish

SHORT = {"num_inference_steps": 1, "duration_s": 2.56, "caption": "x"}


def huge_png() -> bytes:
    """A PNG of 20,000 x 20,000 pixels that says so in its first bytes and weighs nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def write(kind: str, path, sunset: Image.Image) -> None:
    if kind == "animated.gif":
        frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif kind == "transparent.png":
        Image.new("RGBA", (30, 20), (0, 0, 0, 0)).save(path)
    elif kind == "rotated.jpg":
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        sunset.save(path, exif=exif)
    elif kind == "pixel.png":
        Image.new("RGB", (1, 1), "navy").save(path)
    elif kind == "strip.png":
        Image.new("RGB", (1, 5000), "navy").save(path)
    elif kind == "large.webp":
        Image.effect_noise((3000, 2500), 80).convert("RGB").save(path)
    elif kind == "sixteen.png":
        Image.fromarray(np.linspace(0, 65535, 600, dtype=np.uint16).reshape(20, 30)).save(path)
    elif kind == "truncated.jpg":
        sunset.resize((400, 300)).save(path)
        path.write_bytes(path.read_bytes()[:900])
    else:
        contents = {
            "empty.png": b"",
            "text.jpg": b"hello",
            "huge.png": huge_png(),
            "sound.wav": b"RIFF\0\0\0\0WAVEfmt ",
        }
        path.write_bytes(contents[kind])


@pytest.mark.parametrize(
    "kind",
    ["animated.gif", "transparent.png", "rotated.jpg", "pixel.png", "strip.png", "large.webp", "sixteen.png"],
)
def test_unusual_pictures_become_music(kind, engine, sunset, tmp_path):
    write(kind, tmp_path / kind, sunset)
    *_, result = StudioService(engine).compose(wish(str(tmp_path / kind), **SHORT))
    assert isinstance(result, Result) and len(result.takes) == 2
    seen = engine.settings[-1].image
    assert seen.mode == "RGB" and max(seen.size) <= 2048
    if kind == "rotated.jpg":
        assert seen.size == sunset.size[::-1]
    if kind == "animated.gif":
        assert seen.getpixel((5, 5))[0] > 200, "the first frame counts"
    facts = picture_facts(load_image(tmp_path / kind))
    assert facts.palette and "Lightness" in facts_html(facts) and suggestion(facts, "").endswith(" music")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated.jpg", "truncated.jpg"),
        ("empty.png", "not a picture"),
        ("text.jpg", "not a picture"),
        ("sound.wav", "not a picture"),
        ("huge.png", "too many pixels"),
    ],
)
def test_what_is_no_picture_is_said_at_the_picture(kind, message, engine, sunset, tmp_path):
    write(kind, tmp_path / kind, sunset)
    with pytest.raises(StudioError, match=message) as refused:
        StudioService(engine).plan(wish(str(tmp_path / kind), **SHORT))
    assert refused.value.field == "picture" and len(str(refused.value)) < 200
    assert not engine.settings, "nothing reached the model"
