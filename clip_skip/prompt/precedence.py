"""The order of precedence: a sub-prompt's tag, then the prompt's tag, then the panel, then the host's own value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from clip_skip.prompt.parsed import TOWERS, Prompt, Values, parse_negative, parse_prompt, resolve_values
from clip_skip.skip import Skip

__all__ = ["Texts", "prompt_tag", "prompt_values", "without_prompt_tag"]


@dataclass(frozen=True)
class Texts:
    """The texts of one picture in one pass, and the values that apply where they set none.

    panel, panel_negative: the panel's values for prompt and negative prompt
    hires:      whether it is the hires pass
    first_pass: the prompt of the first pass, whose tag a hires prompt follows
    towers:     the text encoders of the model; values for others are left out
    """

    prompt: str
    negative: str
    panel: Skip | None = None
    panel_negative: Skip | None = None
    hires: bool = False
    first_pass: str = ""
    towers: Collection[str] = TOWERS

    @cached_property
    def prompts(self) -> tuple[Prompt, Prompt]:
        """Prompt and negative prompt."""
        return parse_prompt(self.prompt), parse_negative(self.negative)

    def marked(self) -> tuple[str, str]:
        """Prompt and negative prompt, marked."""
        prompt, negative = self.prompts
        return (
            prompt.mark(self._follows(False), self.hires, self.towers),
            negative.mark(self._follows(True), self.hires, self.towers),
        )

    def values(self) -> list[Values]:
        """The values of every part of the prompt and the negative prompt."""
        prompt, negative = self.prompts
        return [
            *prompt.values(self._follows(False), self.hires, self.towers),
            *negative.values(self._follows(True), self.hires, self.towers),
        ]

    def unmarked(self, negative: bool) -> Values:
        """The values for a piece of the prompt or of the negative prompt that has lost its marker."""
        if not negative:
            return resolve_values(self._follows(False), self.hires, self.towers)
        return self.prompts[1].values(self._follows(True), self.hires, self.towers)[0]

    def _follows(self, negative: bool) -> list[Skip]:
        panel = self.panel_negative or self.panel if negative else self.panel
        tags = (self.prompts[0].tag, parse_prompt(self.first_pass).tag)
        return [level for level in (*tags, panel) if level]


def prompt_tag(prompt: str) -> Skip | None:
    """The value of the prompt's own tag."""
    return parse_prompt(prompt).tag


def without_prompt_tag(prompt: str) -> str:
    """`prompt` without its own tag; all others stay as they are."""
    return parse_prompt(prompt).without_own_tag


def prompt_values(prompt: str, negative: str, default: float, tower: str = "l") -> tuple[float, float]:
    """The clip skip of prompt and negative prompt, each as a whole, for one encoder."""
    texts = Texts(prompt, negative)
    return texts.unmarked(False).get(tower, default), texts.unmarked(True).get(tower, default)
