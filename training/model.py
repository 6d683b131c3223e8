"""The sizes of the demonstration model, and the image tower that only training needs."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clip_skip.standalone.models.sizes import Sizes

SIZES = Sizes(
    unet=(64, 64, 128),
    attention=(False, True, True),
    unet_depth=1,
    unet_heads=4,
    vae=(32, 32, 64, 64),
    vae_depth=1,
    text=64,
    text_inner=256,
    text_layers=12,
    text_heads=4,
)

LATENT_SCALE = 0.18215
"""What every loader of SD1 checkpoints multiplies latents by."""


MIX = torch.tensor([[0.45, 0.45, 0.45], [2.25, -2.25, 0.0], [-1.125, -1.125, 2.25]])
"""Red, green, blue to brightness, red against green, and blue against both."""


def cells(pictures: Tensor) -> Tensor:
    """What the latents of ``pictures`` [n, 3, 128, 128] (-1..1) are to be: [n, 4, 16, 16], each of about unit size.

    Three channels are the mean colour of each 8 x 8 cell, the fourth how uneven the cell is.
    """
    means = F.avg_pool2d(pictures, 8)
    uneven = (F.avg_pool2d(pictures.square(), 8) - means.square()).clamp(min=0).mean(1, keepdim=True).sqrt()
    return torch.cat([torch.einsum("ij,njhw->nihw", MIX.to(pictures), means), 4 * uneven - 0.5], dim=1)


class ImageTower(nn.Module):
    """Pictures [n, 3, 64, 64] in -1..1 to unit vectors: one per place of a 4 x 4 grid, and one for the whole.

    It stands in for CLIP's image encoder while the text encoder is trained, and is thrown away.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = (3, 16, 32, 64, 96)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(8, outputs), nn.SiLU()]
        self.convolutions = nn.Sequential(*layers)
        self.place = nn.Linear(channels[-1], width)
        self.whole = nn.Linear(channels[-1] * 16, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Places [n, 16, width], whole [n, width]."""
        features = self.convolutions(pictures).flatten(2).transpose(1, 2)
        return F.normalize(self.place(features), dim=-1), F.normalize(self.whole(features.flatten(1)), dim=-1)
