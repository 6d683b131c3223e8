"""CLIP's tokenizer, built from the vocabulary that the installed open_clip package ships."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

START, END = 49406, 49407
"""The tokens at the start and at the end of a text. A text that is too short is filled up with the latter."""

COMMA = 267
"""The token of ",", before which long texts are cut."""

CHUNK = 75
"""Tokens of text per chunk; with start and end these are the encoder's 77 positions."""

_MERGES = 49152 - 256 - 2
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def vocabulary_file() -> Path:
    """`bpe_simple_vocab_16e6.txt.gz` of open_clip, which is found but not imported."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("CLIP's vocabulary comes with open_clip: pip install open_clip_torch")
    return Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")


@cache
def tokenizer(path: Path | None = None) -> Tokenizer:
    """CLIP's byte pair encoding, equal to transformers' `CLIPTokenizer`, from the file of merges at `path`.

    Built on the tokenizers package itself, because `CLIPTokenizer` takes other arguments in transformers 4 than in 5.
    """
    with gzip.open(path or vocabulary_file(), "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : _MERGES + 1]
    merges = [(left, right) for left, right in (line.split() for line in lines)]
    letters = _byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    bpe_tokenizer = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    bpe_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    bpe_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return bpe_tokenizer


def chunks(tokenizer: Tokenizer, text: str) -> Tensor:
    """The tokens of `text` in chunks of 75, each with start and end: (chunks, 77), at least one chunk.

    This is AUTOMATIC1111's `tokenize_line` without emphasis and BREAK, and with "comma padding" off.
    """
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    rows = []
    for begin in range(0, max(len(tokens), 1), CHUNK):
        row = tokens[begin : begin + CHUNK]
        rows.append([START, *row, END, *[END] * (CHUNK - len(row))])
    return torch.tensor(rows)


def _byte_letters() -> list[str]:
    """A printable letter per byte, in the vocabulary's order (`bytes_to_unicode` of OpenAI's CLIP)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
