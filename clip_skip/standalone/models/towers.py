"""A model's text encoders as its prompts go through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tokenizers import Tokenizer
from torch import nn

from clip_skip.standalone.models.sizes import FAMILY_TOWERS
from clip_skip.standalone.models.text_encoders import describe_text_encoder
from clip_skip.standalone.prompts.open_clip_tokens import open_clip_encode
from clip_skip.standalone.prompts.tokens import END
from clip_skip.standalone.prompts.tower import Tower

__all__ = ["towers_of"]


def towers_of(
    family: str, modules: Sequence[nn.Module], tokenizer: Tokenizer, bring: Callable[[], None] = lambda: None
) -> Iterator[Tower]:
    """The text encoders of a model as its prompts go through them; `tokenizer` is CLIP's own.

    bring: has `modules` on the device on which they run
    """
    clip_encode = lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)
    for tower, module in zip(FAMILY_TOWERS[family], modules):
        encode, padding = (clip_encode, END) if tower == "l" else (open_clip_encode(tokenizer), 0)
        yield Tower(describe_text_encoder(family, tower, module), module, encode, padding, tower == "g", bring)
