"""This extension's state of one generation: a `State` on the host's processing object, `p.clip_skip_state`.

(`p.clip_skip` is the hosts' own name: they write its number into the infotext.)

Its life:

    before `process`     A sweep or an axis gives its copy of `p` a State with what it sets (`overrides`, `batch`, ...).
                         Otherwise there is none: an extension sends all attributes of `p` to other machines.
    `process`            `generation.begin` replaces it by a new one with the same settings, because a script may run
                         `p` more than once, and a shallow copy of `p` must not share it.
    each batch           `mark_prompts` fills in `unmarked` and `hires_prompts`, `warn` collects `warnings`.
    `postprocess`        `generation.end` puts warnings, suggestions and a sweep's cells into the host's answer.

ADetailer's passes are generations with a State of their own; they get the panel of their picture (second_pass.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clip_skip.messages.message import Message
from clip_skip.panel import Panel
from clip_skip.prompt.override import Override
from clip_skip.prompt.parsed import Values
from clip_skip.sweep.plan import SweepCell, SweepPlan
from clip_skip.sweep.rows import Rows, Value
from clip_skip.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from clip_skip.webui.host_types import Processing

__all__ = ["RowTexts", "State", "SweepBatch", "SweepGrid", "state_of"]


@dataclass(frozen=True)
class RowTexts:
    """The texts of a sweep's batch, where they differ: `prompt` and `negative` as they are in the row of each value."""

    rows: Rows
    values: Sequence[Value]
    prompt: str
    negative: str

    def of(self, picture: int, prompt: str, negative: str) -> tuple[str, str]:
        """The row's version of `prompt` and `negative`, the host's texts for that picture.

        Only the user's own text is replaced, and text added by styles is kept; but if another extension has changed
        the user's text, all of it is replaced.
        """
        value = self.values[picture]
        instead, instead_negative = self.rows.texts(self.prompt, self.negative, value)
        other, other_negative = self.rows.texts(prompt, negative, value)
        return (
            prompt.replace(self.prompt, instead, 1) if self.prompt and self.prompt in prompt else other,
            negative.replace(self.negative, instead_negative, 1)
            if self.negative and self.negative in negative
            else other_negative,
        )


@dataclass
class SweepBatch:
    """One batch of a sweep: its cells' settings, and findings from when it was made.

    seeds:           one for each picture
    row_texts:       the rows' texts, where they differ within the batch
    cfg_scales:      one for each picture, where they differ
    same_input:      whether all pictures have the same texts and the same seed
    host_texts:      the host's texts, before other extensions changed them
    pieces_shared:   another extension encoded a piece of the prompt for all pictures, whose clip skips differ
    texts_changed:   another extension changed the texts
    texts_rewritten: it changed them in a way that is only right for the first picture
    """

    seeds: list[int]
    row_texts: RowTexts | None = None
    cfg_scales: list[float] | None = None
    same_input: bool = False
    host_texts: list[list[str]] = field(default_factory=list)
    pieces_shared: bool = False
    texts_changed: bool = False
    texts_rewritten: bool = False

    @property
    def must_be_split(self) -> bool:
        """Whether its pictures should not have shared a batch."""
        return self.pieces_shared or self.texts_rewritten


@dataclass
class SweepGrid:
    """The cells of one seed of a sweep.

    last:            the host's processing object of the last batch
    pieces_shared, texts_rewritten: as in `SweepBatch`, for every batch from now on
    save_problem:    why the cells could not be saved
    identities:      of every cell (webui/sweep/identity.py)
    reused_count:    the number of cells that were finished before
    """

    settings: SweepSettings
    plan: SweepPlan
    last: Processing | None = None
    pieces_shared: bool = False
    texts_rewritten: bool = False
    save_problem: Message | None = None
    identities: dict[SweepCell, str | None] = field(default_factory=dict)
    reused_count: int = 0


@dataclass
class State:
    """The values set by a sweep or an axis, and the state of one generation.

    overrides:     one for each picture, or one for all
    check_model:   raises ValueError where the loaded model is not deep enough for the sweep
    batch, job:    the sweep's, in the State of its batches and of its jobs
    panels:        one for each picture, or one for all
    warnings:      already shown to the user
    suggestions:   {"text", "value"} for the page's buttons
    cells:         a sweep's grids, for the page's viewer
    unmarked:      by (negative, hires), the values of an unmarked piece of the prompt; None where the pictures differ
    hires_prompts: while a batch is marked: the attribute's name, its value before, the texts of this batch
    """

    overrides: Sequence[Override] = ()
    check_model: Callable[[Any], object] | None = None
    batch: SweepBatch | None = None
    job: SweepGrid | None = None
    panels: list[Panel] = field(default_factory=list)
    warnings: list[Message | str] = field(default_factory=list)
    suggestions: list[dict[str, Any]] = field(default_factory=list)
    cells: list[Any] = field(default_factory=list)
    unmarked: dict[tuple[bool, bool], Values | None] = field(default_factory=dict)
    hires_prompts: list[tuple[str, list[str], Sequence[str]]] = field(default_factory=list)

    def begin(self, panel: Panel) -> State:
        """The State for the start of a generation: the values set for it, and nothing from an earlier one."""
        return State(self.overrides, self.check_model, self.batch, self.job, [panel])


def state_of(p: object) -> State:
    """The State of `p`; an empty one, which is not put on `p`, where there is none yet."""
    state: State | None = getattr(p, "clip_skip_state", None)
    return State() if state is None else state
