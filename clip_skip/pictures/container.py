"""The texts in a file: PNG's text chunks, Exif of JPEG, WebP, AVIF and PNG, XMP, comments; or the file as a text."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from clip_skip.messages.message import Template
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.user_comment import decode

__all__ = ["PictureTexts", "texts_of"]

PICTURE_NOT_FOUND = Template("{file}: there is no such file")
NEITHER = Template("{file} is neither a picture nor a text")
BROKEN = Template("{file} cannot be read as a picture: {problem}")
NO_AVIF = Template("{file} is an AVIF file, which the installed version of Pillow does not read")
PICTURE_UNREADABLE = Template("{file} cannot be read: {problem}")

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF")
EXIF, USER_COMMENT, MAKER_NOTE = 0x8769, 0x9286, 0x927C
IN_EXIF = {0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software"}
MOST_BYTES = 8_000_000
"""Limit for a text file: ComfyUI's graphs are large."""

MOST_XMP = 2_000_000

PNG_HEAD, CHUNK_FRAME = 8, 12
"""Bytes: a PNG's signature; a chunk's length, kind and checksum."""

PNG_TEXTS, COMFYUI_CHUNK = {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}, b"comf"
MOST_CHUNKS = 100_000
XMP_COMMENT = re.compile(r"<exif:UserComment>.{0,200}?<rdf:li[^>]{0,200}>([^<]*)</rdf:li>", re.DOTALL)


@dataclass(frozen=True)
class PictureTexts:
    """name: of the file, for messages
    size:   of the picture; None for a text
    values: by PNG's keywords; "UserComment", "Make" and the like are Exif's, "parameters" also a whole text file
    """

    name: str
    size: tuple[int, int] | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def get(self, *names: str) -> str:
        """The text of the first of `names` that has one, else ""."""
        return next((self.values[name] for name in names if self.values.get(name)), "")


def texts_of(source: Path | bytes, name: str = "") -> PictureTexts:
    """All texts of the picture or the text file `source`. Raises `PictureError`; never anything else."""
    name = name or (str(source) if isinstance(source, Path) else "")
    try:
        if isinstance(source, Path) and not source.is_file():
            raise PictureError(PICTURE_NOT_FOUND(file=name))
        data = source if isinstance(source, Path) else io.BytesIO(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = open_picture(data)
            return text_file(source, name) if picture is None else in_picture(picture, name)
    except PictureError:
        raise
    except OSError as error:
        raise PictureError(PICTURE_UNREADABLE(file=name, problem=error.strerror or str(error))) from error
    except Exception as error:  # whatever Pillow's plugins raise over broken and hostile files
        raise PictureError(BROKEN(file=name, problem=str(error) or type(error).__name__)) from error


def open_picture(data: Any) -> Image.Image | None:
    """The picture; None where the file is of another kind. Raises what Pillow raises for a broken one."""
    Image.init()
    try:
        return Image.open(data, formats=[kind for kind in FORMATS if kind in Image.OPEN])
    except UnidentifiedImageError:
        return None


def in_picture(picture: Image.Image, name: str) -> PictureTexts:
    with picture:
        texts = {str(key): as_text(value) for key, value in picture.info.items() if is_text(key, value)}
        if picture.format == "PNG":
            kinds, animated_texts = chunks_after_pixels(picture)
            texts |= animated_texts
            if kinds & PNG_TEXTS or not texts:
                texts |= all_text_chunks(picture)
        return PictureTexts(name, picture.size, {**texts, **in_exif(picture), **in_xmp(picture)})


def is_text(key: object, value: object) -> bool:
    return bool(value) and (isinstance(value, str) or (key == "comment" and isinstance(value, bytes)))


def as_text(value: object) -> str:
    return str(value) if type(value).__module__ == "PIL.PngImagePlugin" else decode(value)


def chunks_after_pixels(picture: Image.Image) -> tuple[set[bytes], dict[str, str]]:
    """The kinds of the PNG's chunks after the pixels, which aren't decoded here; and the texts of ComfyUI's animated
    PNGs, which are in chunks of its own."""
    file, kinds, texts = getattr(picture, "fp", None), set[bytes](), dict[str, str]()
    if file is None:
        return kinds, texts
    before, position = file.tell(), PNG_HEAD
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        position += length + CHUNK_FRAME
        if kind in (b"IDAT", b"fdAT") or kinds:
            kinds.add(kind)
        if kind == COMFYUI_CHUNK and length < MOST_BYTES:
            name, _, text = file.read(length).partition(b"\0")
            texts.setdefault(name.decode("latin-1"), text.decode("utf-8", errors="replace"))
    file.seek(before)
    return kinds, texts


def all_text_chunks(picture: Image.Image) -> dict[str, str]:
    """All of a PNG's text chunks. For those that come last Pillow reads the whole picture."""
    texts = getattr(picture, "text", {})
    return {str(key): str(value) for key, value in texts.items()}


def in_exif(picture: Image.Image) -> dict[str, str]:
    """Exif's texts; none if the Exif data is broken, because the rest of the picture can still be read."""
    try:
        exif = picture.getexif()
        inner = exif.get_ifd(EXIF)
        texts = {name: as_text(exif.get(tag)) for tag, name in IN_EXIF.items()}
        texts["UserComment"] = decode(inner.get(USER_COMMENT) or exif.get(USER_COMMENT))
        texts["MakerNote"] = as_text(inner.get(MAKER_NOTE) or exif.get(MAKER_NOTE))
    except Exception:  # Pillow's reader of Exif raises many kinds
        return {}
    return {name: text for name, text in texts.items() if text}


def in_xmp(picture: Image.Image) -> dict[str, str]:
    """The UserComment in XMP, where macOS writes it (Draw Things)."""
    raw = picture.info.get("XML:com.adobe.xmp") or picture.info.get("xmp") or b""
    text = raw if isinstance(raw, str) else raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else ""
    match = XMP_COMMENT.search(text[:MOST_XMP])
    return {"XMP:UserComment": html.unescape(match[1])} if match else {}


def text_file(source: Path | bytes, name: str) -> PictureTexts:
    """A text file: UTF-8 or UTF-16 with a byte-order mark."""
    head = source[:16] if isinstance(source, bytes) else first_bytes(source)
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        raise PictureError(NO_AVIF(file=name))
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    raw = b"" if size > MOST_BYTES else source if isinstance(source, bytes) else source.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or "\0" in text:
        raise PictureError(NEITHER(file=name))
    return PictureTexts(name, None, {"parameters": text})


def first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
