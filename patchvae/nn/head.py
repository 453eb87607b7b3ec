"""The classifier on top of phi(x) (paper, Table 10, FC)."""

from torch import nn


class Head(nn.Sequential):
    """phi (B, C, h, w) or flat (B, C * h * w) -> logits (B, classes): flatten, 512 hidden units, ReLU, classes."""

    def __init__(self, features: int, classes: int, hidden: int = 512) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )
