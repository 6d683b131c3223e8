"""The documents: every link leads somewhere, translations have the same parts, and the picture that moves is small."""

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(file):
    """As GitHub names them."""
    heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_every_link_leads_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf8")):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_the_readme_shows_the_viewer_moving_and_is_quick_to_load():
    assert "docs/images/compare.webp" in (ROOT / "README.md").read_text(encoding="utf8").split("## ")[0]
    moving = ROOT / "docs" / "images" / "compare.webp"
    assert moving.stat().st_size < 1_000_000
    with Image.open(moving) as picture:
        assert picture.n_frames > 5


def outline(text):
    """What a translation keeps: how deep each heading is, the rows of each table, the blocks of code."""
    heads = [len(head) for head in re.findall(r"^(#+) ", text, re.MULTILINE)]
    tables = [table.count("\n") for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]
    return heads, tables, text.count("```") // 2


def test_the_guides_are_the_same_in_every_language():
    """The same headings, tables and code, and a link from each to all others."""
    guides = {file.name: file.read_text(encoding="utf8") for file in (ROOT / "docs").glob("guide*.md")}
    assert len(guides) == 5
    for name, text in guides.items():
        assert all(other == name or f"({other})" in text for other in guides), name
        assert outline(text) == outline(guides["guide.md"]), name
