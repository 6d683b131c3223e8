"""What is done to adapters and checkpoints after their training, and what is still told of them: docs/made-for.md.

python benchmarks/made_for.py

Everything is trained here, on the text encoder of the bundled demo model. The number printed is how much the highest
block that training changed, or left alone, has changed against the median of the blocks below it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import save_file
from tables import print_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clip_skip.made_for.findings import inspect
from clip_skip.standalone.demo.model import CHECKPOINT
from tests.trained import demo_weights, fine_tuned, lycoris_adapter, peft_adapter

State = dict[str, torch.Tensor]
ROWS: list[tuple[str, str, str]] = []


def told(what: str, state: State, dtype: torch.dtype = torch.float16, base: bool = False) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/file.safetensors"
        whole = {**demo_weights(), **state} if base else state
        kept = {name: one if base and name not in state else one.to(dtype) for name, one in whole.items()}
        save_file({name: one.contiguous() for name, one in kept.items()}, path)
        found = inspect(path, str(CHECKPOINT) if base else None)
    assert found.weights is not None
    levels = [block.largest or 0.0 for block in found.weights.blocks["l"]]
    below = [level for level in levels[:9] if level]
    share = f"{levels[11] / median(below):.3g}" if below else "-"
    value = f"{found.verdict.clip_skip}, {found.verdict.certainty}"
    ROWS.append((what, share, value))
    print(what, share, value, sep=" | ", file=sys.stderr, flush=True)


def products(state: State) -> dict[str, torch.Tensor]:
    """The change of each layer of a LoRA."""
    ends = ("lora_up.weight", "lora_down.weight")
    layers = {name[: -len(ends[0])] for name in state if name.endswith(ends[0])}
    return {layer: state[layer + ends[0]] @ state[layer + ends[1]] for layer in layers}


def factored(changes: dict[str, torch.Tensor], rank: int) -> State:
    """The LoRA of a rank that is nearest to the changes, as sd-scripts extracts and resizes."""
    state: State = {}
    for layer, change in changes.items():
        left, values, right = torch.linalg.svd(change.float(), full_matrices=False)
        left, right = left[:, :rank] * values[:rank], right[:rank]
        highest = torch.quantile(torch.cat([left.flatten(), right.flatten()]), 0.99)
        state[f"{layer}lora_up.weight"] = left.clamp(-highest, highest)
        state[f"{layer}lora_down.weight"] = right.clamp(-highest, highest)
    return state


def extracted(tuned: State, base: State, rank: int) -> State:
    prefix = "cond_stage_model.transformer.text_model.encoder.layers."
    changes = {}
    for name, weight in tuned.items():
        if name.startswith(prefix) and name.endswith("weight") and weight.ndim == 2:
            layer = "lora_te_text_model_" + name.partition("text_model.")[2].removesuffix(".weight").replace(".", "_")
            changes[f"{layer}."] = weight.float() - base[name].float()
    return factored(changes, rank)


def mixed(one: State, other: State, share: float, work: Callable[[torch.Tensor], torch.Tensor]) -> State:
    """`share` of the one and the rest of the other, as a checkpoint merger computes it in the precision of `work`."""
    return {name: work(one[name]) * share + work(other[name]) * (1 - share) for name in one}


def main() -> None:
    half, brain = torch.float16, torch.bfloat16
    one, two, four = (lycoris_adapter("lora", skip) for skip in (1, 2, 4))
    for skip, state in ((1, one), (2, two), (4, four)):
        told(f"LoRA at {skip}", state)
    for optimizer in ("sgd", "adamw", "adagrad"):
        for steps in (1, 30):
            told(f"LoRA at 1, {optimizer}, {steps} steps", lycoris_adapter("lora", 1, optimizer=optimizer, steps=steps))
    for rate in (1e-5, 1e-7, 1e-8):
        for skip in (1, 2):
            told(f"LoRA at {skip}, rate {rate:g}, fp16", lycoris_adapter("lora", skip, rate=rate))
    for rank in (1, 2):
        for skip, state in ((1, one), (2, two)):
            told(f"LoRA at {skip}, resized to rank {rank}", factored(products(state), rank))
    other = lycoris_adapter("lora", 1, seed=5)
    for share in (0.5, 0.1, 0.05, 0.02):
        parts = products(two), products(other)
        both = {name: (1 - share) * parts[0][name] + share * parts[1][name] for name in parts[0]}
        told(f"LoRA at 2, merged with {share:.0%} of one at 1", factored(both, 4))
    tuned = {skip: fine_tuned(skip) for skip in (1, 2, 3)}
    base = {name: demo_weights()[name] for name in tuned[1]}
    for dtype in (torch.float32, half, brain):
        for skip in (1, 2, 3):
            told(f"fine-tune at {skip}, {str(dtype)[6:]}", tuned[skip], dtype, base=True)
    for skip in (1, 2):
        rounded = {name: weight.to(brain) for name, weight in tuned[skip].items()}
        told(f"fine-tune at {skip}, bfloat16 saved as float16", rounded, half, base=True)
    for rate in (1e-5, 1e-6, 1e-7):
        for skip in (1, 2):
            told(f"fine-tune at {skip}, rate {rate:g}, fp16", fine_tuned(skip, rate=rate), half, base=True)
    for skip in (1, 2):
        for share in (0.5, 0.3):
            for name, work in (("float32", torch.Tensor.float), ("float16", torch.Tensor.half)):
                state = mixed(tuned[skip], base, share, work)
                told(f"fine-tune at {skip}, {share:.0%} with its base, {name}", state, half, base=True)
    for share in (0.5, 0.1, 0.03):
        state = mixed(tuned[1], tuned[2], share, torch.Tensor.float)
        told(f"fine-tune at 2, merged with {share:.0%} of one at 1", state, half, base=True)
    weak = {skip: fine_tuned(skip, rate=1e-4) for skip in (1, 2)}
    for skip in (1, 2):
        for state, how in ((tuned[skip], ""), (weak[skip], ", weak")):
            for dtype in (torch.float32, half, brain):
                saved = {name: weight.to(dtype) for name, weight in state.items()}
                told(f"extracted from {str(dtype)[6:]} at {skip}, rank 8{how}", extracted(saved, base, 8))
    for blocks, what in ((range(5, 7), "blocks 6 and 7"), (range(11, 12), "block 12"), (range(12), "all blocks")):
        for ends, how in ((("up.weight",), "up"), (("up.weight", "down.weight"), "up and down")):
            cleared = {
                name: one[name] * (not (name.endswith(ends) and any(f"layers_{block}_" in name for block in blocks)))
                for name in one
            }
            told(f"LoRA at 1, {what} cleared ({how})", cleared)
    from peft import LoraConfig

    layers = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
    for begin in ("pissa", "olora"):
        told(
            f"PEFT, begun with {begin}, at 2",
            peft_adapter(LoraConfig(r=4, target_modules=layers, init_lora_weights=begin), 2),
        )
    print_table(("what", "top block against those below", "told"), ROWS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
