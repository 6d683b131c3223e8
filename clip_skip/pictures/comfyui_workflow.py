"""ComfyUI's `workflow`, the editor's state, as the graph that it would run. It is read where there is no `prompt`.

What only the editor has is resolved: subgraphs, bypassed and muted nodes, and the Set and Get nodes of KJNodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clip_skip.pictures.comfyui_graph import MOST_NODES, Graph, Node

__all__ = ["BYPASSED", "from_workflow"]

WIDGETS = {
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSampler (Efficient)": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
    "Efficient Loader": (
        *("ckpt_name", "", "clip_skip", "", "", "", "positive", "negative", "", ""),
        *("empty_latent_width", "empty_latent_height"),
    ),
}
"""The names of the values of a node in the editor, in order."""

CONTROLS = ("fixed", "increment", "decrement", "randomize")
"""What the editor does to a seed after each picture: a value of its own after the seed."""

MUTED, BYPASSED = 2, 4

INPUTS, OUTPUTS = "-10", "-20"
"""The ids that stand for the inputs and outputs of a subgraph in its links."""

MOST_LEVELS, MOST_ENTRIES = 20, 100 * MOST_NODES
"""Of subgraphs in subgraphs; of links, inputs, outputs and values. A subgraph counts as often as it is used."""


class TooLarge(Exception):
    """A workflow of more than is read."""


@dataclass
class FlatWorkflow:
    """The nodes of a workflow and its subgraphs.

    outputs:     what an output of a subgraph is a link to
    entry_count: of what `MOST_ENTRIES` limits
    """

    definitions: Mapping[str, Mapping[str, Any]]
    nodes: dict[str, Node] = field(default_factory=dict)
    outputs: dict[tuple[str, str], Any] = field(default_factory=dict)
    node_count: int = 0
    entry_count: int = 0

    def add(self, data: Mapping[str, Any], prefix: str = "", input_values: Mapping[str, Any] | None = None) -> None:
        """Adds the nodes of the workflow or subgraph `data`.

        prefix: of their ids; input_values: the values of its inputs by their numbers
        """
        sources: dict[str, Any] = {}
        self.count(count_entries(data, "nodes"), count_entries(data, "links", "inputs"))
        for link, origin, slot, target, target_slot in links_in(data):
            value = (input_values or {}).get(slot) if origin == INPUTS else [prefix + origin, slot]
            sources[link] = value
            if target == OUTPUTS:
                self.outputs[prefix.removesuffix(":"), target_slot] = value
        for node in objects_in(data, "nodes"):
            self.count(0, count_entries(node, "inputs", "outputs", "widgets_values"))
            if "id" not in node or node.get("mode") == MUTED:
                continue
            name, inputs = f"{prefix}{node['id']}", inputs_of(node, sources)
            definition = self.definitions.get(str(node.get("type")))
            if definition is None or node.get("mode") == BYPASSED or name.count(":") >= MOST_LEVELS:
                self.nodes[name] = Node(str(node.get("type")), inputs)
            else:
                own = objects_in(definition, "inputs")
                self.add(
                    definition, f"{name}:", {str(at): inputs.get(str(one.get("name"))) for at, one in enumerate(own)}
                )

    def count(self, nodes: int, entries: int) -> None:
        self.node_count += nodes
        self.entry_count += entries
        if self.node_count > MOST_NODES or self.entry_count > MOST_ENTRIES:
            raise TooLarge

    def graph(self) -> Graph:
        setters = {
            str(node.inputs.get("")): name for name, node in self.nodes.items() if node.kind.lower().endswith("setnode")
        }
        nodes = {}
        for name, node in self.nodes.items():
            inputs = {key: self.follow_link(value) for key, value in node.inputs.items()}
            if node.kind.lower().endswith("getnode"):
                inputs["source"] = [setters.get(str(inputs.pop("", None))), "0"]
            nodes[name] = Node(node.kind, inputs)
        return Graph(nodes)

    def follow_link(self, value: Any) -> Any:
        """`value`, or where it is a link to a subgraph, the link to what is in it."""
        for _ in range(MOST_LEVELS):
            if not isinstance(value, list) or len(value) != 2 or tuple(value) not in self.outputs:
                break
            value = self.outputs[value[0], value[1]]
        return value


def from_workflow(data: object) -> Graph | None:
    """The graph of `workflow`, as far as the values of its nodes are known."""
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list) or not isinstance(data.get("links"), list):
        return None
    definitions = data.get("definitions")
    subgraphs = objects_in(definitions, "subgraphs") if isinstance(definitions, dict) else []
    flat = FlatWorkflow({str(one.get("id")): one for one in subgraphs})
    try:
        flat.add(data)
    except TooLarge:
        return None
    return flat.graph() if flat.nodes else None


def count_entries(data: Mapping[str, Any], *names: str) -> int:
    """How many entries `data` has under `names`."""
    return sum(len(value) for name in names if isinstance(value := data.get(name), (list, dict)))


def objects_in(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in the list under `name`."""
    values = data.get(name)
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def links_in(data: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Id, origin and its output, target and its input of each link, which is a list or, in subgraphs, an object."""
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    links = data.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, list) and len(link) >= len(names):
            yield tuple(map(str, link[: len(names)]))
        elif isinstance(link, dict):
            yield tuple(str(link.get(name)) for name in names)


def inputs_of(node: Mapping[str, Any], sources: Mapping[str, Any]) -> dict[str, Any]:
    """The values and links of a node; of a bypassed one the links that it passes on."""
    slots = objects_in(node, "inputs")
    is_bypassed = node.get("mode") == BYPASSED
    if is_bypassed and (types := {str(one.get("type")) for one in objects_in(node, "outputs")}):
        slots = [one for one in slots if str(one.get("type")) in types]
    inputs = {} if is_bypassed else widgets_of(node)
    for one in slots:
        if sources.get(str(one.get("link"))) is not None:
            inputs[str(one.get("name"))] = sources[str(one["link"])]
    return inputs


def widgets_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a node by their names: its own ones, those that newer editors write, or those known by order."""
    kind, values = str(node.get("type")), node.get("widgets_values")
    if isinstance(values, dict):
        return dict(values)
    if not isinstance(values, list):
        return {}
    if kind.lower().endswith(("setnode", "getnode")):
        return {"": values[0]} if values else {}
    known = WIDGETS.get(kind)
    if known:
        return {name: value for name, value in zip(known, values) if name}
    names = [
        str(widget.get("name")) for one in objects_in(node, "inputs") if isinstance(widget := one.get("widget"), dict)
    ]
    own = [value for value in values if value not in CONTROLS] if len(names) < len(values) else values
    return dict(zip(names, own)) if len(names) == len(own) else {}
