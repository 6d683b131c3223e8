"""The tap against an independent reference: `output_hidden_states=True` and the norm."""

import math
from dataclasses import replace

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from clip_skip.encoder import (
    SKIP_TOO_DEEP,
    TOO_SHALLOW,
    TextEncoder,
    conditionings,
    encode,
    from_open_clip,
    from_stack,
    from_transformers,
    not_loaded,
    stop_at,
)

from .host_models import open_clip_tower, randomize, run_open_clip

N = 12


def random_encoder(layers=N):
    """A small CLIP text encoder whose layer norms are far from the identity."""
    config = CLIPTextConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=98,
        eos_token_id=99,
        pad_token_id=99,
    )
    torch.manual_seed(0)
    model = CLIPTextModel(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        parameter.copy_(torch.randn_like(parameter) * (0.3 if "norm" in name else 0.2) + ("norm.weight" in name))
    return model


@pytest.fixture(scope="module")
def model():
    return random_encoder()


@pytest.fixture(scope="module")
def tokens():
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(0, 97, (3, 77), generator=generator)
    rows[:, 0], rows[:, -1] = 98, 99
    return rows


@pytest.fixture(scope="module")
def reference(model, tokens):
    """LN(h[-n]) for every n, by the library's own means."""
    hidden = model(tokens, output_hidden_states=True).hidden_states
    norm = getattr(model, "text_model", model).final_layer_norm
    return {skip: norm(hidden[-skip]) for skip in range(1, N + 1)}


def test_every_value_in_one_pass_is_exact(model, tokens, reference):
    encoder = from_transformers(model)
    assert encoder.layers == N
    assert torch.equal(reference[1], model(tokens).last_hidden_state)
    states = conditionings(encoder, lambda: model(tokens), range(1, N + 1))
    assert all(torch.equal(states[skip], reference[skip]) for skip in range(1, N + 1))
    assert len({state.sum().item() for state in states.values()}) == N


@pytest.mark.parametrize("skip", range(1, N + 1))
def test_each_value_alone_is_exact(model, tokens, reference, skip):
    assert torch.equal(conditionings(from_transformers(model), lambda: model(tokens), [skip])[skip], reference[skip])


def test_without_norm_and_native_two(model, tokens):
    """SDXL's CLIP-L: h[-n] as it is; 1 and 2 are what the model was published with."""
    hidden = model(tokens, output_hidden_states=True).hidden_states
    encoder = from_transformers(model, native=2, final_norm=False)
    states = conditionings(encoder, lambda: model(tokens), [1, 2, 3, 12])
    assert torch.equal(states[1], hidden[-2]) and torch.equal(states[2], hidden[-2])
    assert torch.equal(states[3], hidden[-3]) and torch.equal(states[12], hidden[1])


def test_missing_top_blocks(model, tokens, reference):
    """A 12-layer tower of which 11 blocks are loaded numbers as the full one does."""
    short = random_encoder(N - 1)
    short.load_state_dict({k: v for k, v in model.state_dict().items() if f"layers.{N - 1}." not in k})
    parts = getattr(short, "text_model", short)
    encoder = TextEncoder("short", "h", tuple(parts.encoder.layers), parts.final_layer_norm, native=2, missing=1)
    states = conditionings(encoder, lambda: short(tokens), range(1, N + 1))
    assert encoder.layers == N
    assert torch.equal(states[1], reference[2])
    assert all(torch.equal(states[skip], reference[skip]) for skip in range(2, N + 1))


def test_fractions_are_lerps_after_the_norm(model, tokens, reference):
    states = conditionings(from_transformers(model), lambda: model(tokens), [1.0, 1.5, 2.0, 11.25])
    assert torch.equal(states[1.0], reference[1]) and torch.equal(states[2.0], reference[2])
    assert torch.equal(states[1.5], torch.lerp(reference[1], reference[2], 0.5))
    assert torch.equal(states[11.25], torch.lerp(reference[11], reference[12], 0.25))
    hidden = model(tokens, output_hidden_states=True).hidden_states
    before = getattr(model, "text_model", model).final_layer_norm(torch.lerp(hidden[-1], hidden[-2], 0.5))
    assert not torch.allclose(states[1.5], before, atol=1e-3)


def test_out_of_range_is_clamped(model, tokens, reference):
    states = conditionings(from_transformers(model), lambda: model(tokens), [0.5, 99])
    assert torch.equal(states[0.5], reference[1]) and torch.equal(states[99], reference[N])


def count_blocks(model):
    ran = []
    layers = getattr(model, "text_model", model).encoder.layers
    hooks = [layer.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, layer in enumerate(layers)]
    return ran, hooks


@pytest.mark.parametrize(("values", "blocks"), [([12], 1), ([6, 11], 7), ([1], 12), ([2.5], 11), ([11.5], 2)])
def test_early_exit_runs_no_block_above_the_highest_needed(model, tokens, values, blocks):
    ran, hooks = count_blocks(model)
    conditionings(from_transformers(model), lambda: model(tokens), values)
    assert ran == list(range(blocks))
    ran.clear()
    conditionings(from_transformers(model), lambda: model(tokens), values, early_exit=False)
    assert ran == list(range(N))
    for hook in hooks:
        hook.remove()


def test_without_early_exit_the_forward_returns(model, tokens):
    results = []
    conditionings(from_transformers(model), lambda: results.append(model(tokens)), [3], early_exit=False)
    assert torch.equal(results[0].pooler_output, model(tokens).pooler_output)


def test_a_value_for_each_row(model, tokens, reference):
    rows = encode(from_transformers(model), model, tokens, [1, 5, 1.5])
    assert torch.allclose(rows[0], reference[1][0], atol=1e-5)
    assert torch.allclose(rows[1], reference[5][1], atol=1e-5)
    assert torch.allclose(rows[2], torch.lerp(reference[1][2], reference[2][2], 0.5), atol=1e-5)
    with pytest.raises(ValueError, match="3 texts, but 2"):
        encode(from_transformers(model), model, tokens, [1, 2])


def test_equal_rows_are_run_once(model, tokens):
    sizes = []

    def forward(distinct):
        sizes.append(len(distinct))
        return model(distinct)

    repeated = tokens[[0, 1, 0, 0, 1]]
    rows = encode(from_transformers(model), forward, repeated, [1, 2, 3, 1, 2])
    assert sizes == [2]
    pair = conditionings(from_transformers(model), lambda: model(tokens[:2]), [1, 2, 3])
    want = [pair[1][0], pair[2][1], pair[3][0], pair[1][0], pair[2][1]]
    assert torch.equal(rows, torch.stack(want))


def test_no_hooks_remain(model, tokens):
    layers = getattr(model, "text_model", model).encoder.layers
    before = [dict(layer._forward_hooks) for layer in layers]  # transformers 5 has some of its own

    def fail():
        raise KeyError("in the forward")

    conditionings(from_transformers(model), lambda: model(tokens), [3])
    with pytest.raises(KeyError):
        conditionings(from_transformers(model), fail, [3])
    with pytest.raises(RuntimeError, match="were not run"):
        conditionings(from_transformers(model), lambda: None, [3])
    assert [dict(layer._forward_hooks) for layer in layers] == before
    assert conditionings(from_transformers(model), fail, []) == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_within_rounding(tokens, dtype, reference):
    half = random_encoder().to(dtype)
    try:
        half(tokens)
    except RuntimeError as error:
        pytest.skip(f"torch {torch.__version__} cannot run this on a CPU: {error}")
    states = conditionings(from_transformers(half), lambda: half(tokens), range(1, N + 1))
    hidden = half(tokens, output_hidden_states=True).hidden_states
    norm = getattr(half, "text_model", half).final_layer_norm
    for skip in range(1, N + 1):
        assert torch.equal(states[skip], norm(hidden[-skip]))
        error = (states[skip].float() - reference[skip]).norm() / reference[skip].norm()
        assert error < 0.05


OPEN_CLIP = [("h", 24, True), ("g", 32, False)]


@pytest.mark.parametrize(("tower", "layers", "normed"), OPEN_CLIP)
def test_open_clip_is_exact_at_every_value(tokens, tower, layers, normed):
    """SD2's ViT-H and SDXL's ViT-bigG in their full depths; the pooled vector is the full tower's."""
    model = open_clip_tower(layers)
    states = run_open_clip(model, tokens)
    want = [model.ln_final(state) if normed else state for state in states]
    encoder = from_open_clip(model, tower=tower, final_norm=normed)
    assert (encoder.layers, encoder.native) == (layers, 2)
    pooled = []
    run = lambda: pooled.append(model.encode_text(tokens))
    made = conditionings(encoder, run, range(1, layers + 1), early_exit=False)
    assert torch.equal(made[1], want[-2])
    assert all(torch.equal(made[skip], want[-skip]) for skip in range(2, layers + 1))
    assert len({state.sum().item() for state in made.values()}) == layers - 1
    assert torch.equal(pooled[0], model.encode_text(tokens))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("tower", "layers", "normed"), OPEN_CLIP)
def test_open_clip_in_half_precision_within_rounding(tokens, tower, layers, normed, dtype):
    model = open_clip_tower(layers)
    whole = conditionings(
        from_open_clip(model, tower=tower, final_norm=normed), lambda: model.encode_text(tokens), range(2, layers + 1)
    )
    half = open_clip_tower(layers).to(dtype)
    encoder = from_open_clip(half, tower=tower, final_norm=normed)
    try:
        made = conditionings(encoder, lambda: half.encode_text(tokens), range(2, layers + 1))
    except RuntimeError as error:
        pytest.skip(f"torch {torch.__version__} cannot run this on a CPU: {error}")
    for skip, state in made.items():
        assert state.dtype == dtype
        assert (state.float() - whole[skip]).norm() < 0.1 * whole[skip].norm()


def test_big_g_of_transformers(tokens):
    """SDXL's second tower as diffusers and Forge hold it, with a projection."""
    config = CLIPTextConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=32,
        num_attention_heads=4,
        projection_dim=16,
        hidden_act="gelu",
        bos_token_id=98,
        eos_token_id=99,
        pad_token_id=0,
    )
    model = randomize(CLIPTextModelWithProjection(config))
    outputs = model(tokens, output_hidden_states=True)
    pooled = []
    run = lambda: pooled.append(model(tokens).text_embeds)
    encoder = from_transformers(model, "OpenCLIP ViT-bigG/14", "g", native=2, final_norm=False)
    made = conditionings(encoder, run, range(1, 33), early_exit=False)
    assert all(torch.equal(made[skip], outputs.hidden_states[-max(skip, 2)]) for skip in range(1, 33))
    assert torch.equal(pooled[0], outputs.text_embeds)


DIRECTION = torch.tensor([1.0, -2.0, 4.0])
"""What the blocks add; the same amount in every channel would vanish in the norm."""


class InPlace(torch.nn.Module):
    """T5's way to add: what a block was given is changed by it, and returned."""

    def __init__(self, amount):
        super().__init__()
        self.amount = amount

    def forward(self, state):
        state += self.amount * DIRECTION
        return state, None


class Stack(torch.nn.Module):
    def __init__(self, layers=4):
        super().__init__()
        self.encoder = torch.nn.Module()
        self.encoder.block = torch.nn.ModuleList(InPlace(10.0**index) for index in range(layers))
        self.encoder.final_layer_norm = torch.nn.LayerNorm(3)

    def forward(self, start, normed=True):
        state, published = start.clone(), None
        for index, block in enumerate(self.encoder.block):
            state, _ = block(state)
            if index == len(self.encoder.block) - 2:
                published = state.clone()
        return self.encoder.final_layer_norm(state) if normed else published


def states_of(start, layers=4):
    """h[1] to h[N], by hand."""
    return [start + sum(10.0**index for index in range(count)) * DIRECTION for count in range(1, layers + 1)]


def test_states_that_are_added_to_in_place_are_kept_as_they_were():
    stack, start = Stack(), torch.zeros(1, 2, 3)
    described = from_stack(stack, "T5", "t5", 1, False)
    made = conditionings(described, lambda: stack(start), [1, 2, 3.5, 4])
    h = states_of(start)
    assert torch.equal(made[1], h[-1]) and torch.equal(made[2], h[-2]) and torch.equal(made[4], h[-4])
    assert torch.equal(made[3.5], torch.lerp(h[-3], h[-4], 0.5))


@pytest.mark.parametrize("normed", [True, False], ids=["normed", "raw"])
@pytest.mark.parametrize("value", [None, 1, 2, 2.25, 3, 3.5, 4, 99])
def test_stop_at_replaces_what_is_published(normed, value):
    stack, start = Stack(), torch.arange(6.0).view(1, 2, 3)
    norm = stack.encoder.final_layer_norm
    norm.weight.data, norm.bias.data = torch.tensor([0.5, 1.5, -2.0]), torch.tensor([0.1, 0.2, 0.3])
    native = 1 if normed else 2
    described = from_stack(stack, "T5", "t5", native, normed)
    with torch.no_grad(), stop_at(described, value):
        made = stack(start, normed)
    h = [norm(state) if normed else state for state in states_of(start)]
    at = described.clamp(value or native)
    low, high = h[-math.floor(at)], h[-math.ceil(at)]
    assert torch.equal(made, low if at == int(at) else torch.lerp(low, high, at - math.floor(at)))
    assert not any(module._forward_hooks for module in stack.modules())


def test_stop_at_leaves_nothing_behind_when_the_forward_fails():
    stack = Stack()
    with pytest.raises(RuntimeError, match="broken"), stop_at(from_stack(stack, "T5", "t5", 1, True), 3):
        raise RuntimeError("broken")
    assert not any(module._forward_hooks for module in stack.modules())


def test_incomplete_layers_are_not_taken():
    described = from_stack(Stack(), "Qwen3-VL", "qwen", 1, False, incomplete=3)
    assert described.clamp(4) == 1 and described.deepest == 1
    assert described.too_deep(2) == [SKIP_TOO_DEEP(value="2", layers=4, name="Qwen3-VL", used=1)]
    assert not described.too_deep(1)


def test_blocks_that_work_on_the_sequence_first():
    stack, start = Stack(), torch.arange(12.0).view(2, 2, 3)  # (L, B, D)
    described = replace(from_stack(stack, "T5", "t5", 1, True), sequence_first=True)
    made = conditionings(described, lambda: stack(start), [3])[3]
    assert torch.equal(made, stack.encoder.final_layer_norm(states_of(start)[-3].transpose(0, 1)))


def test_above_the_published_layer():
    described = from_stack(Stack(), "T5", "t5", 2, False)
    assert described.too_shallow(1.5) == [TOO_SHALLOW(value="1.5", name="T5", used=2)]
    assert described.too_shallow(2) == [] == described.too_shallow(3)


@pytest.mark.parametrize("whole", [True, False], ids=["with its head", "alone"])
def test_a_decoder_only_model_is_described_by_its_parts(whole):
    inner = torch.nn.Module()
    inner.layers, inner.norm = torch.nn.ModuleList([torch.nn.Identity() for _ in range(3)]), torch.nn.LayerNorm(3)
    model = torch.nn.Module()
    model.model = inner
    described = from_stack(model if whole else inner, "Qwen3", "qwen", 2, True)
    assert described == TextEncoder("Qwen3", "qwen", tuple(inner.layers), inner.norm, 2)
    assert from_stack(inner, "Qwen3", "qwen", 2, False).norm is None


def test_an_encoder_that_is_not_loaded_is_as_deep_as_the_full_tower():
    assert not_loaded("l", 12, 1) == TextEncoder("CLIP ViT-L/14", "l", (), None, 1, missing=12)
    assert not_loaded("h", 23, 2).layers == 24
    assert not_loaded("g", 23, 2).layers == 23


def test_clip_of_both_libraries_is_described_by_its_parts(model):
    text = getattr(model, "text_model", model)
    blocks = tuple(text.encoder.layers)
    assert from_transformers(model) == TextEncoder("CLIP ViT-L/14", "l", blocks, text.final_layer_norm, 1)
    assert from_transformers(model, "a name", "g", 2, False) == TextEncoder("a name", "g", blocks, None, 2)
    tower = open_clip_tower(2)
    first = not tower.transformer.batch_first
    blocks = tuple(tower.transformer.resblocks)
    described = TextEncoder("OpenCLIP ViT-H/14", "h", blocks, tower.ln_final, 2, sequence_first=first)
    assert from_open_clip(tower) == described
    described = TextEncoder("a name", "g", blocks, None, 3, sequence_first=True)
    assert from_open_clip(tower, "a name", "g", 3, False, sequence_first=True) == described
