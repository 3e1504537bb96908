"""A tiny untrained checkpoint on disk, and pictures, for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def model_folder(make_tiny_pipeline, tmp_path_factory) -> Path:
    """Folder of a tiny untrained model at 800 Hz."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_pipeline().save_pretrained(folder)
    return folder


def striped_picture(colour: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (96, 72), colour)
    picture.paste((255 - colour[0], 255 - colour[1], 40), (0, 20, 96, 40))
    return picture


@pytest.fixture
def photo(tmp_path) -> Path:
    """A picture file, with a blank in its name."""
    path = tmp_path / "my photo.png"
    striped_picture((200, 60, 20)).save(path)
    return path


@pytest.fixture
def other_photo(tmp_path) -> Path:
    """Another picture."""
    path = tmp_path / "other.png"
    striped_picture((10, 60, 220)).save(path)
    return path
