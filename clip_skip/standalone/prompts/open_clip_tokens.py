"""OpenCLIP's cleaning of a text, which differs from CLIP's in transformers where the text has HTML."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tokenizers import Tokenizer

__all__ = ["open_clip_encode"]

LONG_WORD = 64
"""Letters from which on a word is split by the tokenizers package: OpenCLIP's own way takes quadratic time."""


@cache
def open_clip_encode(bpe: Tokenizer) -> Callable[[str], list[int]]:
    """The function that gives a text's tokens, without start and end. bpe: CLIP's own, with the same vocabulary."""
    import open_clip  # slow, and not needed for SD1

    reader = open_clip.tokenizer.SimpleTokenizer()
    clean, one_space = open_clip.tokenizer.basic_clean, open_clip.tokenizer.whitespace_clean

    def encode(text: str) -> list[int]:
        ids: list[int] = []
        for word in reader.pat.findall(one_space(clean(text)).lower()):
            letters = "".join(reader.byte_encoder[byte] for byte in word.encode("utf-8"))
            if len(word) < LONG_WORD:
                ids += [reader.encoder[part] for part in reader.bpe(letters).split(" ")]
            else:
                ids += [token.id for token in bpe.model.tokenize(letters)]
        return ids

    return encode
