"""Small models as the hosts hold them: real towers, in classes with the hosts' names and ways.

They follow the sources of AUTOMATIC1111 v1.10.1 (with ldm's and sgm's embedders),
Forge and Forge Neo (text processing engines), reForge and Forge Classic.
"""

from __future__ import annotations

from types import SimpleNamespace

import open_clip
import torch
from transformers import CLIPTextConfig, CLIPTextModel

WIDTH = 32
TOKENS = 100


def randomize(model):
    """Random weights, the layer norms' too; the same for the same model."""
    generator = torch.Generator().manual_seed(len(list(model.parameters())))
    for name, parameter in model.named_parameters():
        norm = "norm" in name or "ln_" in name
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * (0.3 if norm else 0.2) + (norm and name.endswith("weight"))
    return model.eval().requires_grad_(False)


def clip_tower(layers):
    """transformers' text encoder with `layers` blocks."""
    config = CLIPTextConfig(
        vocab_size=TOKENS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        bos_token_id=98,
        eos_token_id=99,
        pad_token_id=99,
    )
    return randomize(CLIPTextModel(config))


def open_clip_tower(layers):
    """open_clip's model with a text tower of `layers` blocks."""
    vision = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16}
    text = {"context_length": 77, "vocab_size": TOKENS, "width": WIDTH, "heads": 4, "layers": layers}
    return randomize(open_clip.CLIP(WIDTH, vision, text))


def run_open_clip(model, tokens):
    """The raw output of every block, (B, L, D) each, by open_clip's parts one by one."""
    state = model.token_embedding(tokens) + model.positional_embedding
    first = not getattr(model.transformer, "batch_first", False)
    state = state.permute(1, 0, 2) if first else state
    states = []
    for block in model.transformer.resblocks:
        state = block(state, attn_mask=model.attn_mask)
        states.append(state.permute(1, 0, 2) if first else state)
    return states


def tokenize(texts):
    rows = [[sum(word.encode()) % 97 for word in text.split()][:75] for text in texts]
    return torch.tensor([[98, *row, *[99] * (76 - len(row))] for row in rows])


class Embedder(torch.nn.Module):
    """A host's wrapper: texts to (B, 77, D), and the pooled vector where there is one."""

    def __init__(self, layers, tower=clip_tower, **attributes):
        super().__init__()
        self.wrapped = torch.nn.Module()
        self.tower = tower(layers)
        self.__dict__.update(attributes)

    def forward(self, texts):
        z = self.encode_with_transformers(tokenize(texts))
        return (z, z.pooled) if hasattr(z, "pooled") else z

    def states(self, tokens):
        """transformers' hidden states: the raw output of every block."""
        outputs = self.tower(input_ids=tokens, output_hidden_states=True)
        return outputs.hidden_states[1:], outputs

    def norm(self, state):
        return getattr(self.tower, "text_model", self.tower).final_layer_norm(state)


class FrozenCLIPEmbedderForSDXLWithCustomWords(Embedder):
    def __init__(self, layers):
        super().__init__(layers)
        self.wrapped.transformer = self.tower

    def encode_with_transformers(self, tokens):
        from modules import shared

        skip = shared.opts.CLIP_stop_at_last_layers if shared.opts.sdxl_clip_l_skip else 2
        return self.states(tokens)[0][-skip]


class SequenceFirst(Embedder):
    """ldm and sgm permute to (L, B, D) themselves, so the blocks are those of a tower built so."""

    def __init__(self, layers):
        super().__init__(layers, open_clip_tower)
        self.wrapped.model = self.tower
        for block in self.tower.transformer.resblocks:
            block.attn.batch_first = False

    def run(self, tokens):
        state = (self.tower.token_embedding(tokens) + self.tower.positional_embedding).permute(1, 0, 2)
        for block in self.tower.transformer.resblocks:
            yield state
            state = block(state, attn_mask=self.tower.attn_mask)
        yield state

    def states(self, tokens):
        return [state.permute(1, 0, 2) for state in self.run(tokens)][1:], None

    def norm(self, state):
        return self.tower.ln_final(state)


class FrozenOpenCLIPEmbedderWithCustomWords(SequenceFirst):
    def encode_with_transformers(self, tokens):
        blocks = self.tower.transformer.resblocks
        for done, state in enumerate(self.run(tokens)):
            if done == len(blocks) - 1:  # the last block is not run
                return self.norm(state.permute(1, 0, 2))


class FrozenOpenCLIPEmbedder2WithCustomWords(SequenceFirst):
    def encode_with_transformers(self, tokens):
        states, _ = self.states(tokens)
        z = states[-2].clone()
        z.pooled = self.norm(states[-1])[torch.arange(len(tokens)), tokens.argmax(dim=-1)]
        return z


class TextModel(torch.nn.Module):
    """A tower with its parts under `text_model`, as the forks look for them in every version of transformers."""

    def __init__(self, tower):
        super().__init__()
        self.text_model = getattr(tower, "text_model", tower)

    def forward(self, tokens, **settings):
        return self.text_model(tokens, **settings)


class ForkEmbedder(Embedder):
    """reForge's classes. Forge Classic's have no `minimal_clip_skip`."""

    native, normed, pools = 1, True, False

    def __init__(self, layers):
        super().__init__(layers)
        self.wrapped.transformer = TextModel(self.tower)
        self.minimal_clip_skip = self.native

    def encode_with_transformers(self, tokens):
        from modules import shared

        states, outputs = self.states(tokens)
        skip = shared.opts.CLIP_stop_at_last_layers if hasattr(self, "minimal_clip_skip") else 1
        z = states[-max(skip, self.native)].clone()
        z = self.norm(z) if self.normed else z
        if self.pools:
            z.pooled = outputs.pooler_output
        return z


class CLIP_SD_15_L(ForkEmbedder):
    pass


class CLIP_SD_21_H(ForkEmbedder):
    native = 2


class CLIP_SD_XL_L(ForkEmbedder):
    native, normed = 2, False


class CLIP_SD_XL_G(CLIP_SD_XL_L):
    pools = True


class ClassicTextProcessingEngine(Embedder):
    """Forge's; Forge Neo's ClipEngine has the same attributes."""

    def __init__(self, layers, embedding_key, minimal_clip_skip, final_layer_norm, return_pooled=False):
        super().__init__(layers)
        self.text_encoder = SimpleNamespace(transformer=TextModel(self.tower))
        self.embedding_key, self.minimal_clip_skip = embedding_key, minimal_clip_skip
        self.final_layer_norm, self.return_pooled = final_layer_norm, return_pooled
        self.clip_skip = 1

    def encode_with_transformers(self, tokens):
        states, outputs = self.states(tokens)
        z = states[-max(self.clip_skip, self.minimal_clip_skip)].clone()
        z = self.norm(z) if self.final_layer_norm else z
        if self.return_pooled:
            z.pooled = outputs.pooler_output
        return z


class Model(torch.nn.Module):
    """A model of one encoder, or of several in a conditioner as sgm has it."""

    def __init__(self, kind, *embedders):
        super().__init__()
        self.embedders = embedders
        setattr(self, f"is_{kind}", True)
        if kind == "sdxl":
            self.conditioner = SimpleNamespace(embedders=torch.nn.ModuleList(embedders))
            self.cond_stage_model = self.conditioner if len(embedders) > 1 else embedders[0]
        else:
            (self.cond_stage_model,) = embedders

    def get_learned_conditioning(self, texts):
        """(B, 77, D); of SDXL a dict with the pooled vector, all zero for an empty negative prompt."""
        made = [embedder(texts) for embedder in self.embedders]
        if not getattr(self, "is_sdxl", False):
            return made[0]
        pooled = next(pair[1] for pair in made if isinstance(pair, tuple))
        crossattn = torch.cat([one[0] if isinstance(one, tuple) else one for one in made], dim=2)
        keep = not (getattr(texts, "is_negative_prompt", False) and all(text == "" for text in texts))
        return {"crossattn": crossattn * keep, "vector": pooled * keep}


class Engine(Model):
    """Forge's diffusion engine: the same, with text processing engines as attributes."""

    def __init__(self, kind, *engines):
        torch.nn.Module.__init__(self)
        self.embedders = engines
        self.forge_objects = SimpleNamespace()
        setattr(self, f"is_{kind}", True)
        for engine in engines:
            suffix = f"_{engine.embedding_key[-1]}" if kind == "sdxl" or len(engines) > 1 else ""
            setattr(self, f"text_processing_engine{suffix}", engine)


def engine_l(kind="sd1"):
    return ClassicTextProcessingEngine(12, "clip_l", 1 if kind == "sd1" else 2, kind == "sd1")


MODELS = {
    "A1111 SD2": lambda: Model("sd2", FrozenOpenCLIPEmbedderWithCustomWords(24)),
    "A1111 SDXL": lambda: Model(
        "sdxl", FrozenCLIPEmbedderForSDXLWithCustomWords(12), FrozenOpenCLIPEmbedder2WithCustomWords(32)
    ),
    "A1111 SDXL refiner": lambda: Model("sdxl", FrozenOpenCLIPEmbedder2WithCustomWords(32)),
    "reForge SD1": lambda: Model("sd1", CLIP_SD_15_L(12)),
    "reForge SD2": lambda: Model("sd2", CLIP_SD_21_H(24)),
    "reForge SDXL": lambda: Model("sdxl", CLIP_SD_XL_L(12), CLIP_SD_XL_G(32)),
    "Forge SD1": lambda: Engine("sd1", engine_l()),
    "Forge SD2": lambda: Engine("sd2", ClassicTextProcessingEngine(23, "clip_h", 1, True)),
    "Forge SDXL": lambda: Engine(
        "sdxl", engine_l("sdxl"), ClassicTextProcessingEngine(32, "clip_g", 2, False, return_pooled=True)
    ),
    "Forge SDXL refiner": lambda: Engine(
        "sdxl", ClassicTextProcessingEngine(32, "clip_g", 2, False, return_pooled=True)
    ),
}
