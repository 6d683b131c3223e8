"""Small text encoders that are not CLIP, as Forge and Forge Neo hold them: blocks, norms, engines, with their ways.

After the sources of Forge f2.0.1, Forge Neo 2.26 and its later engines on ComfyUI's `SDClipModel`: T5 adds in place,
its engine stacks rows of one length; UMT5's masks them; Gemma and Qwen return the normed top and the layer that is
asked for; templates are put around the text, and Qwen-Image's is cut off again; Anima's states go through an adapter.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import torch

from .host_models import WIDTH, ClassicTextProcessingEngine, Engine, randomize

LAYERS = 6
WORD = re.compile(r"\(([^():]+):([\d.]+)\)")


class RMSNorm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(WIDTH))

    def forward(self, state):
        return self.weight * state * torch.rsqrt(state.pow(2).mean(-1, keepdim=True) + 1e-6)


class Block(torch.nn.Module):
    """Mixes the tokens that `mask` (B, L) lets in, then adds: in place as T5 does, or not as LLaMAs do."""

    def __init__(self, in_place):
        super().__init__()
        self.in_place = in_place
        self.norm, self.mix, self.own = RMSNorm(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH)

    def forward(self, state, mask):
        normed = self.norm(state)
        seen = torch.cumsum(normed * mask, dim=1) / mask.cumsum(dim=1).clamp(min=1)
        change = torch.tanh(self.mix(seen) + self.own(normed))
        if self.in_place:
            state += change
            return state, None
        return state + change, (seen, normed)


def mask_of(tokens, mask):
    return torch.ones(*tokens.shape[:2], 1) if mask is None else mask[..., None].float()


class T5(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.shared, self.encoder = torch.nn.Embedding(100, WIDTH), torch.nn.Module()
        self.encoder.block = torch.nn.ModuleList(Block(True) for _ in range(LAYERS))
        self.encoder.final_layer_norm = RMSNorm()
        self.num_layers = LAYERS

    def forward(self, input_ids, attention_mask=None, embeds=None, **_):
        state = self.shared(input_ids) if embeds is None else embeds.clone()
        for block in self.encoder.block:
            state, _ = block(state, mask_of(state, attention_mask))
        return (self.encoder.final_layer_norm(state), None) if embeds is not None else self.norm(state)

    def norm(self, state):
        return self.encoder.final_layer_norm(state)

    def get_input_embeddings(self):
        return self.shared


class Llama(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Module()
        self.model.embed_tokens = torch.nn.Embedding(100, WIDTH)
        self.model.layers = torch.nn.ModuleList(Block(False) for _ in range(LAYERS))
        self.model.norm = RMSNorm()
        self.num_layers = LAYERS
        self.adapter = torch.nn.Linear(WIDTH, WIDTH)

    def forward(self, _, attention_mask=None, embeds=None, intermediate_output=None, **more):
        state, intermediate = embeds, None
        for index, layer in enumerate(self.model.layers):
            state, _ = layer(state, mask_of(state, attention_mask))
            if intermediate_output is not None and index == LAYERS + intermediate_output:
                intermediate = state.clone()
        if intermediate is not None and more["final_layer_norm_intermediate"]:
            intermediate = self.model.norm(intermediate)
        return self.norm(state), intermediate

    def norm(self, state):
        return self.model.norm(state)

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def preprocess_text_embeds(self, state, t5_tokens):
        return self.adapter(state).mean(1, keepdim=True).expand(-1, t5_tokens.shape[1], -1).clone()


class SDClipModel(torch.nn.Module):
    """ComfyUI's, as the later engines have it."""

    def __init__(self, transformer, layer, layer_idx, layer_norm_hidden_state=False):
        super().__init__()
        self.transformer, self.layer, self.layer_idx = transformer, layer, layer_idx
        self.layer_norm_hidden_state = layer_norm_hidden_state

    def forward(self, embeds, mask):
        made = self.transformer(
            None,
            attention_mask=mask,
            embeds=embeds,
            intermediate_output=self.layer_idx,
            final_layer_norm_intermediate=self.layer_norm_hidden_state,
        )
        return made[0] if self.layer == "last" else made[1]


class TextEngine:
    """Texts to rows, a text at a time, each text once a call; BREAK makes rows of its own of what follows it."""

    template, stacks, normed, native = "{}", False, False, 2

    def __init__(self, text_encoder):
        self.text_encoder, self.seen = text_encoder, []
        if type(self).native > 1:
            self.intermediate_output, self.layer_norm_hidden_state = -type(self).native, False

    def tokenize(self, texts):
        return [[sum(word.encode()) % 97 + 1 for word in text.split()] for text in texts]

    def tokenize_line(self, line):
        """Tokens and their weights."""
        pieces = WORD.split(line)  # plain, (word, weight), plain, ...
        texts = [(text, 1.0) for text in pieces[::3]]
        for at, pair in enumerate(zip(pieces[1::3], pieces[2::3])):
            texts.insert(2 * at + 1, (pair[0], float(pair[1])))
        tokens = [(token, weight) for text, weight in texts for token in self.tokenize([text])[0]]
        return [token for token, _ in tokens] or [0], [weight for _, weight in tokens] or [1.0]

    def __call__(self, texts, images=None):
        assert not images or len(texts) == 1
        self.seen += texts
        kept = {}
        for line in texts:
            if line not in kept:
                kept[line] = [
                    self.encode(*self.tokenize_line(self.template.format(part))) for part in line.split("BREAK")
                ]
        rows = [row for line in texts for row in kept[line]]
        return torch.stack(rows) if self.stacks else rows

    def encode(self, tokens, weights):
        embeds = self.text_encoder.get_input_embeddings()(torch.tensor([tokens])) * torch.tensor(weights)[:, None]
        return self.finish(self.run(embeds, None), tokens, weights)

    def run(self, embeds, mask):
        layer = getattr(self, "intermediate_output", None)
        made = self.text_encoder(
            None, attention_mask=mask, embeds=embeds, intermediate_output=layer, final_layer_norm_intermediate=False
        )
        return made[0] if layer is None else made[1]

    def finish(self, state, tokens, weights):
        """What the engine makes of the encoder's state (1, L, D): a row."""
        return state[0]


class T5TextProcessingEngine(TextEngine):
    stacks, normed, native = True, True, 1

    def tokenize_line(self, line):
        tokens, weights = super().tokenize_line(line)
        padding = 16 - len(tokens)
        return tokens + [0] * padding, weights + [1.0] * padding

    def encode(self, tokens, weights):
        return self.finish(self.text_encoder(input_ids=torch.tensor([tokens])), tokens, weights)

    def finish(self, state, tokens, weights):
        return (state * torch.tensor(weights)[:, None])[0]


class UMT5TextProcessingEngine(T5TextProcessingEngine):
    def mask(self, tokens):
        return (torch.tensor([tokens]) > 0).float()

    def encode(self, tokens, weights):
        made = self.text_encoder(input_ids=torch.tensor([tokens]), attention_mask=self.mask(tokens))
        return self.finish(made, tokens, weights)

    def finish(self, state, tokens, weights):
        state *= self.mask(tokens)[..., None]  # in place
        return super().finish(state, tokens, weights)


class GemmaTextProcessingEngine(TextEngine):
    template = "bos {}"

    def __call__(self, texts, images=None):
        assert texts.is_negative_prompt in (True, False)  # of the host's own class
        return super().__call__(texts)


class Qwen3TextProcessingEngine(TextEngine):
    template = "user {} assistant"


class Ministral3TextProcessingEngine(TextEngine):
    pass


class QwenTextProcessingEngine(TextEngine):
    template, normed, native = "describe the image {}", True, 1

    def finish(self, state, tokens, weights):
        return state[0, 3:]


class AnimaTextProcessingEngine(TextEngine):
    normed, native = True, 1

    def finish(self, state, tokens, weights):
        made = self.text_encoder.preprocess_text_embeds(state, torch.tensor([tokens]))
        return made * torch.tensor(weights)[:, None]


class GemmaItTextProcessingEngine(GemmaTextProcessingEngine):
    normed, native = True, 1


class ComfyEngine(TextEngine):
    """A later engine: `layer` and `layer_idx` are `SDClipModel`'s."""

    layer, layer_idx = "hidden", -2

    def __init__(self, text_encoder):
        self.text_encoder, self.seen = SDClipModel(text_encoder, self.layer, self.layer_idx), []

    def encode(self, tokens, weights):
        embeds = self.text_encoder.transformer.get_input_embeddings()(torch.tensor([tokens]))
        return self.finish(self.text_encoder(embeds * torch.tensor(weights)[:, None], None), tokens, weights)


class Qwen34BEngine(ComfyEngine):
    template = "user {} assistant"


class Gemma22BEngine(ComfyEngine):
    pass


class Qwen25VL7BEngine(ComfyEngine):
    layer, layer_idx, normed, native = "last", None, True, 1


class Qwen3VL8BEngine(ComfyEngine):
    layer_idx, native = -1, 1


class T5XXLEngine(ComfyEngine):
    """Pads all texts of a call to the longest of them."""

    layer, layer_idx, normed, native, stacks = "last", None, True, 1, True
    length = 0

    def __call__(self, texts, images=None):
        parts = [part for line in texts for part in line.split("BREAK")]
        self.length = max(len(super(T5XXLEngine, self).tokenize_line(part)[0]) for part in parts)
        return super().__call__(texts)

    def tokenize_line(self, line):
        tokens, weights = super().tokenize_line(line)
        padding = self.length - len(tokens)
        return tokens + [0] * padding, weights + [1.0] * padding


class KleinTextProcessingEngine(TextEngine):
    """Flux.2 klein's: three layers side by side."""

    def __init__(self, text_encoder):
        super().__init__(text_encoder)
        self.intermediate_output = [1, 2, 3]

    def run(self, embeds, mask):
        return torch.cat([embeds, embeds, embeds], dim=-1)


class Qwen3VLTextProcessingEngine(KleinTextProcessingEngine):
    """Krea 2's."""


class SomethingElseEngine(TextEngine):
    """An engine that nobody knows yet."""


class PooledClip:
    """Flux's CLIP-L, of which the pooled vector alone is used."""

    def __call__(self, texts):
        return None, torch.stack([torch.full((4,), float(len(text))) for text in texts])


class Later:
    """A diffusion engine of Forge's for a model after SDXL."""

    pools = False

    def __init__(self, attribute, engine):
        self.is_sd1 = self.is_sd2 = self.is_sdxl = False
        self.forge_objects = SimpleNamespace()
        self.calls, self.name = 0, f"text_processing_engine_{attribute}"
        self.engine = engine
        if self.pools:
            self.text_processing_engine_l = PooledClip()
        setattr(self, self.name, engine)

    @property
    def seen(self):
        return self.engine.seen

    def get_learned_conditioning(self, texts):
        self.calls += 1
        crossattn = getattr(self, self.name)(texts)
        return {"crossattn": crossattn, "vector": self.text_processing_engine_l(texts)[1]} if self.pools else crossattn


class Flux(Later):
    pools = True


class StableDiffusion3(Engine):
    """Forge's SD3: its CLIPs are not normed and act from 1 on; T5's rows come after theirs."""

    def __init__(self):
        clips = [ClassicTextProcessingEngine(n, f"clip_{tower}", 1, False, True) for n, tower in ((12, "l"), (32, "g"))]
        super().__init__("sd3", *clips)
        self.__dict__["text_processing_engine_t5"] = T5TextProcessingEngine(randomize(T5()))

    def get_learned_conditioning(self, texts):
        made = [clip(texts) for clip in self.embedders]
        states = torch.cat([state for state, _ in made], dim=-1)
        t5 = torch.nn.functional.pad(self.text_processing_engine_t5(texts), (0, WIDTH))
        return {"crossattn": torch.cat([states, t5], dim=1), "vector": torch.cat([each[1] for each in made], dim=-1)}


def later(name, attribute, engine, tower, base=Later):
    torch.manual_seed(0)
    kind = base if base.__name__ == name else type(name, (base,), {})
    return kind(attribute, engine(randomize(tower())))


SINGLE = {
    "Flux": ("t5", lambda: later("Flux", "t5", T5TextProcessingEngine, T5, Flux)),
    "Chroma": ("t5", lambda: later("Chroma", "t5", T5TextProcessingEngine, T5)),
    "Wan": ("t5", lambda: later("Wan", "t5", UMT5TextProcessingEngine, T5)),
    "Lumina2": ("gemma", lambda: later("Lumina2", "gemma", GemmaTextProcessingEngine, Llama)),
    "PiD": ("gemma", lambda: later("PiD", "gemma", GemmaItTextProcessingEngine, Llama)),
    "ZImage": ("qwen", lambda: later("ZImage", "gemma", Qwen3TextProcessingEngine, Llama)),
    "ErnieImage": ("ministral", lambda: later("ErnieImage", "ministral", Ministral3TextProcessingEngine, Llama)),
    "QwenImage": ("qwen", lambda: later("QwenImage", "qwen", QwenTextProcessingEngine, Llama)),
    "Anima": ("qwen", lambda: later("Anima", "anima", AnimaTextProcessingEngine, Llama)),
    "later Flux": ("t5", lambda: later("Flux", "t5", T5XXLEngine, T5, Flux)),
    "later ZImage": ("qwen", lambda: later("ZImage", "gemma", Qwen34BEngine, Llama)),
    "later Lumina2": ("gemma", lambda: later("Lumina2", "gemma", Gemma22BEngine, Llama)),
    "later QwenImage": ("qwen", lambda: later("QwenImage", "qwen", Qwen25VL7BEngine, Llama)),
    "QwenImage21": ("qwen", lambda: later("QwenImage21", "qwen", Qwen3VL8BEngine, Llama)),
}
"""The name that a tag needs, and the model."""

SEVERAL = {
    "Flux2": lambda: later("Flux2", "gemma", KleinTextProcessingEngine, Llama),
    "Krea2": lambda: later("Krea2", "qwen", Qwen3VLTextProcessingEngine, Llama),
}
UNKNOWN = {"Unheard": lambda: later("Unheard", "qwen", SomethingElseEngine, Llama)}
