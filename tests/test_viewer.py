import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis

COLUMNS, ROWS = Axis("Clip skip", ("1", "2")), Axis("CFG scale", ("7",))
HOSTILE = "</script><script>alert(1)</script><!-- \u2028 'quoted' \"double\" <clipskip:1.5> ünïcödé 🐄 /*DATA*/"


def picture(size=32):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def page(**changes):
    source = viewer.picture_embedder(2, (32, 32))
    cells = [viewer.ViewerCell(0, 0, source(picture()), HOSTILE), viewer.ViewerCell(1, 0, source(picture()), "plain")]
    return viewer.viewer_page("A title", HOSTILE, COLUMNS, ROWS, cells, 32, **changes)


def data(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])


def test_no_text_gets_out_of_the_data():
    text = page()
    assert data(text)["cells"][0]["infotext"] == HOSTILE
    assert data(text)["about"] == HOSTILE
    assert text.count("<script") == text.count("</script>") == 2
    assert "alert(1)" not in re.sub(r'<script id="data".*?</script>', "", text, flags=re.S)


def test_the_page_needs_nothing_from_outside():
    text = page()
    assert not re.findall(r"""(?:src|href)\s*=\s*["']|@import|url\(|https?://""", text)
    assert "innerHTML" not in text


def test_what_a_screen_reader_needs_is_there():
    text = page()
    for needed in ('lang="en"', 'role="grid"', "rowheader", "columnheader", "gridcell", "aria-live", ":focus-visible"):
        assert needed in text
    assert "prefers-color-scheme: dark" in text
    assert {"ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"} <= set(re.findall(r"Arrow\w+", text))


def test_every_element_the_script_asks_for_exists():
    text = page()
    asked = set(re.findall(r'element\("(\w+)"\)', text))
    assert asked <= set(re.findall(r'id="(\w+)"', text))


def test_pictures_are_embedded_exactly_when_they_are_few():
    address = viewer.picture_embedder(36, (32, 32))(picture())
    kind, content = address.split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).tobytes() == picture().tobytes()


def test_and_small_when_they_are_many():
    address = viewer.picture_embedder(1000, (512, 512))(picture(256))
    assert address.startswith("data:image/webp;base64,")
    assert len(address) < len(viewer.picture_embedder(1, (256, 256))(picture(256)))


@pytest.mark.parametrize("reference", [0, 1])
def test_the_reference_column_is_told(reference):
    assert data(page(reference=reference))["reference"] == reference
