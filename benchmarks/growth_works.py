"""What growth.py measures: for each, how it is prepared in an empty folder at a size, the sizes, and the unit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from clip_skip.made_for.findings import inspect
from clip_skip.prompt.parsed import find_warnings, parse_prompt
from clip_skip.standalone.demo.captions import DEMO
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.engine.loading import Loading
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.prompts import chunks, schedule, tokens
from clip_skip.standalone.settings import CommonSettings, Settings
from clip_skip.standalone.study.job import StudyJob
from clip_skip.standalone.study.run import run_study
from clip_skip.standalone.study.scores import Difference
from clip_skip.standalone.sweep.job import SweepJob
from clip_skip.standalone.sweep.run import make_sweep
from clip_skip.study.plan import StudyPlan
from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import ROW_KINDS, Rows

SIDE = 64
PICTURES = [
    Image.fromarray(pixels) for pixels in np.random.default_rng(0).integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)
]
SKIPS = tuple(map(float, range(1, 13)))


class NoEngine:
    """An engine whose pictures are there already."""

    conditioner = SimpleNamespace(passes=0)

    def prepare(self, *_: object) -> None:
        pass

    def make(self, batch: Batch, _on_step: object) -> Any:
        pictures = [PICTURES[(shot.seed + int(shot.clip_skip or 0)) % 16] for shot in batch.shots]
        return SimpleNamespace(pictures=pictures, latents=torch.zeros(len(pictures), 4, SIDE // 8, SIDE // 8))


@dataclass(frozen=True)
class NoLoading(Loading):
    def engine(self, model: Path, device: str) -> Any:
        return NoEngine()


def sweep_job(cells: int, out: Path, prompt: str = "a red cow", report: bool = False, **loading: Any) -> SweepJob:
    settings = Settings(1, SIDE, SIDE, model=CHECKPOINT.stem, prompt=prompt, seed=1)
    rows = Rows(tuple(range(cells // 12)), ROW_KINDS["seed"])
    plan = SweepPlan(SKIPS, rows)
    return SweepJob(CHECKPOINT, settings, plan, "cpu", 12, out, report, NoLoading(**loading))


def sweep(cells: int, folder: Path) -> Callable[[], object]:
    job = sweep_job(cells, folder)
    return lambda: make_sweep(job, NoEngine())  # type: ignore[arg-type]


def sweep_again(cells: int, folder: Path) -> Callable[[], object]:
    """All of it is finished: its cells are found, and the grid and the page are made once more."""
    sweep(cells, folder)()
    return sweep(cells, folder)


def sweep_report(cells: int, folder: Path) -> Callable[[], object]:
    job = sweep_job(cells, folder, report=True)
    return lambda: make_sweep(job, NoEngine())  # type: ignore[arg-type]


def study(cells: int, folder: Path) -> Callable[[], object]:
    """Ten clip skips; prompts and seeds grow alike, as the square root."""
    side = round((cells / 10) ** 0.5)
    prompts = tuple(f"{DEMO[index % len(DEMO)]} {index}" for index in range(side))
    seeds = tuple(range(cells // (10 * side)))
    plan = StudyPlan({CHECKPOINT.stem: SKIPS[:10]}, {CHECKPOINT.stem: 1.0}, prompts, seeds, (7.0,))
    common = CommonSettings(1, SIDE, SIDE)
    job = StudyJob({CHECKPOINT.stem: CHECKPOINT}, common, plan, "cpu", folder, NoLoading())
    return lambda: run_study(job, [Difference("", "")], batch=12)


def loras(count: int, folder: Path) -> None:
    weights = {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.ones(4, 8)}
    for index in range(count):
        save_file(weights, folder / f"{index:05d}.safetensors", {"ss_output_name": f"alias {index}"})


def lora_folder(count: int, folder: Path) -> Callable[[], object]:
    """What `clip-skip inspect FOLDER` and the table of all LoRAs do."""
    loras(count, folder)
    return lambda: [inspect(str(path)) for path in sorted(folder.rglob("*.safetensors"))]


def lora_of_a_sweep(count: int, folder: Path) -> Callable[[], object]:
    """The identities of 120 cells whose prompt names a LoRA of the folder by its alias."""
    loras(count, folder)
    job = sweep_job(120, folder / "sweep", f"a red cow <lora:alias {count - 1}:1>", loras=folder)
    return lambda: [job.identity(cell) for cell in job.plan.cells]


def page(count: int, _folder: Path) -> Callable[[], object]:
    columns, rows = Axis("clip skip", tuple(map(str, SKIPS))), Axis("seed", tuple(map(str, range(count // 12))))

    def work() -> str:
        embed = viewer.picture_embedder(count, (SIDE, SIDE))
        places = ((index % 12, index // 12) for index in range(count))
        cells = (viewer.ViewerCell(*place, embed(PICTURES[sum(place) % 16]), "Steps: 1" * 30) for place in places)
        return viewer.viewer_page("title", "about", columns, rows, cells, SIDE)

    return work


PIECES = ("(a red cow:1.2), ", "[[sky]] and {{grass}}, ", "[day:night:0.5], ", "<clipskip:2> ", "AND a field BREAK ")


def prompt(letters: int, _folder: Path) -> Callable[[], object]:
    """Parsed, checked, marked, scheduled and cut into chunks of tokens, as before it is encoded."""
    text = "".join(PIECES[index % len(PIECES)] + f"{index}, " for index in range(letters))[:letters]
    bpe = tokens.tokenizer()

    def work() -> None:
        find_warnings([parse_prompt(text)])
        shot = Shot(text, text, 2.0, 7.0, 1)
        shot.loras()
        for marked in shot.texts():
            for _, version in schedule.schedule(marked, 20, 0):
                chunks.chunks(version, lambda piece: bpe.encode(piece, add_special_tokens=False).ids)

    return work


WORKS: dict[str, tuple[Callable[[int, Path], Callable[[], object]], tuple[int, int, int], str]] = {
    "sweep": (sweep, (12, 120, 1200), "a cell"),
    "finished sweep": (sweep_again, (12, 120, 1200), "a cell"),
    "sweep with a report": (sweep_report, (12, 120, 1200), "a cell"),
    "study": (study, (90, 1000, 10000), "a picture"),
    "folder of LoRAs": (lora_folder, (20, 200, 2000), "a LoRA"),
    "LoRA of a sweep": (lora_of_a_sweep, (20, 200, 2000), "a LoRA"),
    "page": (page, (48, 504, 5040), "a picture"),
    "prompt": (prompt, (100, 1000, 10000), "a letter"),
}
