"""A CLIP text encoder in torch alone, to look at its layers: importing transformers takes twice as long as torch.

Its parts have the names that they have in transformers, whose own module makes the pictures, because LoRAs are loaded
into that one. Source: `CLIPTextModel` of transformers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from clip_skip.standalone.models.sizes import TextSizes

__all__ = ["ClipText"]


class Attention(nn.Module):
    def __init__(self, text: TextSizes) -> None:
        super().__init__()
        self.heads = text.heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(text.width, text.width) for _ in range(4))

    def forward(self, state: Tensor) -> Tensor:
        parts = (part(state) for part in (self.q_proj, self.k_proj, self.v_proj))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        result: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return result


class FeedForward(nn.Module):
    def __init__(self, text: TextSizes, quick: bool) -> None:
        super().__init__()
        self.quick = quick
        self.fc1, self.fc2 = nn.Linear(text.width, text.inner), nn.Linear(text.inner, text.width)

    def forward(self, state: Tensor) -> Tensor:
        inner = self.fc1(state)
        result: Tensor = self.fc2(inner * torch.sigmoid(1.702 * inner) if self.quick else gelu(inner))
        return result


class Block(nn.Module):
    def __init__(self, text: TextSizes, quick: bool) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(text), FeedForward(text, quick)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(text.width), nn.LayerNorm(text.width)

    def forward(self, state: Tensor) -> Tensor:
        state = state + self.self_attn(self.layer_norm1(state))
        result: Tensor = state + self.mlp(self.layer_norm2(state))
        return result


class ClipText(nn.Module):
    """Tokens (B, L) to the last hidden state (B, L, D), normed."""

    def __init__(self, text: TextSizes, quick: bool) -> None:
        """quick: whether the activation is OpenAI's "quick GELU", or else OpenCLIP's GELU"""
        super().__init__()
        # `nn.Embedding` begins with normal noise, for which torch, on the meta device, imports its compiler
        tables = (torch.empty(rows, text.width) for rows in (text.vocabulary, text.positions))
        token, position = map(nn.Embedding.from_pretrained, tables)
        self.embeddings = nn.ModuleDict({"token_embedding": token, "position_embedding": position})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(Block(text, quick) for _ in range(text.layers))})
        self.final_layer_norm = nn.LayerNorm(text.width)
        if text.projection:  # not used, but a file in which it is broken is refused, as for pictures
            self.text_projection = nn.Linear(text.width, text.projection, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        state = self.embeddings["token_embedding"](tokens) + self.embeddings["position_embedding"](places)
        for block in self.encoder["layers"].children():
            state = block(state)
        result: Tensor = self.final_layer_norm(state)
        return result
