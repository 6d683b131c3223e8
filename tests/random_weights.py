"""The name and shape of every weight of a checkpoint of given sizes.

Names are those of a single-file checkpoint (`ldm` and `sgm`, as published by CompVis and Stability AI), so that what is
written with them also loads in a WebUI.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from clip_skip.standalone.models.sizes import TEXT_PREFIXES, UNET, VAE, Shape, Sizes, TextSizes

Weights = Iterator[tuple[str, Shape]]


def shapes(sizes: Sizes) -> dict[str, Shape]:
    """The name and shape of every weight of a checkpoint of these sizes."""
    return {
        **{UNET + name: shape for name, shape in _unet(sizes)},
        **{VAE + name: shape for name, shape in _vae(sizes)},
        **{
            prefix + name: shape
            for text, prefix in zip(sizes.texts, TEXT_PREFIXES[sizes.family])
            for name, shape in (_open_clip(text) if prefix.endswith(".model.") else _text(text))
        },
    }


def _norm(name: str, width: int) -> Weights:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _linear(name: str, inputs: int, outputs: int, bias: bool = True) -> Weights:
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def _conv(name: str, inputs: int, outputs: int, kernel: int = 3) -> Weights:
    yield f"{name}.weight", (outputs, inputs, kernel, kernel)
    yield f"{name}.bias", (outputs,)


def _unet(sizes: Sizes) -> Weights:
    """`openaimodel.UNetModel` of CompVis/stable-diffusion."""
    base = sizes.unet[0]
    last = len(sizes.unet) - 1
    yield from _linear("time_embed.0", base, 4 * base)
    yield from _linear("time_embed.2", 4 * base, 4 * base)
    if sizes.vector:
        yield from _linear("label_emb.0.0", sizes.vector, 4 * base)
        yield from _linear("label_emb.0.2", 4 * base, 4 * base)
    yield from _conv("input_blocks.0.0", sizes.latents, base)
    current, skips, index = base, [base], 1
    for level, width in enumerate(sizes.unet):
        for _ in range(sizes.unet_depth):
            yield from _unet_block(f"input_blocks.{index}", current, width, sizes, sizes.attention[level])
            current, index = width, index + 1
            skips.append(current)
        if level != last:
            yield from _conv(f"input_blocks.{index}.0.op", current, current)
            index += 1
            skips.append(current)
    yield from _unet_block("middle_block", current, current, sizes, sizes.middle)
    yield from _residual("middle_block.2", current, current, 4 * base)
    index = 0
    for level in range(last, -1, -1):
        width = sizes.unet[level]
        for block in range(sizes.unet_depth + 1):
            name = f"output_blocks.{index}"
            yield from _unet_block(name, current + skips.pop(), width, sizes, sizes.attention[level])
            current, index = width, index + 1
            if level and block == sizes.unet_depth:
                yield from _conv(f"{name}.{2 if sizes.attention[level] else 1}.conv", width, width)
    yield from _norm("out.0", base)
    yield from _conv("out.2", base, sizes.latents)


def _unet_block(name: str, inputs: int, width: int, sizes: Sizes, attention: int) -> Weights:
    """A residual block, and the attention after it of so many transformer blocks."""
    yield from _residual(f"{name}.0", inputs, width, 4 * sizes.unet[0])
    if not attention:
        return
    yield from _norm(f"{name}.1.norm", width)
    projection = _linear if sizes.linear else partial(_conv, kernel=1)
    yield from projection(f"{name}.1.proj_in", width, width)
    for index in range(attention):
        block = f"{name}.1.transformer_blocks.{index}"
        for attn, source in (("attn1", width), ("attn2", sizes.context)):
            yield from _linear(f"{block}.{attn}.to_q", width, width, bias=False)
            yield from _linear(f"{block}.{attn}.to_k", source, width, bias=False)
            yield from _linear(f"{block}.{attn}.to_v", source, width, bias=False)
            yield from _linear(f"{block}.{attn}.to_out.0", width, width)
        yield from _linear(f"{block}.ff.net.0.proj", width, 8 * width)
        yield from _linear(f"{block}.ff.net.2", 4 * width, width)
        for number in (1, 2, 3):
            yield from _norm(f"{block}.norm{number}", width)
    yield from projection(f"{name}.1.proj_out", width, width)


def _residual(name: str, inputs: int, width: int, time: int) -> Weights:
    yield from _norm(f"{name}.in_layers.0", inputs)
    yield from _conv(f"{name}.in_layers.2", inputs, width)
    yield from _linear(f"{name}.emb_layers.1", time, width)
    yield from _norm(f"{name}.out_layers.0", width)
    yield from _conv(f"{name}.out_layers.3", width, width)
    if inputs != width:
        yield from _conv(f"{name}.skip_connection", inputs, width, 1)


def _vae(sizes: Sizes) -> Weights:
    """`AutoencoderKL` of CompVis/stable-diffusion."""
    widths, latents = sizes.vae, sizes.latents
    last = len(widths) - 1
    yield from _conv("encoder.conv_in", 3, widths[0])
    for level, width in enumerate(widths):
        for block in range(sizes.vae_depth):
            inputs = widths[max(level - 1, 0)] if block == 0 else width
            yield from _vae_block(f"encoder.down.{level}.block.{block}", inputs, width)
        if level != last:
            yield from _conv(f"encoder.down.{level}.downsample.conv", width, width)
    yield from _conv("decoder.conv_in", latents, widths[-1])
    for level, width in enumerate(widths):
        for block in range(sizes.vae_depth + 1):
            inputs = widths[min(level + 1, last)] if block == 0 else width
            yield from _vae_block(f"decoder.up.{level}.block.{block}", inputs, width)
        if level:
            yield from _conv(f"decoder.up.{level}.upsample.conv", width, width)
    for half, inner, outputs in (("encoder", widths[-1], 2 * latents), ("decoder", widths[0], 3)):
        yield from _vae_block(f"{half}.mid.block_1", widths[-1], widths[-1])
        yield from _norm(f"{half}.mid.attn_1.norm", widths[-1])
        for part in ("q", "k", "v", "proj_out"):
            yield from _conv(f"{half}.mid.attn_1.{part}", widths[-1], widths[-1], 1)
        yield from _vae_block(f"{half}.mid.block_2", widths[-1], widths[-1])
        yield from _norm(f"{half}.norm_out", inner)
        yield from _conv(f"{half}.conv_out", inner, outputs)
    yield from _conv("quant_conv", 2 * latents, 2 * latents, 1)
    yield from _conv("post_quant_conv", latents, latents, 1)


def _vae_block(name: str, inputs: int, width: int) -> Weights:
    yield from _norm(f"{name}.norm1", inputs)
    yield from _conv(f"{name}.conv1", inputs, width)
    yield from _norm(f"{name}.norm2", width)
    yield from _conv(f"{name}.conv2", width, width)
    if inputs != width:
        yield from _conv(f"{name}.nin_shortcut", inputs, width, 1)


def _text(text: TextSizes) -> Weights:
    """`CLIPTextModel` of transformers 4."""
    width = text.width
    yield "embeddings.token_embedding.weight", (text.vocabulary, width)
    yield "embeddings.position_embedding.weight", (text.positions, width)
    for index in range(text.layers):
        layer = f"encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{layer}.self_attn.{part}", width, width)
        yield from _norm(f"{layer}.layer_norm1", width)
        yield from _linear(f"{layer}.mlp.fc1", width, text.inner)
        yield from _linear(f"{layer}.mlp.fc2", text.inner, width)
        yield from _norm(f"{layer}.layer_norm2", width)
    yield from _norm("final_layer_norm", width)


def _open_clip(text: TextSizes) -> Weights:
    """The text half of `CLIP` of open_clip."""
    width = text.width
    yield "token_embedding.weight", (text.vocabulary, width)
    yield "positional_embedding", (text.positions, width)
    if text.projection:
        yield "text_projection", (width, text.projection)
    for index in range(text.layers):
        block = f"transformer.resblocks.{index}"
        yield f"{block}.attn.in_proj_weight", (3 * width, width)
        yield f"{block}.attn.in_proj_bias", (3 * width,)
        yield from _linear(f"{block}.attn.out_proj", width, width)
        yield from _norm(f"{block}.ln_1", width)
        yield from _linear(f"{block}.mlp.c_fc", width, text.inner)
        yield from _linear(f"{block}.mlp.c_proj", text.inner, width)
        yield from _norm(f"{block}.ln_2", width)
    yield from _norm("ln_final", width)
