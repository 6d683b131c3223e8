"""Networks in a prompt: LoRAs, `<lora:name:0.8>`, and other networks.

The rules are those of AUTOMATIC1111 v1.10.1, `extra_networks.py` and `extra_networks_lora.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_skip.messages.message import Message, MessageError, Template
from clip_skip.prompt.comments import strip_comments
from clip_skip.prompt.tags import find_networks, strip_networks
from clip_skip.skip import shorten

__all__ = ["EmbeddingError", "Lora", "LoraError", "embedding_files", "network_warnings", "read_networks"]

LORA = ("lora", "lyco")
"""The names of networks that are LoRAs; the WebUI treats the second as a synonym of the first."""

EMBEDDINGS = (".safetensors", ".pt", ".bin")
"""The suffixes of textual inversions."""

OWN_NAMES = ("te", "unet")
"""The names that a LoRA's weights may have."""

NO_NAME = Template("{tag} names no LoRA")
WEIGHT_NOT_A_NUMBER = Template("{tag}: its weight {text} is not a number")
HYPERNETWORK = Template("{tag}: hypernetworks are not supported without a WebUI")
IGNORED_OPTION = Template(
    "{tag}: {text} was ignored, because it is an option of an extension; the LoRA was applied in full."
)
UNKNOWN_NETWORK = Template("{tag} was ignored: there is no such kind of network.")


class EmbeddingError(MessageError):
    """A file is not a textual inversion; the message names it."""


class LoraError(MessageError):
    """A LoRA that a prompt names cannot be used; the message says which and why."""


def embedding_files(folder: Path) -> list[Path]:
    """The files in and below `folder` that may be textual inversions."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in EMBEDDINGS and path.is_file())


@dataclass(frozen=True)
class Lora:
    """A LoRA's name, and its weights in text encoders and UNet."""

    name: str
    text: float
    unet: float


@dataclass(frozen=True)
class Network:
    """A network as it is written in a prompt, `tag`: `<kind:items[0]:items[1]>`."""

    kind: str
    items: Sequence[str]
    tag: str


def read_networks(prompt: str) -> tuple[str, tuple[Lora, ...]]:
    """`prompt` without networks, and its LoRAs: `<lora:name>`, `<lora:name:0.8>`, `<lora:name:te=1:unet=0.5>`.

    Raises `LoraError` for a LoRA without a name or with a weight that is not a number, and for hypernetworks.
    """
    loras = []
    for network in written_networks(prompt):
        if network.kind == "hypernet":
            raise LoraError(HYPERNETWORK(tag=shorten(network.tag)))
        if network.kind in LORA:
            loras.append(lora_of(network))
    return strip_networks(prompt), tuple(loras)


def network_warnings(prompts: Iterable[str]) -> list[Message]:
    """A sentence for each part of a network in `prompts` that is ignored, in the order in which they are written."""
    networks = (network for prompt in prompts for network in written_networks(strip_comments(prompt)))
    return list(dict.fromkeys(warning for network in networks for warning in warnings_of(network)))


def warnings_of(network: Network) -> Iterator[Message]:
    """Messages about the ignored parts of one network."""
    tag = shorten(network.tag)
    if network.kind in LORA:
        for item in others_options(network):
            yield IGNORED_OPTION(tag=tag, text=shorten(item))
    elif network.kind not in ("hypernet", "clipskip"):
        yield UNKNOWN_NETWORK(tag=tag)


def written_networks(prompt: str) -> Iterator[Network]:
    """The networks in `prompt`, one after the other. Linear in its length."""
    return (Network(match[1], match[2].split(":"), match[0]) for match in find_networks(prompt))


def lora_of(network: Network) -> Lora:
    """The LoRA that is written as `network`. Raises `LoraError`."""
    options = dict(item.split("=") for item in network.items if is_named(item))
    positional = [item for item in network.items if not is_named(item)]
    if not positional or not positional[0]:
        raise LoraError(NO_NAME(tag=shorten(network.tag)))
    text = options.get("te", positional[1] if len(positional) > 1 else "1")
    text_weight = number(text, network)
    if "unet" in options:
        return Lora(positional[0], text_weight, number(options["unet"], network))
    if len(positional) > 2 and is_number(positional[2]):
        return Lora(positional[0], text_weight, number(positional[2], network))
    return Lora(positional[0], text_weight, text_weight)


def others_options(network: Network) -> list[str]:
    """The items of a LoRA that are not read here: other names than ours, a third weight that is not a number, and more.

    They are block weights (`OUTALL`, `lbw=`) and steps (`stop=`) of other extensions, and the WebUI's limit of ranks.
    """
    positional = [item for item in network.items if not is_named(item)]
    later = [item for place, item in enumerate(positional[2:]) if place or not is_number(item)]
    return [item for item in network.items if is_named(item) and item.split("=")[0] not in OWN_NAMES] + later


def is_named(item: str) -> bool:
    return item.count("=") == 1


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def number(text: str, network: Network) -> float:
    if not is_number(text):
        raise LoraError(WEIGHT_NOT_A_NUMBER(tag=shorten(network.tag), text=shorten(text)))
    return float(text)
