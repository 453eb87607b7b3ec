"""Features with mean 0 and standard deviation 1: the probe `conv5-standardised`.

With a fixed learning rate and few steps the paper's probe favours features of larger scale. Here
every feature, that is every channel at every place, is shifted and scaled by its moments over the
training images, so that the scale of an encoder's features no longer matters. Not of the paper.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from patchvae.training.features import Features


@dataclass(frozen=True)
class Standardised:
    """(h - mean) / deviation of features h; `mean` and `deviation` float32 (1, C, h, w)."""

    features: Features
    mean: Tensor
    deviation: Tensor

    @property
    def index_device(self) -> torch.device:
        return self.features.index_device

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        return (self.features.batch(index, flip) - self.mean) / self.deviation


def moments(features: Features, n: int, flip: bool, at_once: int) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation of each feature over n images, float32 (1, C, h, w).

    With `flip` over 2n, the mirror images too. Sums are float64, of differences from the first
    image's features: a feature that is the same in all images varies by exactly 0. Its deviation is
    given as 1, so that it is only centred. `at_once` images are taken at a time.
    """

    def block(rows: Tensor) -> Tensor:
        return features.batch(rows % n, rows >= n if flip else None).double()

    total = n * (2 if flip else 1)
    blocks = torch.arange(total, device=features.index_device).split(at_once)
    shift = block(blocks[0])[:1]
    first, second = torch.zeros_like(shift), torch.zeros_like(shift)
    for rows in blocks:
        d = block(rows) - shift
        first += d.sum(0, keepdim=True)
        second += d.square().sum(0, keepdim=True)
    mean = first / total
    deviation = (second / total - mean.square()).clamp(min=0).sqrt().float()
    return (mean + shift).float(), deviation.where(deviation > 0, 1)
