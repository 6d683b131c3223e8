"""Measure the checkpoint in the package: ``python training/evaluate.py RESULTS.json IMAGES_FOLDER [--page PAGE.md]``.

Pictures are made at clip skip 1, CFG 7 and 20 steps of DPM++ 2M Karras unless a table says otherwise, and judged by
their pixels (`checker.py`). Every caption, seed and noise follows from ``--seed``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from clip_skip.standalone.demo import checker, scenes
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models import checkpoint
from clip_skip.standalone.prompts import tokens
from training import random_scenes, report

STEPS, CFG = 20, 7.0
SKIPS, SCALES = range(1, 13), range(1, 12)
SWEEP_CAPTION = "a large red star on a white background"


@dataclass(frozen=True)
class Case:
    """A caption and the scene it describes."""

    scene: scenes.Scene
    mentions: scenes.Mentions
    text: str


def cases(count: int, seed: str, held_out: bool, things: int) -> list[Case]:
    """Captions that name colour and shape of every object; held out: at least one pair never seen in training."""
    rng = Random(seed)
    made = []
    while len(made) < count:
        scene = random_scenes.random_scene(rng, random_scenes.ALL_PAIRS if held_out else random_scenes.HELD_IN, things)
        if held_out and not any((thing.colour, thing.shape) in random_scenes.HELD_OUT for thing in scene.things):
            continue
        mentions = random_scenes.random_mentions(rng, drop_identity=0)
        made.append(Case(scene, mentions, random_scenes.caption(scene, rng, mentions)))
    return made


class Model:
    """The checkpoint, its tokenizer, and what the text encoder made of texts so far."""

    def __init__(self, path: Path, device: str, batch: int) -> None:
        self.parts = checkpoint.load_checkpoint(path, device)
        self.tokenizer = tokens.tokenizer()
        self.device, self.batch = device, batch

    @torch.no_grad()
    def conditions(self, texts: list[str], skip: int) -> Tensor:
        """LN(h[-skip]) for each text, [texts, 77, 64]."""
        ids = torch.cat([tokens.chunks(self.tokenizer, text) for text in texts]).to(self.device)
        encoder = self.parts.text_encoder
        states = encoder(input_ids=ids, output_hidden_states=True).hidden_states
        return getattr(encoder, "text_model", encoder).final_layer_norm(states[-skip])

    @torch.no_grad()
    def pictures(self, texts: list[str], skip: int = 1, cfg: float = CFG, seed: int = 0) -> Tensor:
        """[texts, 3, 128, 128] in 0..1. The noise depends on ``seed`` and the place in ``texts`` only."""
        made = []
        for begin in range(0, len(texts), self.batch):
            part = texts[begin : begin + self.batch]
            noise = [
                torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(seed + begin + index))
                for index in range(len(part))
            ]
            made.append(self._sample(torch.stack(noise), self.conditions(["", *part], skip), cfg))
        return torch.cat(made)

    def _sample(self, latents: Tensor, conditions: Tensor, cfg: float) -> Tensor:
        solver = DPMSolverMultistepScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, use_karras_sigmas=True, steps_offset=1
        )
        solver.set_timesteps(STEPS)
        latents = latents.to(self.device)
        empty, told = conditions[:1].expand(len(latents), -1, -1), conditions[1:]
        for moment in solver.timesteps:
            guess = self.parts.unet(torch.cat([latents, latents]), moment, torch.cat([empty, told])).sample
            without, given = guess.chunk(2)
            latents = solver.step(without + cfg * (given - without), moment, latents).prev_sample
        decoded = self.parts.vae.decode(latents / self.parts.vae.config.scaling_factor).sample
        return (decoded / 2 + 0.5).clamp(0, 1).cpu()


def share(values: Iterable[bool | None]) -> float | None:
    """The fraction that is true, of those that are not None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def score(asked: list[Case], made: Tensor) -> dict[str, float | None]:
    """Fractions of objects (colour, shape, both, size) and of pictures (place, background, count, whole)."""
    verdicts = [checker.judge(picture, case.scene, case.mentions) for picture, case in zip(made, asked)]
    both = [[a and b for a, b in zip(verdict.colours, verdict.shapes)] for verdict in verdicts]
    return {
        "captions": len(asked),
        "colour": share(right for verdict in verdicts for right in verdict.colours),
        "shape": share(right for verdict in verdicts for right in verdict.shapes),
        "colour and shape": share(right for pair in both for right in pair),
        "size": share(right for verdict in verdicts for right in verdict.sizes or ()),
        "place": share(verdict.places for verdict in verdicts),
        "background": share(verdict.background for verdict in verdicts),
        "count": share(verdict.count for verdict in verdicts),
        "every colour and shape": share(all(pair) for pair in both),
    }


def checker_itself(model: Model, asked: list[Case]) -> dict[str, dict]:
    """What the checker says of drawn pictures, and of the same pictures through the VAE and back."""
    drawn = torch.stack([random_scenes.draw_scene(case.scene) for case in asked])
    with torch.no_grad():
        latents = model.parts.vae.encode(2 * drawn.to(model.device) - 1).latent_dist.mean
        back = torch.cat([model.parts.vae.decode(part).sample.cpu() for part in latents.split(16)])
    back = (back / 2 + 0.5).clamp(0, 1)
    error = float((back - drawn).abs().mean()) * 255
    print(f"mean error of the VAE: {error:.2f} of 255")
    return {"drawn": score(asked, drawn), "through the VAE and back": score(asked, back)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--page", type=Path, help="a page whose tables are to be filled in")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--held-in", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--curve", type=int, default=60, help="captions per point of the curves")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=20)
    args = parser.parse_args()
    model = Model(args.checkpoint, args.device, args.batch)
    began = time.monotonic()

    def measure(asked: list[Case], **settings) -> dict:
        result = score(asked, model.pictures([case.text for case in asked], **settings))
        print(f"{time.monotonic() - began:.0f} s", settings, result, flush=True)
        return result

    singles = cases(args.held_in * 3 // 5, f"{args.seed}/in/1", False, 1)
    doubles = cases(args.held_in * 2 // 5, f"{args.seed}/in/2", False, 2)
    tables = {"the checker itself": checker_itself(model, singles[:50] + doubles[:50])}
    tables["captions"] = {
        "one object, held in": measure(singles),
        "two objects, held in": measure(doubles),
        "one object, held out": measure(cases(args.held_out * 3 // 5, f"{args.seed}/out/1", True, 1)),
        "two objects, held out": measure(cases(args.held_out * 2 // 5, f"{args.seed}/out/2", True, 2)),
    }
    mixed = singles[: args.curve * 3 // 5] + doubles[: args.curve * 2 // 5]
    tables["clip skip"] = {skip: measure(mixed, skip=skip) for skip in SKIPS}
    tables["CFG scale"] = {cfg: measure(mixed, cfg=float(cfg)) for cfg in SCALES}
    args.results.write_text(json.dumps(tables, indent=1), encoding="utf-8")
    for label, rows in tables.items():
        print(report.table(rows, label), flush=True)
    if args.page:
        report.fill(args.page, tables)

    args.images.mkdir(parents=True, exist_ok=True)
    asked = [case.text for case in singles[:12] + doubles[:12]]
    report.sheet(model.pictures(asked), asked, 6, args.images / "demo-sheet.png")
    rows = [
        torch.cat([model.pictures([SWEEP_CAPTION], skip=skip, cfg=cfg, seed=7) for skip in SKIPS])
        for cfg in (4.0, 7.0, 11.0)
    ]
    names = [f"clip skip {skip}, CFG {cfg}" for cfg in (4, 7, 11) for skip in SKIPS]
    report.sheet(torch.cat(rows), names, len(SKIPS), args.images / "demo-sweep.png", SWEEP_CAPTION)
    report.curves(tables["clip skip"], "clip skip", args.images / "demo-clip-skip.png")
    report.curves(tables["CFG scale"], "CFG scale", args.images / "demo-cfg.png")
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
