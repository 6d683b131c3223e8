"""What diffusers and transformers must be told to build the modules of an SD1 model of given sizes."""

from __future__ import annotations

from transformers import CLIPTextConfig

from clip_skip.standalone.models.sizes import Sizes
from clip_skip.standalone.prompts.tokens import END, START


def unet_config(sizes: Sizes) -> dict[str, object]:
    """The keyword arguments of `UNet2DConditionModel`. Its `attention_head_dim` is, for SD1, the number of heads."""
    return {
        "in_channels": sizes.latents,
        "out_channels": sizes.latents,
        "block_out_channels": sizes.unet,
        "layers_per_block": sizes.unet_depth,
        "down_block_types": ["CrossAttnDownBlock2D" if text else "DownBlock2D" for text in sizes.attention],
        "up_block_types": ["CrossAttnUpBlock2D" if text else "UpBlock2D" for text in reversed(sizes.attention)],
        "cross_attention_dim": sizes.text,
        "attention_head_dim": sizes.unet_heads,
    }


def vae_config(sizes: Sizes) -> dict[str, object]:
    """The keyword arguments of `AutoencoderKL`."""
    return {
        "block_out_channels": sizes.vae,
        "layers_per_block": sizes.vae_depth,
        "latent_channels": sizes.latents,
        "down_block_types": ["DownEncoderBlock2D"] * len(sizes.vae),
        "up_block_types": ["UpDecoderBlock2D"] * len(sizes.vae),
        "scaling_factor": 0.18215,
    }


def text_config(sizes: Sizes) -> CLIPTextConfig:
    """The configuration of `CLIPTextModel`."""
    return CLIPTextConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.text,
        intermediate_size=sizes.text_inner,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=sizes.text_heads,
        max_position_embeddings=sizes.positions,
        hidden_act="quick_gelu",
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
    )
