import re

import torch

from modules import shared


class FrozenCLIPEmbedderWithCustomWords(torch.nn.Module):
    """SD1's encoder as the host wraps it: 75 words a chunk, (B, chunks * 77, D)."""

    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped
        self.encoded = []  # the tokens of every call

    def forward(self, texts):
        words = [[hash_of(word) for word in re.findall(r"\S+", text)] for text in texts]
        chunks = max(1, *((len(row) + 74) // 75 for row in words))
        rows = [[row[75 * i : 75 * i + 75] for row in words] for i in range(chunks)]
        return torch.hstack([self.encode_with_transformers(self.pad(chunk)) for chunk in rows])

    def pad(self, rows):
        return torch.tensor([[98, *row, *[99] * (76 - len(row))] for row in rows])

    def encode_with_transformers(self, tokens):
        self.encoded.append(tokens)
        skip = shared.opts.CLIP_stop_at_last_layers
        outputs = self.wrapped.transformer(input_ids=tokens, output_hidden_states=skip > 1)
        if skip > 1:
            parts = getattr(self.wrapped.transformer, "text_model", self.wrapped.transformer)
            return parts.final_layer_norm(outputs.hidden_states[-skip])
        return outputs.last_hidden_state


def hash_of(word):
    return sum(word.encode()) % 97
