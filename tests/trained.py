"""Adapters and fine-tunes of the text encoder of the bundled demo model, trained for a few steps at a clip skip."""

from __future__ import annotations

import copy
import logging
import re
from functools import lru_cache

import torch
from safetensors.torch import load_file

from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models.checkpoint import load_checkpoint

STEPS, RATE = 3, 1e-3
TEXT = "cond_stage_model.transformer.text_model."
LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]


@lru_cache(maxsize=1)
def demo():
    torch.set_num_threads(1)
    return load_checkpoint(CHECKPOINT).text_encoder


@lru_cache(maxsize=1)
def demo_weights():
    return load_file(CHECKPOINT)


OPTIMIZERS = {
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
    "adagrad": lambda parameters, rate: torch.optim.Adagrad(parameters, lr=rate),
}


def train(module, parameters, clip_skip, norm, seed=0, steps=STEPS, rate=RATE, optimizer="adamw"):
    """A few steps towards random targets, as a trainer conditions on `clip_skip`: the norm of the layer below it."""
    generator = torch.Generator().manual_seed(seed)
    words, width = module.get_input_embeddings().weight.shape
    tokens = torch.randint(0, words - 2, (2, 77), generator=generator)
    target = torch.randn(2, 77, width, generator=generator)
    optimize = OPTIMIZERS[optimizer](parameters, rate)
    for _ in range(steps):
        states = module(tokens, output_hidden_states=True).hidden_states
        loss = (norm(states[-clip_skip]) - target).square().mean()
        optimize.zero_grad()
        loss.backward()
        optimize.step()


def norm_of(module):
    return getattr(module, "text_model", module).final_layer_norm


def lycoris_adapter(algo, clip_skip, seed=0, steps=STEPS, rate=RATE, optimizer="adamw", module=None, **how):
    """The state of a LyCORIS network on the text encoder, with names as `lora_te_text_model_encoder_layers_0_...`.

    module: another text encoder than the one in the box.
    """
    from lycoris import LycorisNetwork, create_lycoris

    logging.getLogger("LyCORIS").setLevel(logging.ERROR)
    torch.manual_seed(seed)
    module = copy.deepcopy(module or demo())
    targets = [*how.pop("targets", ["CLIPAttention", "CLIPMLP"])]
    LycorisNetwork.apply_preset({"target_module": targets, "lora_prefix": "lora_te"})
    network = create_lycoris(module, 1.0, linear_dim=how.pop("dim", 4), linear_alpha=2.0, algo=algo, **how)
    network.apply_to()
    network.requires_grad_(True)
    parameters = [one for one in network.parameters() if one.requires_grad]
    train(module, parameters, clip_skip, norm_of(module), seed, steps, rate, optimizer)
    network.restore()
    state = {name: one.detach().clone() for name, one in network.state_dict().items() if "encoder_layers" in name}
    return {re.sub(r"^lora_te_(text_model_)?", "lora_te_text_model_", name): one for name, one in state.items()}


def peft_adapter(config, clip_skip, seed=0):
    """The state of a PEFT adapter, with names as `base_model.model.encoder.layers.0.self_attn.q_proj.lora_A.weight`."""
    from peft import get_peft_model
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    module = get_peft_model(copy.deepcopy(demo()), config)
    parameters = [one for one in module.parameters() if one.requires_grad]
    train(module, parameters, clip_skip, norm_of(module.base_model.model))
    return {name: one.detach().clone() for name, one in get_peft_model_state_dict(module).items()}


def fine_tuned(clip_skip, seed=0, rate=RATE):
    """The text encoder's own weights, all of them trained, by their names in the checkpoint."""
    module = copy.deepcopy(demo()).requires_grad_(True)
    train(module, [*module.parameters()], clip_skip, norm_of(module), seed, rate=rate)
    state = getattr(module, "text_model", module).state_dict()
    return {TEXT + name: one.detach().clone() for name, one in state.items()}
