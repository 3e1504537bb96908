"""Texts and covers in the tags of sound and video files."""

from __future__ import annotations

import subprocess

import mutagen.flac
import mutagen.mp4
import numpy as np
import pytest
import soundfile
from PIL import Image

from melfusion_core.tags import COVER_SIZE, TagError, read_cover, read_text, write_tags
from tests import system


@pytest.fixture(params=[".wav", ".flac", ".mp3", ".mp4"])
def tone(request, tmp_path):
    """A second of a tone in each kind of file."""
    sound = 0.1 * np.sin(np.arange(16000) / 20.0)
    path = tmp_path / f"tone{request.param}"
    if request.param == ".mp4":
        soundfile.write(tmp_path / "tone.wav", sound, 16000)
        program = system.require_program("ffmpeg")
        subprocess.run([program, "-v", "error", "-i", str(tmp_path / "tone.wav"), str(path)], check=True)
    else:
        soundfile.write(path, sound, 16000)
    return path


def test_what_is_written_is_read_and_replaced(tone):
    assert read_text(tone, "MELFUSION_RECIPE") is None and read_cover(tone) is None
    write_tags(tone, "MELFUSION_RECIPE", '{"ü": 1}', "First", Image.new("RGB", (900, 600), (200, 30, 30)))
    assert read_text(tone, "MELFUSION_RECIPE") == '{"ü": 1}'
    cover = read_cover(tone)
    assert cover.size == (COVER_SIZE, round(COVER_SIZE * 2 / 3)) and cover.getpixel((9, 9))[0] > 150
    write_tags(tone, "MELFUSION_RECIPE", "other", "Second")
    assert read_text(tone, "MELFUSION_RECIPE") == "other" and read_cover(tone) is None
    assert read_text(tone, "SOMETHING_ELSE") is None


def test_strange_files_are_refused(tmp_path):
    for name, message in (("x.txt", "not in 'x.txt'"), ("x.flac", "not a readable FLAC"), ("x.mp4", "readable MP4")):
        (tmp_path / name).write_bytes(b"nothing of ours, but longer than a few bytes")
        with pytest.raises(TagError, match=message):
            read_text(tmp_path / name, "A")
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "missing.mp4", "A")


@pytest.mark.parametrize(("content", "message"), [(b"\xff\xd8 no picture", "damaged"), (None, "too large")])
def test_covers_from_elsewhere_are_not_trusted(tmp_path, content, message):
    path = tmp_path / "tone.flac"
    soundfile.write(path, np.zeros(1600), 16000)
    file = mutagen.flac.FLAC(path)
    picture = mutagen.flac.Picture()
    if content is None:
        Image.new("1", (4000, 4000)).save(tmp_path / "huge.png")
        content = (tmp_path / "huge.png").read_bytes()
    picture.type, picture.mime, picture.data = 3, "image/png", content
    file.add_picture(picture)
    file.save()
    with pytest.raises(TagError, match=message):
        read_cover(path)
