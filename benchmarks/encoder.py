"""Twelve clip skips out of one pass of the text encoder, against one value, and against a pass for each.

python benchmarks/encoder.py [--device cuda|cpu] [--weights sd15|small] [--texts 2]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from common import machine, parser, prepared, random_models, seconds
from tables import print_table

from clip_skip.encoder import conditionings, from_transformers


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--texts", type=int, default=2, help="texts in a pass; default: prompt and negative prompt")
    arguments.add_argument("--repeats", type=int, default=30)
    arguments = arguments.parse_args()
    sizes, dtype = prepared(arguments)
    model = random_models(sizes, arguments.device, dtype).text_encoder
    encoder = from_transformers(model)
    tokens = torch.randint(0, sizes.vocabulary, (arguments.texts, 77), device=arguments.device)
    every = [float(value) for value in range(1, encoder.layers + 1)]

    def forward() -> object:
        return model(tokens)

    def reference(value: float) -> torch.Tensor:
        """The usual way: keep all hidden states, take one, norm it."""
        states = model(tokens, output_hidden_states=True).hidden_states
        return encoder.norm(states[-int(value)])

    ways: dict[str, Callable[[], object]] = {
        "1 value, plain forward": forward,
        "1 value, ours": lambda: conditionings(encoder, forward, [1.0], early_exit=False),
        f"{len(every)} values, ours, one pass": lambda: conditionings(encoder, forward, every),
        f"{len(every)} values, a pass for each": lambda: [reference(value) for value in every],
        "value 6, plain": lambda: reference(6.0),
        "value 6, early exit": lambda: conditionings(encoder, forward, [6.0]),
        "value 11, plain": lambda: reference(11.0),
        "value 11, early exit": lambda: conditionings(encoder, forward, [11.0]),
    }
    with torch.inference_mode():
        ours = conditionings(encoder, forward, every)
        furthest = max((ours[value] - reference(value)).abs().max().item() for value in every)
        base = seconds(forward, arguments.repeats, arguments.device)
        rows = []
        for name, way in ways.items():
            took = base if way is forward else seconds(way, arguments.repeats, arguments.device)
            rows.append((name, str(_blocks_run(encoder, way)), f"{took * 1000:.2f}", f"{took / base:.2f}"))
    print(f"{arguments.weights} text encoder, {arguments.texts} texts of 77 tokens, {dtype}")
    print(machine(arguments.device))
    print(f"largest difference between ours and the hidden states: {furthest:g}\n")
    print_table(("way", "blocks run", "ms", "ratio to 1 value"), rows)


def _blocks_run(encoder, way: Callable[[], object]) -> int:
    """How many transformer blocks `way` runs."""
    count = 0

    def counted(*_) -> None:
        nonlocal count
        count += 1

    hooks = [block.register_forward_pre_hook(counted) for block in encoder.blocks]
    try:
        way()
    finally:
        for hook in hooks:
            hook.remove()
    return count


if __name__ == "__main__":
    main()
