"""A text encoder of a model that makes pictures: how it reads texts, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clip_skip.encoder import TextEncoder, conditionings
from clip_skip.standalone.prompts.tokens import END

__all__ = ["Tower"]


@dataclass(frozen=True)
class Tower:
    """encoder: its blocks, norm and native value
    module:    a CLIPTextModel of transformers, with a projection where it pools
    encode:    a text's tokens, without start and end
    padding:   the token after the first end
    pools:     whether the UNet also gets its pooled vector (SDXL's second)
    bring:     moves `module` to the device on which it runs
    """

    encoder: TextEncoder
    module: nn.Module
    encode: Callable[[str], list[int]]
    padding: int = END
    pools: bool = False
    bring: Callable[[], None] = lambda: None

    def run(self, tokens: Sequence[int], values: Sequence[float]) -> tuple[dict[float, Tensor], Tensor | None]:
        """The conditioning (1, 77, D) at each of `values` from one pass, and the pooled vector (1, P)."""
        self.bring()
        end = tokens.index(END) + 1
        row = torch.tensor([[*tokens[:end], *[self.padding] * (len(tokens) - end)]])
        row = row.to(next(self.module.parameters()).device)
        outputs: list[Tensor] = []
        forward = lambda: outputs.append(self.module(row)[0])
        with torch.inference_mode():
            states = conditionings(self.encoder, forward, values, early_exit=not self.pools)
        return states, outputs[0] if self.pools else None
