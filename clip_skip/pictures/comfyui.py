"""ComfyUI's pictures: the graph in them, in the WebUI's words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clip_skip.pictures.comfyui_graph import MODEL_INPUTS, PIPES, Graph, from_prompt
from clip_skip.pictures.comfyui_workflow import from_workflow
from clip_skip.pictures.container import PictureTexts
from clip_skip.pictures.infotext import Infotext
from clip_skip.pictures.json_text import loads
from clip_skip.pictures.numbering import UNTRACEABLE
from clip_skip.pictures.samplers import webui_names

__all__ = ["graph_of", "read_comfyui_graph"]

GRAPH_PLACES = ("prompt", "Model", "ImageDescription", "UserComment", "parameters", "Make", "workflow", "comment")
"""PNG's chunks; Make and Model in WebP; UserComment in what Civitai serves; a file with the graph alone."""

GRAPH_PREFIX = re.compile(r"\s*(?:prompt|workflow)\s*:\s*(?=[{\[])", re.IGNORECASE)
LOADERS = {
    **{"stable_diffusion": "", "sdxl": "SDXL", "sd3": "SD3", "flux": "Flux", "flux2": "Flux.2", "wan": "Wan"},
    **{"chroma": "Chroma", "lumina2": "Lumina 2", "qwen_image": "Qwen-Image", "hunyuan_video": "Hunyuan Video"},
}
"""The families by the `type` of a loader of text encoders; any other type is a model that is not named here."""

WIDTHS, HEIGHTS = ("width", "empty_latent_width"), ("height", "empty_latent_height")


def graph_of(texts: PictureTexts) -> Graph | None:
    """The graph that ran, otherwise the one in the editor."""
    parsed_texts = [loads(without_prefix(texts.get(place))) for place in GRAPH_PLACES if texts.get(place)]
    graphs = [
        graph for read_graph in (from_prompt, from_workflow) for one in parsed_texts if (graph := read_graph(one))
    ]
    return graphs[0] if graphs else None


def without_prefix(text: str) -> str:
    """`text` without the name of its key, which some formats put before a graph."""
    prefix = GRAPH_PREFIX.match(text)
    return text[prefix.end() :] if prefix else text


def read_comfyui_graph(texts: PictureTexts) -> Infotext | None:
    """The infotext of the graph; None where there is no graph."""
    graph = graph_of(texts)
    if graph is None:
        return None
    samplers = graph.samplers()
    main = next((one for one in samplers if starts_from_nothing(graph, one)), samplers[0] if samplers else None)
    fallback = UNTRACEABLE if any(graph.sets_skip(node) for node in graph.nodes) else None
    if main is None:
        return Infotext("", "", {}, "ComfyUI", family_of(graph), fallback)
    prompt, negative = (prompt_of(graph, main, negative) for negative in (False, True))
    skips = list(dict.fromkeys(pair for one in samplers for pair in skips_of(graph, one)))
    numbers = dict.fromkeys(number for _, number in skips)
    several = len(numbers) > 1
    text = fallback if not skips else None if several else skips[0][1] or None
    values = {name: str(value) for name, value in sampler_settings(graph, main, texts) if value is not None}
    if len(samplers) > 1:
        values["Other samplers"] = str(len(samplers) - 1)
    return Infotext(prompt, negative, values, "ComfyUI", family_of(graph), text, tuple(skips) if several else ())


def starts_from_nothing(graph: Graph, sampler: str) -> bool:
    """Whether it samples an empty latent, not the output of another sampler."""
    latent = latent_of(graph, sampler)
    return latent is not None and any(name in graph.nodes[latent].inputs for name in WIDTHS)


def latent_of(graph: Graph, sampler: str) -> str | None:
    """The node whose latent it samples."""
    links = graph.links(sampler)
    return links.get("latent_image") or links.get("samples")


def prompt_of(graph: Graph, sampler: str, negative: bool) -> str:
    texts = (graph.text_of(encoder, negative) for encoder in graph.encoders(sampler, negative))
    return "\n".join(dict.fromkeys(text for text in texts if text))


def skips_of(graph: Graph, sampler: str) -> Iterator[tuple[str, str]]:
    """For each prompt encoder: which prompt it encodes, and the clip skip it sets as ComfyUI counts ("" for none)."""
    for part, negative in (("prompt", False), ("negative prompt", True)):
        for encoder in graph.encoders(sampler, negative):
            number = graph.skip_of(encoder)
            yield part, "" if number is None else str(number)


def sampler_settings(graph: Graph, sampler: str, texts: PictureTexts) -> Iterator[tuple[str, object]]:
    inputs = graph.nodes[sampler].inputs
    own = {name: graph.resolve(inputs.get(name), (int, float, str)) for name in inputs}

    def near(*names: str) -> object:
        """A setting of the sampler, or of a node that supplies its noise, its noise levels or its guider."""
        for name in names:
            if own.get(name) is not None:
                return own[name]
        for place in ("noise", "sigmas", "sampler", "guider"):
            other = graph.links(sampler).get(place)
            value = graph.find(other, *names) if other else None
            if value is not None:
                return value
        return None

    name, schedule = webui_names(str(near("sampler_name") or ""), str(near("scheduler") or ""))
    yield "Steps", near("steps")
    yield "Sampler", name or None
    yield "Schedule type", schedule or None
    yield "CFG scale", near("cfg")
    yield "Seed", near("seed", "noise_seed")
    yield "Size", size_of(graph, sampler) or (texts.size and "{}x{}".format(*texts.size))
    links = graph.links(sampler)
    model = next((links[name] for name in ("model", *PIPES) if name in links), None)
    yield "Model", graph.find(model, *MODEL_INPUTS) if model else None
    yield "RNG", "CPU"
    strength = near("denoise")
    yield "Denoising strength", strength if strength != 1 else None


def size_of(graph: Graph, sampler: str) -> str | None:
    latent = latent_of(graph, sampler)
    numbers = [graph.find(latent, *names, kind=(int,)) for names in (WIDTHS, HEIGHTS)] if latent else []
    return "{}x{}".format(*numbers) if numbers and None not in numbers else None


def family_of(graph: Graph) -> str:
    """The model's family, as far as the nodes' types show it."""
    for node in graph.nodes.values():
        if "CLIPTextEncodeSDXL" in node.kind or "base_clip_skip" in node.inputs:
            return "SDXL"
        if node.kind == "TripleCLIPLoader":
            return "SD3"
        kind = node.inputs.get("type") if "CLIPLoader" in node.kind else None
        if isinstance(kind, str) and (family := LOADERS.get(kind.lower(), kind[:40])):
            return family
    return ""
