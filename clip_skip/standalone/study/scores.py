"""The scores of a study's pictures. A new one is a class as below, and a line in `SCORES`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from clip_skip.messages.message import FIELD_PROBLEM, MessageError, Template, reason
from clip_skip.skip import shorten
from clip_skip.standalone.models import header
from clip_skip.study.statistics import Measure

__all__ = ["SCORES", "Score", "ScoreError", "load_scores"]


NEEDS_CLIP = Template("--score clip needs --clip MODEL:FILE, such as --clip ViT-L-14:weights.safetensors")
NO_MODEL = Template("open_clip has no model {model}; it has ViT-L-14, ViT-B-32 and others")
NO_WEIGHTS = Template("there is no file {file}, and open_clip knows no weights of {model} by that name")
NOT_LOADED = Template("{clip} cannot be loaded: {problem}")
NOT_A_SCORE = Template("{name} is not one of {names}")
OTHER_SIZE = Template("it judges pictures of {size}x{size}, not {width}x{height}; use --size {size}")


class ScoreError(MessageError):
    """A score that cannot be used; the message says what is missing."""


class Score(Protocol):
    """name:     distinguishes its values from other scores', and from those with other weights
    measures: its columns, the first the main one
    """

    name: str
    measures: tuple[Measure, ...]

    def check(self, prompts: Sequence[str], size: tuple[int, int]) -> None:
        """ScoreError where pictures of the prompts, of this width and height, cannot be scored."""

    def score(
        self, pictures: Sequence[Image.Image], prompts: Sequence[str], published_pictures: Sequence[Image.Image]
    ) -> list[dict[str, float]]:
        """A value of each measure for each picture, NaN where there is none.

        published_pictures: the same pictures at the published clip skip
        """


class Difference:
    """The distance of a picture from the one at the published clip skip: RMS in levels of 0..255, and SSIM."""

    name = "difference"
    measures = (
        Measure("rms", "the difference from the published clip skip (RMS, of 255)", ""),
        Measure("ssim", "the likeness to the published clip skip (SSIM)", ""),
    )

    def __init__(self, clip: str, device: str) -> None:
        pass

    def check(self, prompts: Sequence[str], size: tuple[int, int]) -> None:
        pass

    def score(
        self, pictures: Sequence[Image.Image], prompts: Sequence[str], published_pictures: Sequence[Image.Image]
    ) -> list[dict[str, float]]:
        from clip_skip.sweep import report

        pairs = [(np.asarray(one), np.asarray(other)) for one, other in zip(pictures, published_pictures)]
        return [{"rms": report.root_mean_square(*pair), "ssim": report.picture_similarity(*pair)} for pair in pairs]


class Right:
    """The correctness of a picture of the bundled demo model, by its pixels; the prompts are its captions."""

    name = "right"
    measures = (
        Measure("right", "what is right in the picture (0 to 1)"),
        Measure("right_colour", "right colours (0 to 1)"),
        Measure("right_shape", "right shapes (0 to 1)"),
        Measure("right_place", "right places (0 to 1)"),
        Measure("right_count", "the right number of objects (0 to 1)"),
    )

    def __init__(self, clip: str, device: str) -> None:
        pass

    def check(self, prompts: Sequence[str], size: tuple[int, int]) -> None:
        from clip_skip.standalone.demo import captions, scenes

        side = scenes.PICTURE_SIZE
        if size != (side, side):
            raise ScoreError(OTHER_SIZE(size=side, width=size[0], height=size[1]))
        for prompt in prompts:
            try:
                captions.read_caption(prompt)
            except captions.CaptionError as error:
                raise ScoreError(reason(error)) from None

    def score(
        self, pictures: Sequence[Image.Image], prompts: Sequence[str], published_pictures: Sequence[Image.Image]
    ) -> list[dict[str, float]]:
        import torch

        from clip_skip.standalone.demo import captions, checker

        scores = []
        for picture, prompt in zip(pictures, prompts):
            pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
            verdict = checker.judge(pixels, *captions.read_caption(prompt))
            verdicts = {
                "right_colour": verdict.colours,
                "right_shape": verdict.shapes,
                "right_place": () if verdict.places is None else (verdict.places,),
                "right_count": (verdict.count,),
            }
            every = [right for values in verdicts.values() for right in values]
            parts = {name: float(np.mean(values)) if values else float("nan") for name, values in verdicts.items()}
            scores.append({"right": float(np.mean(every)), **parts})
        return scores


class Clip:
    """How well a picture fits its prompt by a CLIP model of open_clip: the cosine of their embeddings."""

    measures = (Measure("clip", "the fit of picture and prompt by CLIP (cosine)"),)

    def __init__(self, clip: str, device: str) -> None:
        """clip: `MODEL:FILE`, or `MODEL:NAME` with a name of open_clip's whose weights are on this machine."""
        import open_clip

        model, _, weights = clip.partition(":")
        if not weights:
            raise ScoreError(NEEDS_CLIP)
        if model not in open_clip.list_models():
            raise ScoreError(FIELD_PROBLEM(field="--clip", problem=NO_MODEL(model=shorten(model))))
        file = Path(weights)
        if not file.is_file() and weights not in open_clip.list_pretrained_tags_by_model(model):
            raise ScoreError(FIELD_PROBLEM(field="--clip", problem=NO_WEIGHTS(file=weights, model=model)))
        try:
            self._model, _, self._preprocess = open_clip.create_model_and_transforms(model, weights, device=device)
        except Exception as error:  # it raises many kinds: no network, a broken file, other sizes
            problem = NOT_LOADED(clip=clip, problem=str(error).partition("\n")[0])
            raise ScoreError(FIELD_PROBLEM(field="--clip", problem=problem)) from error
        self._model.eval()
        self._device = device
        self._tokenize = open_clip.get_tokenizer(model)
        weights_name = header.digest(file) if file.is_file() else weights
        self.name = f"clip-{hashlib.sha256(f'{model} {weights_name}'.encode()).hexdigest()[:12]}"
        self._text = lru_cache(4096)(self._text_of)

    def check(self, prompts: Sequence[str], size: tuple[int, int]) -> None:
        pass

    def _text_of(self, prompt: str) -> Any:
        return self._model.encode_text(self._tokenize([prompt]).to(self._device), normalize=True)[0]

    def score(
        self, pictures: Sequence[Image.Image], prompts: Sequence[str], published_pictures: Sequence[Image.Image]
    ) -> list[dict[str, float]]:
        import torch

        with torch.inference_mode():
            inputs = torch.stack([self._preprocess(picture) for picture in pictures]).to(self._device)
            images = self._model.encode_image(inputs, normalize=True)
            texts = torch.stack([self._text(plain(prompt)) for prompt in prompts])
            return [{"clip": value} for value in (images * texts).sum(1).tolist()]


def plain(prompt: str) -> str:
    """`prompt` as CLIP should read it: without tags."""
    from clip_skip.prompt import tags
    from clip_skip.prompt.comments import strip_comments
    from clip_skip.standalone.prompts import networks

    return networks.read_networks(tags.strip(strip_comments(prompt)))[0].strip()


SCORES: dict[str, Any] = {"right": Right, "clip": Clip, "difference": Difference}
"""Scores by name, as `--score` accepts them."""


def load_scores(
    names: Sequence[str], clip: str, device: str, prompts: Sequence[str], size: tuple[int, int]
) -> list[Score]:
    """The scores `names`, loaded and checked, so that anything missing is reported before pictures are made.

    size: width and height of the pictures
    """
    result: list[Score] = []
    for name in dict.fromkeys(names):
        if name not in SCORES:
            problem = NOT_A_SCORE(name=shorten(name), names=", ".join(SCORES))
            raise ScoreError(FIELD_PROBLEM(field="--score", problem=problem))
        score = SCORES[name](clip, device)
        try:
            score.check(prompts, size)
        except ScoreError as error:
            raise ScoreError(FIELD_PROBLEM(field=f"--score {name}", problem=reason(error))) from None
        result.append(score)
    return result
