"""The figure of a report: shares above, likeness as a heat map and change as curves below."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from clip_skip.sweep.report import Report, conclusion

__all__ = ["draw"]

PARTS = (("clip skip", "clip_skip", "#3b6fb6"), ("CFG", "cfg", "#e08a2e"), ("interaction", "interaction", "#8a8a94"))
"""Name, field and colour of each share."""


def draw(report: Report) -> Image.Image:
    """The report as one picture: shares above, similarity as a heat map and change as curves below."""
    figure = Figure(figsize=(max(9.5, 0.55 * len(report.clip_skips) + 4), 8.5), dpi=130, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(0.8, 1.3, 1.6))
    _draw_shares(top, report)
    _draw_similarity(figure, middle, report)
    _draw_change(bottom, report)
    figure.suptitle(conclusion(report), fontsize=10)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _draw_shares(axes: Axes, report: Report) -> None:
    kinds = [("pixels", report.pixels)] + ([("latents", report.latents)] if report.latents else [])
    left = np.zeros(len(kinds))
    for label, field, colour in PARTS:
        widths = np.array([getattr(shares, field) for _, shares in kinds])
        bars = axes.barh([kind for kind, _ in kinds], widths, left=left, label=label, color=colour, height=0.62)
        texts = [f"{width:.0%}" if width >= 0.05 else "" for width in widths]
        axes.bar_label(bars, texts, label_type="center", color="white", fontweight="bold")
        left += widths
    axes.set(xlim=(0, 1), title="What the differences between the pictures go with", xticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(left=False)
    axes.invert_yaxis()
    axes.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, 0.02), frameon=False)


def _draw_similarity(figure: Figure, axes: Axes, report: Report) -> None:
    values = np.array(report.similarity)
    image = axes.imshow(values, vmin=min(0.0, values.min()), vmax=1, cmap="viridis", aspect="auto")
    axes.set_title(f"Likeness to the picture at clip skip {report.clip_skips[report.reference]:g} (SSIM, 1 is equal)")
    axes.set_xticks(range(len(report.clip_skips)), [f"{value:g}" for value in report.clip_skips])
    axes.set_yticks(range(len(report.cfg_scales)), [f"{value:g}" for value in report.cfg_scales])
    axes.set(xlabel="clip skip", ylabel="CFG scale")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, pad=0.01)
    if values.size <= 120:
        for (row, column), value in np.ndenumerate(values):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.6 else "white")


def _draw_change(axes: Axes, report: Report) -> None:
    names = [f"{value:g}" for value in report.clip_skips]
    steps = [f"{one}→{other}" for one, other in pairwise(names)]
    colours = matplotlib.colormaps["plasma"](np.linspace(0.05, 0.8, len(report.cfg_scales)))
    for cfg_scale, row, colour in zip(report.cfg_scales, report.change, colours):
        axes.plot(steps, row, marker="o", color=colour, label=f"CFG {cfg_scale:g}")
    axes.set(
        title="Change from each clip skip to the next", xlabel="clip skip", ylabel="RMS difference (levels of 255)"
    )
    axes.set_ylim(0, 1.1 * max((value for row in report.change for value in row), default=0) or 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    if steps and len(report.cfg_scales) <= 12:
        axes.legend(frameon=False, ncols=min(len(report.cfg_scales), 6))
