"""The classifier on top of phi(x) (paper, Table 10, FC)."""

import torch
from torch import Tensor, nn

from patchvae.models.initial import initialise
from patchvae.numerics.parallel import share, whole


def dropout(x: Tensor, p: float) -> Tensor:
    """x with each entry zero with probability p, else divided by 1 - p (Srivastava et al. 2014)."""
    if not p:
        return x
    return x * (share(torch.rand_like(whole(x))) >= p) / (1 - p)


class Head(nn.Sequential):
    """phi (B, C, h, w) or flat (B, C * h * w) -> logits (B, classes).

    Flatten, 512 hidden units, ReLU, classes.

    In training mode the first layer does not see a share `p` of the features (`dropout`).
    """

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: int = 512,
        p: float = 0.0,
        scheme: str = "pytorch",
    ) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )
        self.p = p
        initialise(self, scheme)

    def forward(self, phi: Tensor) -> Tensor:
        return super().forward(dropout(phi, self.p) if self.training else phi)
