"""ComfyUI's graph of nodes in its pictures: the inputs that reach a sampler, and the clip skip of its prompts.

`prompt` is the graph that ran: nodes by id with `class_type` and `inputs`, where a list of two is a link to another
node's output. `workflow` is the editor's state, which is read where there is no `prompt`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

__all__ = ["Graph", "Node", "from_prompt", "from_workflow"]

SKIP_INPUTS = ("stop_at_clip_layer", "clip_skip")
"""CLIPSetLastLayer's, and that of loaders that encode prompts too (Efficient Loader, Easy Use)."""

TEXT_INPUTS = ("text", "text_g", "prompt", "populated_text", "wildcard_text", "clip_l", "string")
VALUE_INPUTS = ("value", "int", "Number", "number", "Value", "INT", "float", "seed", "noise_seed")
CONDITIONINGS = ("positive", "negative", "conditioning", "guider", "cond1", "cond2", "pipe")
OF_SAMPLERS = ("sampler_name", "sampler", "sigmas", "steps", "latent_image", "noise_seed", "seed")
NOT_CONDITIONING = {
    *("model", "vae", "image", "images", "pixels", "mask", "latent", "latent_image", "samples", "control_net", "noise"),
    *("clip_vision", "clip_vision_output", "style_model", "sampler", "sigmas", "init_image", "start_image"),
}
MODEL_INPUTS = ("ckpt_name", "unet_name", "model_name")

WIDGETS = {
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
}
"""The names of the values of a node in the editor, in order."""

MUTED, BYPASSED = 2, 4

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

    def linked(self, value: object) -> str | None:
        """The id of the node that `value` is a link to."""
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)):
            return str(value[0]) if str(value[0]) in self.nodes else None
        return None

    def links(self, node: str, but: Container[str] = ()) -> dict[str, str]:
        """The inputs of `node` that are links."""
        if node not in self._links:
            pairs = ((name, self.linked(value)) for name, value in self.nodes[node].inputs.items())
            self._links[node] = {name: other for name, other in pairs if other is not None}
        links = self._links[node]
        return {name: other for name, other in links.items() if name not in but} if but else links

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
        own = ("negative",) if negative else ("positive", "conditioning", "cond1", "cond2")

        def step(node: str) -> Iterable[str]:
            if node != sampler and self.is_encoder(node):
                return ()
            links = self.links(node, NOT_CONDITIONING)
            if node == sampler or "guider" in self.nodes[node].kind.lower() or {"positive", "negative"} <= links.keys():
                prompt_sources = [links[name] for name in own if name in links]
                return prompt_sources or [links[name] for name in ("guider", "pipe") if name in links]
            return links.values()

        encoders = (node for node in self.upstream(sampler, step) if node != sampler and self.is_encoder(node))
        return list(islice(encoders, MOST_ENCODERS))

    def is_encoder(self, node: str) -> bool:
        """Whether `node` turns a text into a conditioning, where a search upstream ends."""
        inputs = self.nodes[node].inputs
        has_text = any(name in inputs for name in (*TEXT_INPUTS, "positive", "negative"))
        return has_text and (self.linked(inputs.get("clip")) is not None or any(name in inputs for name in SKIP_INPUTS))

    def skip_of(self, encoder: str) -> object:
        """The number set by the nearest node above `encoder`; None if no node sets one, "?" if it isn't known."""
        if encoder not in self._skips:
            self._skips[encoder] = self._find_skip(encoder)
        return self._skips[encoder]

    def _find_skip(self, encoder: str) -> object:
        def step(node: str) -> Iterable[str]:
            links = self.links(node)
            clips = [other for name, other in links.items() if name.startswith("clip")]
            return clips[:1] or (list(links.values()) if len(links) == 1 else ())

        for node in self.upstream(encoder, step):
            for name in SKIP_INPUTS:
                if name in self.nodes[node].inputs:
                    number = self.resolve(self.nodes[node].inputs[name], (int, float))
                    return "?" if number is None else number
        return None

    def text_of(self, encoder: str, negative: bool) -> str:
        inputs = self.nodes[encoder].inputs
        for name in (*TEXT_INPUTS, "negative" if negative else "positive"):
            text = self.resolve(inputs.get(name), str)
            if isinstance(text, str) and text:
                return text
        return ""

    def find(self, start: str, *names: str) -> object:
        """The first value under one of `names` in `start` or above it."""
        for node in self.upstream(start, lambda node: self.links(node).values()):
            for name in names:
                value = self.resolve(self.nodes[node].inputs.get(name), (int, float, str))
                if value is not None:
                    return value
        return None

    def resolve(self, value: object, kind: type | tuple[type, ...]) -> Any:
        """`value`, or the value of the node that it links to: a primitive, also through reroutes."""
        start = self.linked(value)
        if start is None:
            return value if isinstance(value, kind) and not isinstance(value, (bool, list)) else None

        def step(node: str) -> Iterable[str]:
            links = self.links(node)
            return links.values() if len(links) == 1 else [links[name] for name in VALUE_INPUTS if name in links]

        for node in self.upstream(start, step):
            inputs = self.nodes[node].inputs
            values = {
                name: one for name, one in inputs.items() if isinstance(one, kind) and not isinstance(one, (bool, list))
            }
            preferred_values = [values[name] for name in (*VALUE_INPUTS, *TEXT_INPUTS) if name in values]
            if preferred_values or len(values) == 1:
                return (preferred_values or list(values.values()))[0]
        return None


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


def from_workflow(data: object) -> Graph | None:
    """The graph of `workflow`, as far as the values of its nodes are known by their order."""
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list) or not isinstance(data.get("links"), list):
        return None
    sources = {str(link[0]): [str(link[1]), 0] for link in data["links"] if isinstance(link, list) and len(link) >= 4}
    nodes = {}
    for node in data["nodes"]:
        if isinstance(node, dict) and "id" in node and node.get("mode") != MUTED:
            nodes[str(node["id"])] = workflow_node(node, sources)
    return Graph(nodes) if 0 < len(nodes) <= MOST_NODES else None


def workflow_node(node: Mapping[str, Any], sources: Mapping[str, list[Any]]) -> Node:
    kind, values = str(node.get("type")), node.get("widgets_values")
    inputs: dict[str, Any] = {}
    if node.get("mode") != BYPASSED:
        if isinstance(values, dict):
            inputs |= values
        elif isinstance(values, list):
            inputs |= {name: value for name, value in zip(WIDGETS.get(kind, ()), values) if name}
    for one in node.get("inputs") or ():
        if isinstance(one, dict) and str(one.get("link")) in sources:
            inputs[str(one.get("name"))] = sources[str(one["link"])]
    return Node(kind, inputs)
