"""The host's own infotext key, `Clip skip`: said where it is true, whoever decided the value.

Other tools and a WebUI without this extension read that key alone. The host writes its own
value there; a picture that a tag or the panel made says what it was made at, where that is
one whole value for all its texts and encoders which the host could have made as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from modules import infotext_utils, shared

from clip_skip.encoder import TextEncoder
from clip_skip.webui.hosts.encoders import encoders, header_value
from clip_skip.webui.hosts.host_encoder import HostEncoder

__all__ = ["KEY", "is_pasted", "note", "stop"]

KEY = "Clip skip"


@cache
def is_pasted() -> bool:
    """Whether the host reads its own key back. Forge Neo writes it, and throws it away on purpose when it is pasted."""
    return KEY in infotext_utils.parse_generation_parameters(f"\nSteps: 1, Size: 8x8, Seed: 1, {KEY}: 2")


def note(p: Any, picture: int, asked: Iterable[dict[str, float]]) -> None:
    """Puts the value of `picture` (of all pictures of `p`) into its infotext.

    asked: what its sub-prompts and its negative prompt ask for by tower; one that is not in it takes the host's own.
    """
    entry = p.extra_generation_params.setdefault(KEY, Entry())
    if isinstance(entry, Entry):
        entry[picture] = said(asked)


class Entry(dict[int, str | None]):
    """What the host calls for the infotext of a picture: the values by picture.

    It asks in two ways, for a picture of all and for one of the batch in hand, with the same `index`;
    a list in its place would be read by the latter as if every batch were the first. Forge Classic fails to write
    into its answer what JSON does not know, so it is a dict.
    """

    def __call__(self, p: Any, index: int, all_prompts: list[str], **_: Any) -> str | None:
        of_batch = len(all_prompts) != len(p.all_prompts)
        return self.get(index + p.iteration * p.batch_size if of_batch else index, hosts_own())


def hosts_own() -> str | None:
    """What the host writes: nothing for 1."""
    value = shared.opts.CLIP_stop_at_last_layers
    return str(value) if value > 1 else None


def said(asked: Iterable[dict[str, float]]) -> str | None:
    """The host's value that makes what was asked for; the host's own, where there is none."""
    hosts = encoders(shared.sd_model)
    stops = {stop(host, one.get(host.encoder.tower)) for one in asked for host in hosts}
    value = header_value(shared.sd_model, stops.pop()) if len(stops) == 1 else None
    if value is None:
        return hosts_own()
    return str(value) if value > 1 else None


def stop(host: HostEncoder, value: float | None) -> float:
    """The clip skip that an encoder runs at when `value` is asked for, None being the host's own."""
    encoder: TextEncoder = host.encoder
    if value is not None:
        return encoder.clamp(value)
    if host.header is None:
        return float(encoder.native)
    least = host.least or encoder.native
    return float(min(max(shared.opts.CLIP_stop_at_last_layers + host.header, least), encoder.layers))
