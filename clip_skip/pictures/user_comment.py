"""Exif's UserComment as text. Its first eight bytes often name the wrong encoding, and the file's byte order is often
wrong too, so every encoding is tried, and the text most like the metadata of a picture is taken."""

from __future__ import annotations

import codecs

__all__ = ["decode"]

HEAD = 8
CHARACTER_CODES = (b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"UTF8\0\0\0\0", b"\0" * HEAD)
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
ENCODINGS = ("utf-8", "utf-16-be", "utf-16-le")

SIGNS_OF_A_PICTURE = ("Steps:", "Negative prompt:", '":', '" :', "Seed:")
"""Found in the texts of all tools: settings of the WebUI, or JSON."""


def decode(raw: object) -> str:
    """The text of a UserComment as Pillow returns it: bytes, or already a str. Any bytes can be decoded."""
    if isinstance(raw, str):
        try:
            raw = raw.encode("latin-1")  # Pillow decodes every text in Exif as Latin-1
        except UnicodeEncodeError:
            return str(raw).strip("\0")
    if not isinstance(raw, (bytes, bytearray)):
        return ""
    content = bytes(raw[HEAD:] if raw[:HEAD] in CHARACTER_CODES else raw)
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return decode_as(content[len(mark) :], encoding)
    return max((decode_as(content, encoding) for encoding in ENCODINGS), key=likelihood)


def decode_as(content: bytes, encoding: str) -> str:
    if encoding != "utf-8":
        content = content[: len(content) // 2 * 2]  # some end with a lone zero
    return content.decode(encoding, errors="replace").strip("\0")


def likelihood(text: str) -> tuple[bool, int]:
    """A score of how likely `text` is the metadata of a picture: typical signs, and few broken letters."""
    broken_count = text.count("\ufffd") + text.count("\0")
    return any(sign in text for sign in SIGNS_OF_A_PICTURE), -broken_count * 2 - sum(sign > "\u2fff" for sign in text)
