"""Checkpoints of random weights for the tests of this folder, as the WebUIs read them.

    python -m tests.webui.checkpoints MODELS          small ones, each with a .yaml, for AUTOMATIC1111 v1.10.1
    python -m tests.webui.checkpoints MODELS --forks  text encoders and VAE of the published sizes, which the Forge
                                                      family insists on, with a UNet as slim as it takes (4 GB)

MODELS is the WebUI's folder of models. LoRAs and a textual inversion are written too, and the environment variables
that name all of these are printed. open_clip has to know the small text encoders: the two `.json` that are written
beside the checkpoints belong into its folder `model_configs`, in the WebUI's environment.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from clip_skip.standalone.demo.model import CHECKPOINT, write_encoder
from clip_skip.standalone.models.header import inspect
from clip_skip.standalone.models.sizes import TEXT_PREFIXES, Sizes
from tests.random_model import PUBLISHED_SIZES, SMALL_SD2, SMALL_SDXL, random_weights

RANK = 4

TINY_SD2 = replace(SMALL_SD2, text_inner=4 * SMALL_SD2.text)
TINY_SDXL = replace(SMALL_SDXL, text_inner=4 * SMALL_SDXL.text, second=replace(SMALL_SDXL.second, inner=4 * 80))
"""As wide inside as open_clip 2.20, which AUTOMATIC1111 has, and the encoder of the bundled demo model make them."""

TINY_REFINER = replace(
    TINY_SDXL,
    family="SD2",
    text=80,
    text_inner=4 * 80,
    text_layers=32,
    text_heads=5,
    second=None,
    vector=80 + 5 * 256,
)
"""SDXL's refiner: CLIP-G alone. Its names are made of SD2's."""

SLIM = {"unet": (320, 320), "attention": (1, 1), "unet_depth": 1}

LEAN = {
    "sd1": replace(PUBLISHED_SIZES["SD1"], **SLIM),
    "sd2": replace(PUBLISHED_SIZES["SD2"], **SLIM),
    "sdxl": replace(PUBLISHED_SIZES["SDXL"], unet=(320, 320, 320)),
}
"""What the Forge family loads. It knows SDXL by the transformer blocks of its UNet, so that they are all there."""


def weights(sizes: Sizes, seed: int) -> dict[str, Tensor]:
    """Random weights in half precision, of a VAE that encodes without noise: else no two hires passes are alike."""
    made = {name: weight.half() for name, weight in random_weights(sizes, seed)}
    latents = sizes.latents
    made["first_stage_model.quant_conv.weight"][latents:] = 0
    made["first_stage_model.quant_conv.bias"][latents:] = -20
    return made


def unet_parameters(sizes: Sizes) -> dict[str, object]:
    """`openaimodel.UNetModel`'s, of ldm and of sgm."""
    looking = [1 << level for level, blocks in enumerate(sizes.attention) if blocks]
    parameters = {
        "in_channels": sizes.latents,
        "out_channels": sizes.latents,
        "model_channels": sizes.unet[0],
        "attention_resolutions": looking[::-1],
        "num_res_blocks": sizes.unet_depth,
        "channel_mult": [width // sizes.unet[0] for width in sizes.unet],
        "num_head_channels": sizes.head_channels,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": sizes.linear,
        "transformer_depth": list(sizes.attention) if sizes.vector else 1,
        "context_dim": sizes.context,
        "use_checkpoint": False,
        "legacy": False,
    }
    of_a_vector = {"adm_in_channels": sizes.vector, "num_classes": "sequential"} if sizes.vector else {"image_size": 16}
    return {**parameters, **of_a_vector}


def first_stage(sizes: Sizes, kind: str) -> dict[str, object]:
    shape = {
        "double_z": True,
        "z_channels": sizes.latents,
        "resolution": 128,
        "in_channels": 3,
        "out_ch": 3,
        "ch": sizes.vae[0],
        "ch_mult": [width // sizes.vae[0] for width in sizes.vae],
        "num_res_blocks": sizes.vae_depth,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    loss = {"target": "torch.nn.Identity"}
    return {"target": kind, "params": {"embed_dim": sizes.latents, "ddconfig": shape, "lossconfig": loss}}


def sd2_config(sizes: Sizes, prediction: str) -> dict[str, object]:
    parameters = {
        "parameterization": prediction,
        "linear_start": 0.00085,
        "linear_end": 0.0120,
        "timesteps": 1000,
        "num_timesteps_cond": 1,
        "image_size": 16,
        "channels": sizes.latents,
        "cond_stage_trainable": False,
        "conditioning_key": "crossattn",
        "scale_factor": sizes.vae_scale,
        "use_ema": False,
        "unet_config": {
            "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
            "params": unet_parameters(sizes),
        },
        "first_stage_config": first_stage(sizes, "ldm.models.autoencoder.AutoencoderKL"),
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder",
            "params": {"arch": architecture(sizes.text), "freeze": True, "layer": "penultimate"},
        },
    }
    return {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": parameters}}


def sdxl_config(sizes: Sizes, encoder: Path | None) -> dict[str, object]:
    """encoder: the folder of CLIP-L, which a refiner has not."""
    sgm, diffusion = "sgm.modules.encoders.modules.", "sgm.modules.diffusionmodules."
    embedders: list[dict[str, object]] = []
    if encoder:
        chosen = {"version": encoder.as_posix(), "layer": "hidden", "layer_idx": 11}
        embedders.append({"input_key": "txt", "target": f"{sgm}FrozenCLIPEmbedder", "params": chosen})
    chosen = {"arch": architecture(sizes.texts[-1].width), "version": "none", "freeze": True, "layer": "penultimate"}
    chosen |= {"always_return_pooled": True, "legacy": False}
    embedders.append({"input_key": "txt", "target": f"{sgm}FrozenOpenCLIPEmbedder2", "params": chosen})
    last = "target_size_as_tuple" if encoder else "aesthetic_score"
    for key in ("original_size_as_tuple", "crop_coords_top_left", last):
        embedders.append({"input_key": key, "target": f"{sgm}ConcatTimestepEmbedderND", "params": {"outdim": 256}})
    denoiser = {
        "num_idx": 1000,
        "weighting_config": {"target": f"{diffusion}denoiser_weighting.EpsWeighting"},
        "scaling_config": {"target": f"{diffusion}denoiser_scaling.EpsScaling"},
        "discretization_config": {"target": f"{diffusion}discretizer.LegacyDDPMDiscretization"},
    }
    embedders = [{"is_trainable": False, **one} for one in embedders]
    parameters = {
        "scale_factor": sizes.vae_scale,
        "disable_first_stage_autocast": True,
        "denoiser_config": {"target": f"{diffusion}denoiser.DiscreteDenoiser", "params": denoiser},
        "network_config": {"target": f"{diffusion}openaimodel.UNetModel", "params": unet_parameters(sizes)},
        "conditioner_config": {"target": "sgm.modules.GeneralConditioner", "params": {"emb_models": embedders}},
        "first_stage_config": first_stage(sizes, "sgm.models.autoencoder.AutoencoderKLInferenceWrapper"),
    }
    return {"model": {"target": "sgm.models.diffusion.DiffusionEngine", "params": parameters}}


def architecture(width: int) -> str:
    """open_clip's name of a text encoder; a small one's is in its `.json`."""
    return "ViT-H-14" if width == PUBLISHED_SIZES["SD2"].text else f"clip-skip-tiny-{width}"


def write_architectures(folder: Path) -> None:
    for text in (TINY_SD2.texts[0], TINY_SDXL.texts[1]):
        vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
        sizes = {"context_length": 77, "vocab_size": 49408, "width": text.width, "heads": text.heads}
        config = {"embed_dim": text.width, "vision_cfg": vision, "text_cfg": {**sizes, "layers": text.layers}}
        (folder / f"{architecture(text.width)}.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def write_config(path: Path, config: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def small_checkpoints(folder: Path) -> None:
    encoder = folder / CHECKPOINT.stem
    encoder.mkdir(exist_ok=True)
    write_encoder(encoder)
    write_architectures(folder)
    for name, sizes, config in (
        ("tiny-sd2", TINY_SD2, sd2_config(TINY_SD2, "eps")),
        ("tiny-sd2-v", TINY_SD2, sd2_config(TINY_SD2, "v")),
        ("tiny-sdxl", TINY_SDXL, sdxl_config(TINY_SDXL, encoder)),
        ("tiny-sdxl-refiner", TINY_REFINER, sdxl_config(TINY_REFINER, None)),
    ):
        made = weights(sizes, seed=len(name))
        if sizes is TINY_REFINER:
            g = "conditioner.embedders.0.model."
            made = {name.replace(TEXT_PREFIXES["SD2"][0], g): weight for name, weight in made.items()}
            made[f"{g}text_projection"] = torch.randn(80, 80, generator=torch.Generator().manual_seed(0)).half() / 9
        save_file(made, folder / f"{name}.safetensors")
        write_config(folder / f"{name}.yaml", config)


REMEMBERED = ("remember-two", "remember-three", "remember-none")


def demo_variants(folder: Path) -> None:
    """The demo model with other weights in its text encoder, for test_remember.py; the demo model is in `folder`."""
    with safe_open(CHECKPOINT, "pt") as file:
        metadata = file.metadata()
    for seed, name in enumerate(REMEMBERED):
        generator = torch.Generator().manual_seed(seed)
        state = load_file(CHECKPOINT)
        for key, value in state.items():
            if key.startswith("cond_stage_model.") and value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                state[key] = (value + 0.1 * noise * value.float().std(unbiased=False)).to(value.dtype)
        save_file(state, folder / f"{name}.safetensors", metadata)
        shutil.copy(folder / f"{CHECKPOINT.stem}.yaml", folder / f"{name}.yaml")


def lora(shapes: dict[str, tuple[int, int]], path: Path) -> None:
    """shapes: outputs and inputs of each layer, by the names of kohya's scripts."""
    generator = torch.Generator().manual_seed(len(shapes))
    state = {}
    for name, (outputs, inputs) in shapes.items():
        state[f"{name}.lora_down.weight"] = torch.randn(RANK, inputs, generator=generator) * inputs**-0.5
        state[f"{name}.lora_up.weight"] = torch.randn(outputs, RANK, generator=generator) * 0.2
        state[f"{name}.alpha"] = torch.tensor(float(RANK))
    save_file(state, path)


def text_layers(prefix: str, width: int, inner: int, layers: int) -> Iterator[tuple[str, tuple[int, int]]]:
    for layer in range(layers):
        name = f"{prefix}_text_model_encoder_layers_{layer}"
        yield f"{name}_mlp_fc1", (inner, width)
        yield f"{name}_mlp_fc2", (width, inner)


def write_loras(folder: Path, sd1: Sizes, sdxl: Sizes, prefix: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shapes = dict(text_layers("lora_te", sd1.text, sd1.text_inner, sd1.text_layers))
    lora(shapes, folder / f"{prefix}-lora-sd1.safetensors")
    shapes = {}
    for number, text in enumerate(sdxl.texts, 1):
        shapes |= dict(text_layers(f"lora_te{number}", text.width, text.inner, text.layers))
    first = sdxl.unet_depth + 2  # of the second level, where the UNet begins to look at the text
    block = f"lora_unet_input_blocks_{first}_1_transformer_blocks_0_attn2"
    shapes |= {f"{block}_to_q": (sdxl.unet[1],) * 2, f"{block}_to_k": (sdxl.unet[1], sdxl.context)}
    lora(shapes, folder / f"{prefix}-lora-sdxl.safetensors")


def write_embedding(path: Path, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    save_file({"emb_params": torch.randn(2, width, generator=generator) * 0.5}, path)


def main(*given: str) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="the WebUI's folder of models, in which Stable-diffusion/ is")
    parser.add_argument("--forks", action="store_true", help="for Forge, reForge, Forge Classic and Forge Neo")
    arguments = parser.parse_args(given or None)
    models = arguments.models.resolve()
    folder = models / "Stable-diffusion"
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.forks:
        prefix, sd1, sdxl = "lean", LEAN["sd1"], LEAN["sdxl"]
        for name, sizes in LEAN.items():
            save_file(weights(sizes, seed=len(name)), folder / f"lean-{name}.safetensors")
        write_config(folder / "lean-sd2.yaml", sd2_config(LEAN["sd2"], "eps"))  # reForge cannot try out a slim one
    else:
        prefix, sd1, sdxl = "tiny", inspect(CHECKPOINT), TINY_SDXL
        small_checkpoints(folder)
        if (folder / f"{CHECKPOINT.stem}.yaml").is_file():
            demo_variants(folder)
            print(f"CLIP_SKIP_REMEMBER={','.join(REMEMBERED)}")
        print(f"CLIP_SKIP_SD2_V={prefix}-sd2-v CLIP_SKIP_REFINER={prefix}-sdxl-refiner")
    write_loras(models / "Lora", sd1, sdxl, prefix)
    write_embedding(models.parent / "embeddings" / f"{prefix}ti.safetensors", sd1.text)
    print(f"CLIP_SKIP_SD2={prefix}-sd2 CLIP_SKIP_SDXL={prefix}-sdxl CLIP_SKIP_EMBEDDING={prefix}ti")
    print(f"CLIP_SKIP_LORA={prefix}-lora-sd1 CLIP_SKIP_LORA_XL={prefix}-lora-sdxl")


if __name__ == "__main__":
    main()
