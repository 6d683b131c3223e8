"""The rules of prompt editing as a grammar for lark's Earley parser: slow, but near to AUTOMATIC1111's own, which has
such a parser. `clip_skip.standalone.prompts.schedule` must give the same answers.
"""

from __future__ import annotations

from functools import lru_cache

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from clip_skip.standalone.prompts.schedule import MOST_BRACKETS, depth_of

GRAMMAR = r"""
start: (_node | stray)*
_node: text | round | square | edit | alternation
words: _node*
round: "(" words (":" words)? ")"
square: "[" words "]"
edit: "[" (words ":")? words ":" STEP "]"
alternation: "[" words ("|" words)+ "]"
!stray.-1: "(" | ")" | "[" | "]" | ":"
text: TEXT
TEXT: /(?:\\.|[^\\()\[\]:|])+/
STEP: /\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*/
"""


@lru_cache(maxsize=1)
def parser():
    return Lark(GRAMMAR, parser="earley", lexer="dynamic", maybe_placeholders=False)


def schedule(prompt, steps, first_pass=0):
    """The last step of each text that `prompt` becomes, and the text: ((10, "a cow"), (20, "a horse")).

    steps:      of the pass, counted as the calls of the UNet that its sampler makes
    first_pass: those of the pass before, in a hires pass, which whole numbers go on from
    """
    if "[" not in prompt or depth_of(prompt) > MOST_BRACKETS:
        return ((steps, prompt),)
    try:
        tree = parser().parse(prompt)
    except LarkError:
        return ((steps, prompt),)
    ends = {steps}
    text_at = joined(tree, lambda when: ends.add(when) if when >= 1 else None, steps, first_pass)
    if any(True for _ in tree.find_data("alternation")):
        ends.update(range(1, steps + 1))
    return tuple((end, text_at(end)) for end in sorted(ends))


def joined(tree, changes, steps, first_pass):
    """What the children of `tree` are at a step, one after the other."""
    leaves = [leaf(child, changes, steps, first_pass) for child in tree.children]
    return lambda step: "".join(one(step) for one in leaves)


def leaf(tree, changes, steps, first_pass):
    if isinstance(tree, Token):
        return lambda step, text=str(tree): text
    parts = [joined(child, changes, steps, first_pass) for child in tree.children if isinstance(child, Tree)]
    if tree.data == "round":
        return lambda step: f"({':'.join(part(step) for part in parts)})"
    if tree.data == "square":
        return lambda step: f"[{parts[0](step)}]"
    if tree.data == "alternation":
        return lambda step: parts[(step - 1) % len(parts)](step)
    if tree.data == "edit":
        when = change(str(tree.children[-1]), steps, first_pass)
        changes(when)
        before, after = parts if len(parts) == 2 else (lambda step: "", parts[0])
        return lambda step: before(step) if step <= when else after(step)
    return joined(tree, changes, steps, first_pass)


def change(written, steps, first_pass):
    """The last step before an edit: a number with a point is a share of the steps, one without counts them."""
    number = float(written.strip())
    if "." in written:
        return int(max(min((number - (1 if first_pass else 0)) * steps, steps), 0))
    return int(max(min(number - first_pass, steps), 0))
