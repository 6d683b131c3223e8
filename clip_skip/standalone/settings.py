"""The settings of pictures, apart from what differs between them, and the infotext that gives a picture again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clip_skip import skip
from clip_skip.prompt import tags
from clip_skip.prompt.precedence import prompt_tag, without_prompt_tag
from clip_skip.skip import Skip
from clip_skip.standalone.engine.shots import SamplingOptions, Shot
from clip_skip.standalone.pictures import infotext
from clip_skip.standalone.sampling.samplers import in_two

__all__ = ["CommonSettings", "Settings"]


@dataclass(frozen=True, kw_only=True)
class CommonSettings(SamplingOptions):
    """What all pictures of a study have in common."""

    negative: str = ""
    emphasis: str = "Original"


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """What all cells of a sweep have in common, or the settings of a single picture.

    model:     the name of the checkpoint
    cfg_scale: where the rows of a sweep are something else
    family:    that of the checkpoint: SD1, SD2 or SDXL
    """

    model: str
    prompt: str
    seed: int
    cfg_scale: float = 7.0
    family: str = "SD1"

    def infotext(self, shot: Shot) -> str:
        """The infotext that gives `shot` again when pasted, in the words that AUTOMATIC1111 writes and reads.

        `Clip skip` is an integer, because a WebUI without this extension reads no other, for the whole picture, and of
        SD1, because on SD2 and SDXL its value does nothing there; everything else is a tag.
        """
        prompt, whole = shot.prompt.lstrip(), None
        if shot.clip_skip is not None:
            asked = Skip(shot.clip_skip, g=shot.clip_skip_g, hires=shot.hires_clip_skip)
            if shot.hires_clip_skip is None and (tag := prompt_tag(shot.prompt)):
                asked = replace(asked, hires=tag.hires)
            prompt = tags.without_bad(without_prompt_tag(shot.prompt)).lstrip()
            if self.family == "SD1" and asked == Skip(shot.clip_skip) and shot.clip_skip.is_integer():
                whole = asked
            else:
                prompt = f"<clipskip:{asked}>{prompt}"
        lines = [prompt]
        if shot.negative_clip_skip is not None:
            lines.append(
                f"Negative prompt: <clipskip:{skip.format(shot.negative_clip_skip)}>{tags.strip(shot.negative)}"
            )
        elif negative := tags.without_bad(shot.negative).lstrip():
            lines.append(f"Negative prompt: {negative}")
        sampler, schedule = in_two(self.sampler)
        values: dict[str, object] = {
            "Steps": self.steps,
            "Sampler": sampler,
            "Schedule type": schedule,
            "CFG scale": f"{shot.cfg_scale:g}",
            "Seed": shot.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model,
        }
        if self.emphasis != "Original":
            values["Emphasis"] = self.emphasis
        if whole:
            values["Clip skip"] = whole
        if self.hires:
            values |= infotext.of_hires(self.hires)
        values["RNG"] = "CPU" if self.noise == "CPU" else "NV"  # a GPU's noise, drawn anywhere
        return "\n".join([*lines, infotext.parameters(values)])
