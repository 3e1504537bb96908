from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from melfusion_core.image import ImageError, image_to_tensor, load_image


def test_rotation_is_applied_and_metadata_dropped(tmp_path):
    picture = Image.new("RGB", (40, 20), "red")
    exif = picture.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "secret"
    picture.save(tmp_path / "a.jpg", exif=exif)
    loaded = load_image(tmp_path / "a.jpg")
    assert loaded.size == (20, 40) and loaded.mode == "RGB"
    assert not loaded.getexif() and not loaded.info


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_becomes_white(tmp_path, mode):
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    if mode == "P":
        picture.save(tmp_path / "a.gif", transparency=0)
        assert Image.open(tmp_path / "a.gif").mode == "P"
        loaded = load_image(tmp_path / "a.gif")
    else:
        loaded = load_image(picture.convert(mode))
    assert loaded.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV"])
def test_other_modes_become_rgb(mode):
    base = Image.new("RGB", (5, 5), "white")
    picture = Image.new(mode, (5, 5)) if mode == "LAB" else base.convert(mode)
    assert load_image(picture).mode == "RGB"


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert [pixel[0] for pixel in np.asarray(load_image(tmp_path / "a.png"))[0]] == [0, 128, 255]


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert load_image(tmp_path / "a.gif").getpixel((0, 0)) == (255, 0, 0)


def test_unusable_files_have_human_messages(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:1000])
    for name, message in {"missing.png": "no picture", "text.png": "JPEG, PNG", "cut.png": "damaged"}.items():
        with pytest.raises(ImageError, match=message):
            load_image(tmp_path / name)


def test_too_many_pixels_are_refused_before_decoding(tmp_path):
    """A PNG that claims to be 30000 x 30000 is a few dozen bytes; decoding would need gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    def bomb(side: int) -> bytes:
        header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    for side in (8_500, 12_000, 30_000):  # above ours, above Pillow's warning, above Pillow's error
        (tmp_path / "bomb.png").write_bytes(bomb(side))
        with pytest.raises(ImageError, match="million"):
            load_image(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match="million"):
        load_image(Image.new("RGB", (20, 20)), max_bytes=1599)


def test_large_pictures_are_scaled_down(tmp_path):
    Image.new("RGB", (3000, 500), "green").save(tmp_path / "a.jpg")
    assert load_image(tmp_path / "a.jpg").size == (2048, 341)
    assert load_image(tmp_path / "a.jpg", max_side=None).size == (3000, 500)


def test_tensor_is_the_centre_square_in_minus_one_to_one():
    pixels = np.zeros((64, 192, 3), dtype=np.uint8)
    pixels[:, 64:128] = (255, 128, 0)
    tensor = image_to_tensor(Image.fromarray(pixels), 32)
    assert tensor.shape == (3, 32, 32) and tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[:, 16, 16], torch.tensor([1.0, 128 / 127.5 - 1.0, -1.0]))
    assert tensor.abs().max() <= 1.0


def test_resizing_is_antialiased():
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert image_to_tensor(Image.fromarray(stripes), 64).abs().max() < 0.1


def test_tensor_needs_rgb():
    with pytest.raises(ImageError, match="load_image"):
        image_to_tensor(Image.new("L", (4, 4)))
