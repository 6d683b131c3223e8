"""Train the demonstration model: ``python training/train.py RUN_FOLDER [vae clip unet export]``.

Stages are restartable: each keeps its state in RUN_FOLDER and goes on where it stopped. What a step sees depends only
on the seed, the stage and the step, so an interrupted run and an uninterrupted one see the same data.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from clip_skip.standalone.demo.scenes import Scene
from clip_skip.standalone.models import configs
from clip_skip.standalone.prompts import tokens
from training import export
from training.model import LATENT_SCALE, SIZES, ImageTower, cells
from training.random_scenes import caption, draw_scene, random_scene

STEPS = {"vae": 2000, "clip": 1300, "unet": 3600}
BATCH = {"vae": 4, "clip": 96, "unet": 32}
RATE = {"vae": 2e-3, "clip": 1e-3, "unet": 8e-4}
SCENES = 12_000
"""Pictures that the clip and unet stages draw from; every caption of the clip stage is new."""
CAPTIONS = 2
"""Captions per picture in the unet stage."""
SAVE_EVERY, REPORT_EVERY = 200, 25  # steps


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 50 steps, then half a cosine down to 3% of ``peak``."""
    progress = step / steps
    return peak * min(1.0, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * progress)))


def fit(stage: str, module: nn.Module, loss_at: Callable[[int], Tensor], args: argparse.Namespace) -> nn.Module:
    """Train ``module`` on ``loss_at(step)``, saving as it goes; returns the moving average of its weights."""
    path, steps = args.folder / f"{stage}.pt", args.steps or STEPS[stage]
    optimizer = torch.optim.AdamW(module.parameters(), betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    average = copy.deepcopy(module).requires_grad_(False)
    start, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location=args.device)
        module.load_state_dict(state["module"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        start, seconds = state["step"], state["seconds"]
    losses, began = [], time.monotonic()
    for step in range(start, steps):
        torch.manual_seed(args.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, RATE[stage])
        loss = loss_at(step)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            weight = 1 - min(0.998, (1 + step) / (20 + step))
            torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), weight)
        losses.append(loss.item())
        done = step + 1
        spent = seconds + time.monotonic() - began
        if done % REPORT_EVERY == 0:
            left = spent / done * (steps - done)
            print(
                f"{stage} {done}/{steps} loss {sum(losses) / len(losses):.4f} {spent:.0f} s, {left:.0f} s left",
                flush=True,
            )
            losses.clear()
        if done % SAVE_EVERY == 0 or done == steps:
            state = {"module": module.state_dict(), "average": average.state_dict(), "step": done, "seconds": spent}
            state["optimizer"] = optimizer.state_dict()
            torch.save(state, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
    return average.eval()


def scenes_at(stage: str, step: int, count: int, seed: int) -> list[Scene]:
    rng = Random(f"{seed}/{stage}/{step}")
    return [random_scene(rng) for _ in range(count)]


def edges(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels, across and down."""
    return pictures.diff(dim=-1), pictures.diff(dim=-2)


def vae_loss(vae: AutoencoderKL, step: int, args: argparse.Namespace) -> Tensor:
    """The encoder learns `cells` and how sure it is of them; the decoder to draw the picture from noisy `cells`.

    A decoder's error counts six-fold inside the objects, and errors of edges count by themselves.
    """
    scenes = scenes_at("vae", step, BATCH["vae"], args.seed)
    pictures = 2 * torch.stack([draw_scene(scene) for scene in scenes]).to(args.device) - 1
    wanted = cells(pictures)
    encoding = 0.0
    if step % 3 == 0:  # it learns faster than the decoder
        guess = vae.encode(pictures).latent_dist
        encoding = F.mse_loss(guess.mean, wanted) + 0.01 * F.gaussian_nll_loss(guess.mean, wanted, guess.var)
    decoded = vae.decode(wanted + 0.07 * torch.randn_like(wanted)).sample
    corner = pictures[..., 6:7, 6:7]  # of the background
    inside = (pictures - corner).abs().amax(1, keepdim=True) > 0.05
    error = decoded - pictures
    drawing = ((error.abs() + error.square()) * (1 + 5 * inside)).mean()
    return encoding + drawing + 2 * sum(F.l1_loss(a, b) for a, b in zip(edges(decoded), edges(pictures)))


@torch.no_grad()
def scale_latents(vae: AutoencoderKL) -> None:
    """Scale the latents, in the 1x1 convolutions next to them, so that 0.18215 times them is `cells`."""
    count = SIZES.latents
    vae.post_quant_conv.weight *= LATENT_SCALE
    vae.quant_conv.weight[:count] /= LATENT_SCALE
    vae.quant_conv.bias[:count] /= LATENT_SCALE
    vae.quant_conv.bias[count:] -= 2 * math.log(LATENT_SCALE)


def encode_texts(tokenizer, texts: list[str], length: int, device: str) -> Tensor:
    """Token ids [texts, length], each text closed and filled up with the end token."""
    return torch.cat([tokens.chunks(tokenizer, text) for text in texts])[:, :length].to(device)


def match(scores: Tensor) -> Tensor:
    """CLIP's loss: row i belongs to column i, and the other way round. ``scores`` is [n, n]."""
    truth = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, truth) + F.cross_entropy(scores.T, truth)) / 2


def clip_loss(towers: nn.ModuleDict, pool: tuple, tokenizer, step: int, args: argparse.Namespace) -> Tensor:
    """CLIP's contrastive loss on (caption, picture), and the same on (words, places) as in FILIP (arXiv 2111.07783)."""
    scenes, pictures = pool
    rng = Random(f"{args.seed}/clip/{step}")
    chosen = rng.sample(range(len(scenes)), BATCH["clip"])
    length = 77 if step % 20 == 0 else 20  # no caption is longer than 20
    ids = encode_texts(tokenizer, [caption(scenes[i], rng) for i in chosen], length, args.device)
    hidden = towers["text"](input_ids=ids).last_hidden_state
    ends = (ids == tokens.END).int().argmax(1)
    places, whole = towers["image"](pictures[chosen].to(args.device).float() / 127.5 - 1)
    rows = torch.arange(len(ids), device=ids.device)
    caption = F.normalize(towers["caption"](hidden[rows, ends]), dim=-1)
    words = F.normalize(towers["word"](hidden), dim=-1)
    scale = towers["image"].log_scale.exp().clamp(max=100)
    index = torch.arange(length, device=ids.device)
    spoken = ((index > 0) & (index <= ends[:, None])).float()
    alike = torch.einsum("atd,bpd->abtp", words, places)
    by_word = (alike.amax(3) * spoken[:, None]).sum(2) / spoken.sum(1)[:, None]
    by_place = (alike - 2 * (1 - spoken)[:, None, :, None]).amax(2).mean(2)
    return match(scale * caption @ whole.T) + (match(scale * by_word) + match(scale * by_place)) / 2


@torch.no_grad()
def unet_data(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Latents [scenes, 4, 16, 16] and the last layer for their captions [captions, 77, 64], the empty one last."""
    path = args.folder / "unet-data.pt"
    if path.exists():
        return torch.load(path)
    text_encoder, tokenizer = export.trained_text(args.folder).to(args.device), tokens.tokenizer()
    rng = Random(f"{args.seed}/captions")
    scenes = scenes_at("pool", 0, args.scenes, args.seed)
    latents = torch.cat([cells(2 * draw_scene(scene)[None] - 1) for scene in scenes])
    texts = [caption(scene, rng) for scene in scenes for _ in range(CAPTIONS)] + [""]
    hidden = [
        text_encoder(input_ids=encode_texts(tokenizer, texts[begin : begin + 128], 77, args.device)).last_hidden_state
        for begin in range(0, len(texts), 128)
    ]
    result = latents, torch.cat(hidden).half().cpu()
    torch.save(result, path)
    return result


def unet_loss(unet: UNet2DConditionModel, pool: tuple, noises: DDPMScheduler, step: int, args) -> Tensor:
    """Error of the predicted noise, weighted by min-SNR-5 (arXiv 2303.09556); one caption in ten is the empty one."""
    latents, hidden = pool
    chosen = torch.randint(len(latents), (BATCH["unet"],))
    captions = chosen * CAPTIONS + torch.randint(CAPTIONS, chosen.shape)
    captions[torch.rand(chosen.shape) < 0.1] = len(hidden) - 1
    clean = latents[chosen].to(args.device)
    noise = torch.randn_like(clean) + 0.1 * torch.randn(len(clean), 4, 1, 1, device=clean.device)
    times = torch.randint(1000, chosen.shape).to(args.device)
    noisy = noises.add_noise(clean, noise, times)
    guess = unet(noisy, times, hidden[captions].to(args.device).float()).sample
    kept = noises.alphas_cumprod.to(args.device)[times]
    weight = (5 * (1 - kept) / kept).clamp(max=1)
    return (weight * (guess - noise).square().mean((1, 2, 3))).mean()


def train_vae(args: argparse.Namespace) -> None:
    vae = AutoencoderKL(**configs.vae_config(SIZES)).to(args.device)
    vae = fit("vae", vae, partial(vae_loss, vae, args=args), args)
    scale_latents(vae)
    torch.save(vae.state_dict(), args.folder / "vae-weights.pt")


def train_clip(args: argparse.Namespace) -> None:
    scenes = scenes_at("pool", 0, args.scenes, args.seed)
    pictures = torch.stack([F.avg_pool2d(draw_scene(scene, framed=False), 2) * 255 for scene in scenes]).byte()
    towers = nn.ModuleDict(
        {
            "text": CLIPTextModel(configs.encoder_config(SIZES.texts[0], "quick_gelu")),
            "caption": nn.Linear(SIZES.text, 64, bias=False),
            "word": nn.Linear(SIZES.text, 64, bias=False),
            "image": ImageTower(64),
        }
    ).to(args.device)
    loss = partial(clip_loss, towers, (scenes, pictures), tokens.tokenizer(), args=args)
    towers = fit("clip", towers, loss, args)
    torch.save(towers["text"].state_dict(), args.folder / "text-weights.pt")


def train_unet(args: argparse.Namespace) -> None:
    noises = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    unet = UNet2DConditionModel(**configs.unet_config(SIZES)).to(args.device)
    for name, weight in unet.named_parameters():  # every block begins as the identity, as in CompVis' code
        if name.startswith("conv_out.") or ".conv2." in name or ".proj_out." in name:
            nn.init.zeros_(weight)
    unet = fit("unet", unet, partial(unet_loss, unet, unet_data(args), noises, args=args), args)
    torch.save(unet.state_dict(), args.folder / "unet-weights.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("stages", nargs="*", default=["vae", "clip", "unet", "export"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="instead of each stage's own number")
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    run = {"vae": train_vae, "clip": train_clip, "unet": train_unet, "export": lambda args: export.write(args.folder)}
    for stage in args.stages:
        torch.manual_seed(args.seed)
        began = time.monotonic()
        run[stage](args)
        print(f"{stage}: {time.monotonic() - began:.0f} s in this run", flush=True)


if __name__ == "__main__":
    main()
