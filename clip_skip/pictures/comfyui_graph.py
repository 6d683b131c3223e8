"""ComfyUI's graph of nodes in its pictures: the inputs that reach a sampler, and the clip skip of its prompts.

`prompt` is the graph that ran: nodes by id with `class_type` and `inputs`, where a list of two is a link to another
node's output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from clip_skip.pictures.numbering import UNTRACEABLE

__all__ = ["MOST_NODES", "Graph", "Node", "from_prompt"]

SKIP_INPUTS = ("stop_at_clip_layer", "clip_skip", "base_clip_skip")
"""CLIPSetLastLayer's, and that of loaders that encode prompts too (Efficient Loader, Easy Use)."""

SELECTORS = ("select", "Input", "index", "switch", "boolean", "cond")
"""The inputs of switches that choose one of the others, by number or by yes and no."""

ANSWERS = {True: ("on_true", "tt_value"), False: ("on_false", "ff_value")}
"""The inputs that a switch passes on for yes and no (ComfyUI, KJNodes, Crystools, Easy Use; Impact Pack)."""

PIPES = ("guider", "pipe", "basic_pipe", "sdxl_tuple")
"""Inputs that bring a sampler its conditionings, and often its model, with other things."""

TEXT_INPUTS = ("text", "text_g", "text_l", "prompt", "populated_text", "wildcard_text", "clip_l", "string")
PART_OF_TEXT = re.compile(r"(?:string|text|prompt)_?[a-d1-9]")
"""The inputs of nodes that join texts (ComfyUI, KJNodes, WAS, Comfyroll, Easy Use)."""

VALUE_INPUTS = ("value", "int", "Number", "number", "Value", "INT", "float", "seed", "noise_seed")
POSITIVE, NEGATIVE = ("positive", "pos"), ("negative", "neg")
CONDITIONINGS = (*POSITIVE, *NEGATIVE, "conditioning", "cond1", "cond2", *PIPES)
OF_SAMPLERS = ("sampler_name", "sampler", "sigmas", "steps", "latent_image", "noise_seed", "seed")
NOT_CONDITIONING = {
    *("model", "vae", "image", "images", "pixels", "mask", "latent", "latent_image", "samples", "control_net", "noise"),
    *("clip_vision", "clip_vision_output", "style_model", "sampler", "sigmas", "init_image", "start_image"),
}
MODEL_INPUTS = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name")

LONGEST_TEXT = 100_000

MOST_NODES, MOST_SAMPLERS, MOST_ENCODERS = 2000, 20, 20
"""Larger graphs aren't read: nobody builds one by hand, and every path through a graph is followed."""


@dataclass(frozen=True)
class Node:
    kind: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    nodes: Mapping[str, Node]
    _links: dict[str, dict[str, str]] = field(default_factory=dict, init=False, compare=False, repr=False)
    _skips: dict[str, object] = field(default_factory=dict, init=False, compare=False, repr=False)
    _encoders: dict[str, bool] = field(default_factory=dict, init=False, compare=False, repr=False)
    _joint_texts: dict[str, str | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    def linked(self, value: object) -> str | None:
        """The id of the node that `value` is a link to."""
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)):
            return str(value[0]) if str(value[0]) in self.nodes else None
        return None

    def links(self, node: str, but: Container[str] = ()) -> dict[str, str]:
        """The inputs of `node` that are links."""
        if node not in self._links:
            pairs = ((name, self.linked(value)) for name, value in self.nodes[node].inputs.items())
            links = {name: other for name, other in pairs if other is not None}
            self._links[node] = links  # what is found where switches choose each other in a circle
            self._links[node] = self.choose_links(node, links)
        links = self._links[node]
        return {name: other for name, other in links.items() if name not in but} if but else links

    def choose_links(self, node: str, links: dict[str, str]) -> dict[str, str]:
        """The `links` that a switch passes on, all of them if several are possible; for other nodes, all links."""
        if links and all(name.startswith("any_") for name in links):  # rgthree's takes the first
            return dict([next(iter(links.items()))])
        selector = self.selector(node)
        if selector is None:
            return links
        choices = {name: other for name, other in links.items() if name != selector}
        value = self.resolve(self.nodes[node].inputs[selector], (bool, int))
        if isinstance(value, bool):
            chosen = {name: other for name, other in choices.items() if name in ANSWERS[value]}
        else:
            chosen = {name: other for name, other in choices.items() if re.fullmatch(rf"\D*0*{value}", name)}
        return chosen or choices

    def selector(self, node: str) -> str | None:
        """The input of `node` that makes it a switch."""
        return next((name for name in SELECTORS if name in self.nodes[node].inputs), None)

    def upstream(self, start: str, step: Callable[[str], Iterable[str]]) -> Iterator[str]:
        """`start` and every node that `step` reaches from it, each once, nearest first along each path."""
        visited, waiting = {start}, [start]
        while waiting:
            node = waiting.pop()
            yield node
            unvisited = [other for other in step(node) if other not in visited]
            visited.update(unvisited)
            waiting.extend(reversed(unvisited))

    def samplers(self) -> list[str]:
        """The nodes that make pictures of prompts."""
        samplers = (
            node
            for node, one in self.nodes.items()
            if any(name in self.links(node) for name in CONDITIONINGS)
            and any(name in one.inputs for name in OF_SAMPLERS)
        )
        return list(islice(samplers, MOST_SAMPLERS))

    def encoders(self, sampler: str, negative: bool) -> list[str]:
        """The nodes that encode the prompt, or the negative prompt, of `sampler`."""
        own = NEGATIVE if negative else (*POSITIVE, "conditioning", "cond1", "cond2")

        def step(node: str) -> Iterable[str]:
            if node != sampler and self.is_encoder(node):
                return ()
            links = self.links(node, NOT_CONDITIONING)
            both = any(name in links for name in POSITIVE) and any(name in links for name in NEGATIVE)
            if node == sampler or "guider" in self.nodes[node].kind.lower() or both:
                prompt_sources = [links[name] for name in own if name in links]
                return prompt_sources or [links[name] for name in PIPES if name in links]
            return () if "zeroout" in self.nodes[node].kind.lower() else links.values()

        encoders = (node for node in self.upstream(sampler, step) if node != sampler and self.is_encoder(node))
        return list(islice(encoders, MOST_ENCODERS))

    def is_encoder(self, node: str) -> bool:
        """Whether `node` turns a text into a conditioning, where a search upstream ends."""
        if node not in self._encoders:
            self._encoders[node] = self._encodes(node)
        return self._encoders[node]

    def _encodes(self, node: str) -> bool:
        inputs = self.nodes[node].inputs
        has_text = any(name in inputs for name in TEXT_INPUTS)
        if self.linked(inputs.get("clip")) is None:
            return (has_text or any(name in inputs for name in (*POSITIVE, *NEGATIVE))) and self.sets_skip(node)
        others = [other for name, other in self.links(node).items() if name in CONDITIONINGS]
        if has_text or not others:
            return True

        def step(one: str) -> Iterable[str]:
            return self.links(one, NOT_CONDITIONING).values()

        before = (one for other in others for one in self.upstream(other, step))
        return not any(self.linked(self.nodes[one].inputs.get("clip")) or self.sets_skip(one) for one in before)

    def sets_skip(self, node: str) -> bool:
        return any(name in self.nodes[node].inputs for name in SKIP_INPUTS)

    def skip_of(self, encoder: str) -> object:
        """The number set by the nearest node above `encoder`: None if no node sets one, UNTRACEABLE if unknown."""
        if encoder not in self._skips:
            self._skips[encoder] = self._find_skip(encoder)
        return self._skips[encoder]

    def _find_skip(self, encoder: str) -> object:
        numbers: set[object] = set()

        def step(node: str) -> Iterable[str]:
            if self.sets_skip(node):
                inputs = self.nodes[node].inputs
                value = next(inputs[name] for name in SKIP_INPUTS if name in inputs)
                number = self.resolve(value, (int, float))
                numbers.add(UNTRACEABLE if number is None else number)
                return ()
            sources = self.clip_sources(node)
            if not sources:
                numbers.add(None)
            return sources

        for _ in self.upstream(encoder, step):
            pass
        return UNTRACEABLE if len(numbers) > 1 else next(iter(numbers), None)

    def clip_sources(self, node: str) -> list[str]:
        """The nodes that the text encoder may come from that `node` uses or passes on."""
        links = self.links(node, NOT_CONDITIONING)
        if "clip" in links:
            return [links["clip"]]
        named = [other for name, other in links.items() if name.startswith("clip")]
        return named[:1] if named and self.selector(node) is None else list(links.values())

    def text_of(self, encoder: str, negative: bool) -> str:
        inputs = self.nodes[encoder].inputs
        for name in (*TEXT_INPUTS, "negative" if negative else "positive"):
            text = self.resolve(inputs.get(name), str)
            if isinstance(text, str) and text:
                return text
        return ""

    def join_texts(self, node: str) -> str | None:
        """The text of a node that joins several; None for another node."""
        if node not in self._joint_texts:
            self._joint_texts[node] = None  # what it finds where the texts go round in a circle
            inputs = self.nodes[node].inputs
            names = sorted(name for name in inputs if PART_OF_TEXT.fullmatch(name))
            delimiter = next((inputs[name] for name in ("delimiter", "separator") if name in inputs), "")
            if len(names) > 1 and isinstance(delimiter, str):
                texts = [self.resolve(inputs[name], str) for name in names]
                self._joint_texts[node] = delimiter.join(filter(None, texts))[:LONGEST_TEXT]
        return self._joint_texts[node]

    def find(self, start: str, *names: str, kind: tuple[type, ...] = (int, float, str)) -> object:
        """The first value under one of `names` in `start` or above it."""
        for node in self.upstream(start, lambda node: self.links(node).values()):
            for name in names:
                value = self.resolve(self.nodes[node].inputs.get(name), kind)
                if value is not None:
                    return value
        return None

    def resolve(self, value: object, kind: type | tuple[type, ...]) -> Any:
        """`value`, or the value of the node that it links to: a primitive, also through reroutes."""
        start = self.linked(value)
        if start is None:
            return value if is_of_kind(value, kind) else None

        def step(node: str) -> Iterable[str]:
            links = self.links(node)
            return links.values() if len(links) == 1 else [links[name] for name in VALUE_INPUTS if name in links]

        for node in self.upstream(start, step):
            inputs = self.nodes[node].inputs
            if kind is str and (text := self.join_texts(node)) is not None:
                return text
            values = {name: one for name, one in inputs.items() if is_of_kind(one, kind)}
            preferred_values = [values[name] for name in (*VALUE_INPUTS, *TEXT_INPUTS) if name in values]
            if preferred_values or len(values) == 1:
                return (preferred_values or list(values.values()))[0]
        return None


def is_of_kind(value: object, kind: type | tuple[type, ...]) -> bool:
    """Whether `value` is of this `kind`; True and False are no numbers."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def from_prompt(data: object) -> Graph | None:
    """The graph of `prompt`; None where `data` is something else."""
    if not isinstance(data, dict):
        return None
    inner = data.get("prompt")
    nodes = nodes_of(data) or (nodes_of(inner) if isinstance(inner, dict) else {})
    return Graph(nodes) if 0 < len(nodes) <= MOST_NODES else None


def nodes_of(data: Mapping[Any, Any]) -> dict[str, Node]:
    return {
        str(name): Node(str(node["class_type"]), node["inputs"])
        for name, node in data.items()
        if isinstance(node, dict) and "class_type" in node and isinstance(node.get("inputs"), dict)
    }
