"""A picture, or the text of one: which tool made it, and how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clip_skip.messages.message import Template
from clip_skip.pictures import comfyui, webui_tools
from clip_skip.pictures.container import PictureTexts, texts_of
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.infotext import Infotext
from clip_skip.pictures.json_tools import READERS
from clip_skip.pictures.numbering import UNTRACEABLE

__all__ = ["SUFFIXES", "read_infotext"]

NO_INFOTEXT = Template("{file} has no infotext in it")
NOT_UNDERSTOOD = Template("{file} has settings in it that cannot be read: {problem}")

SUFFIXES = frozenset({".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".gif", ".txt", ".json"})
"""Suffixes of files that may say how a picture was made."""

INFOTEXT_PLACES = ("parameters", "UserComment", "XMP:UserComment", "ImageDescription", "comment")


def read_infotext(source: Path | bytes, name: str = "") -> Infotext:
    """The metadata of the picture or text file `source`, in the WebUI's terms. Raises `PictureError`, nothing else.

    name: what messages call it; default: its path
    """
    texts = texts_of(source, name)
    try:
        infotext = recognize(texts)
    except Exception as error:  # on a hostile text a reader may raise anything
        raise PictureError(NOT_UNDERSTOOD(file=texts.name, problem=type(error).__name__)) from error
    if infotext is None:
        raise PictureError(NO_INFOTEXT(file=texts.name))
    return infotext


def recognize(texts: PictureTexts) -> Infotext | None:
    """The metadata in `texts`; None where there is none. ComfyUI's graph wins over a node's infotext."""
    infotext = next(
        (result for place in INFOTEXT_PLACES if (result := webui_tools.read_webui_infotext(texts.get(place)))), None
    )
    graph = comfyui.read_comfyui_graph(texts)
    if graph is not None and (graph.parameters or infotext is None):
        return complete_graph(graph, infotext) if infotext else graph
    if infotext is None:
        infotext = next((result for read in READERS if (result := read(texts))), None)
    return infotext


def complete_graph(graph: Infotext, infotext: Infotext) -> Infotext:
    """`graph` completed from the infotext beside it: the model's hash, and what is missing in the graph."""
    extra = {name: infotext.parameters[name] for name in ("Model hash", "Model", "Seed") if name in infotext.parameters}
    prompt, negative = graph.prompt or infotext.prompt, graph.negative or infotext.negative
    number = infotext.skip_text if graph.skip_text == UNTRACEABLE and infotext.skip_text else graph.skip_text
    parameters = {**extra, **graph.parameters}
    return replace(graph, prompt=prompt, negative=negative, parameters=parameters, skip_text=number)
