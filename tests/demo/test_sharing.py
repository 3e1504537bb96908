"""What other sites show of a link to the studio."""

from __future__ import annotations

import re

import httpx
from PIL import Image

from demo.sharing import PICTURE, with_preview


def test_a_shared_link_has_a_title_a_description_and_a_picture(studio):
    page = httpx.get(studio, timeout=60)
    assert len(page.content) == int(page.headers["content-length"])
    told = dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)">', page.text))
    assert told["og:title"] == "MeLFusion Studio" and "picture and a few words" in told["og:description"]
    assert told["og:url"] == studio and told["og:image"] == f"{studio}share.jpg"
    assert "gradio" not in " ".join(told.values()).lower() and page.text.count('og:image"') == 1
    picture = httpx.get(told["og:image"], timeout=60)
    assert picture.headers["content-type"] == "image/jpeg" and picture.content == PICTURE.read_bytes()


def test_the_picture_has_the_usual_size():
    with Image.open(PICTURE) as image:
        assert image.size == (1200, 630)


def test_what_has_no_head_stays_as_it_is():
    assert with_preview(b"{}", "http://x/") == b"{}"
