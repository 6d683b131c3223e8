"""The configurations from which diffusers and transformers build the modules of a model of given sizes."""

from __future__ import annotations

from transformers import CLIPTextConfig

from clip_skip.standalone.models.sizes import Sizes, TextSizes
from clip_skip.standalone.prompts.tokens import END, START


def unet_config(sizes: Sizes) -> dict[str, object]:
    """The keyword arguments of `UNet2DConditionModel`. Its `attention_head_dim` is, for these, the number of heads."""
    heads = tuple(width // sizes.head_channels for width in sizes.unet) if sizes.head_channels else sizes.unet_heads
    config: dict[str, object] = {
        "in_channels": sizes.latents,
        "out_channels": sizes.latents,
        "block_out_channels": sizes.unet,
        "layers_per_block": sizes.unet_depth,
        "down_block_types": ["CrossAttnDownBlock2D" if blocks else "DownBlock2D" for blocks in sizes.attention],
        "up_block_types": ["CrossAttnUpBlock2D" if blocks else "UpBlock2D" for blocks in reversed(sizes.attention)],
        "transformer_layers_per_block": [max(blocks, 1) for blocks in sizes.attention],
        "cross_attention_dim": sizes.context,
        "attention_head_dim": heads,
        "use_linear_projection": sizes.linear,
    }
    if sizes.vector:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": sizes.vector,
        }
    return config


def vae_config(sizes: Sizes) -> dict[str, object]:
    """The keyword arguments of `AutoencoderKL`."""
    return {
        "block_out_channels": sizes.vae,
        "layers_per_block": sizes.vae_depth,
        "latent_channels": sizes.latents,
        "down_block_types": ["DownEncoderBlock2D"] * len(sizes.vae),
        "up_block_types": ["UpDecoderBlock2D"] * len(sizes.vae),
        "scaling_factor": sizes.vae_scale,
    }


def encoder_config(text: TextSizes, activation: str) -> CLIPTextConfig:
    """The configuration for a text encoder: OpenAI's CLIP has the activation "quick_gelu", OpenCLIP "gelu"."""
    return CLIPTextConfig(
        vocab_size=text.vocabulary,
        hidden_size=text.width,
        intermediate_size=text.inner,
        num_hidden_layers=text.layers,
        num_attention_heads=text.heads,
        max_position_embeddings=text.positions,
        projection_dim=text.projection or text.width,
        hidden_act=activation,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
    )
