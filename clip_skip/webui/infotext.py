"""The host's own infotext key, `Clip skip`: written if it is true, whatever set the value.

Other tools and a WebUI without this extension read that key alone. The host writes its own
value there. For a picture with a tag or the panel we write the value that was used, if that is one whole number for
all its texts and encoders, which the host could have used as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from modules import infotext_utils, shared

from clip_skip.prompt.parsed import Values
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import ModelEncoders
from clip_skip.webui.hosts.header_option import header_option
from clip_skip.webui.hosts.host_encoder import HostEncoder

__all__ = ["KEY", "header_entry", "is_pasted", "note", "note_header", "stop"]

KEY = "Clip skip"


@cache
def is_pasted() -> bool:
    """Whether the host reads its own key back. Forge Neo writes it, and deliberately ignores it when pasting."""
    return KEY in infotext_utils.parse_generation_parameters(f"\nSteps: 1, Size: 8x8, Seed: 1, {KEY}: 2")


def note(p: Processing, picture: int, values: Iterable[Values], model: ModelEncoders) -> None:
    """Puts the value of `picture` (of all pictures of `p`) into its infotext.

    values: those of its sub-prompts and of its negative prompt
    """
    entry = p.extra_generation_params.setdefault(KEY, Entry())
    if isinstance(entry, Entry):
        entry[picture] = header_text(values, model)


class Entry(dict[int, str | None]):
    """A callable for the host's infotext of a picture: the values by picture.

    Called with either a global or a per-batch index; a list instead would be indexed per batch, as if every batch were
    the first. It is a dict because Forge Classic writes it into its answer as JSON.
    """

    header: tuple[str | None] | None = None
    """The host's own value, if that changes while the pictures are made: another checkpoint may have its own."""

    def __call__(self, p: Processing, index: int, all_prompts: list[str], **_: Any) -> str | None:
        of_batch = len(all_prompts) != len(p.all_prompts)
        header = hosts_own() if self.header is None else self.header[0]
        return self.get(index + p.iteration * p.batch_size if of_batch else index, header)


def hosts_own() -> str | None:
    """The host's own entry."""
    return header_entry(header_option())


def header_entry(value: int) -> str | None:
    """What the host writes of its value: AUTOMATIC1111 nothing for 1, Forge Neo always on SD1 and nothing elsewhere."""
    is_written = value > 1 if is_pasted() else getattr(shared.sd_model, "is_sd1", False)
    return str(value) if is_written else None


def note_header(p: Processing, value: object) -> None:
    """Notes the header's `value` at the start, for pictures of `p` that follow it: it may move before the end."""
    entry = p.extra_generation_params.setdefault(KEY, Entry())
    if isinstance(entry, Entry) and entry.header is None:
        entry.header = (header_entry(value) if isinstance(value, int) else hosts_own(),)


def header_text(values: Iterable[Values], model: ModelEncoders) -> str | None:
    """The host's value that is equivalent to `values`; otherwise the current one, if any text is encoded at it; else
    None, because any value would be wrong."""
    all_values = list(values)
    if not any(host.encoder.tower in one for one in all_values for host in model.hosts):
        return hosts_own()
    stops = {stop(host, one.get(host.encoder.tower)) for one in all_values for host in model.hosts}
    value = model.header_value(stops.pop()) if len(stops) == 1 else None
    if value is None:
        acts = any(
            host.header is not None and host.encoder.tower not in one for one in all_values for host in model.hosts
        )
        return hosts_own() if acts else None
    return header_entry(value)


def stop(host: HostEncoder, value: float | None) -> float:
    """The clip skip that an encoder runs at for `value`; None is the host's own."""
    encoder = host.encoder
    if value is not None:
        return encoder.clamp(value)
    if host.header is None:
        return float(encoder.native)
    least = host.least or encoder.native
    return float(min(max(header_option() + host.header, least), encoder.layers))
