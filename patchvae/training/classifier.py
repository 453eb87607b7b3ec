"""The classifier on a frozen trunk (paper, section 4 and Table 10), and its accuracy on a split."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from patchvae.models.head import Head
from patchvae.models.trunk import Trunk
from patchvae.numerics import parallel
from patchvae.numerics.precision import autocast, widen
from patchvae.training.features import Frozen, Split, eval_batch

NETWORK = ("hidden", "precision", "dropout", "init", "frozen_bn", "affine")  # settings of it
PREDICTED = ("predicted", "correct1", "correct5")  # of every test image


class Classifier(Frozen):
    """The frozen stages, the rest of the trunk and the two fully-connected layers of Table 10.

    The settings are those of the protocol's section `probe` that shape the network; their defaults
    are the protocol's.
    """

    def __init__(
        self,
        trunk: Trunk,
        frozen: str | None,
        size: int,
        classes: int,
        *,
        hidden: int = 512,
        precision: str = "fp32",
        dropout: float = 0.0,
        init: str = "pytorch",
        frozen_bn: str = "eval",
        affine: str = "trained",
    ) -> None:
        super().__init__(trunk, frozen, size, precision=precision, frozen_bn=frozen_bn)
        side = size // trunk.stride
        self.classes = classes
        self.head = Head(trunk.channels * side * side, classes, hidden, dropout, init)
        if affine == "frozen":
            for module in trunk.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.requires_grad_(False)

    def forward(self, h: Tensor) -> Tensor:
        """What the frozen stages made of images, to logits (B, classes)."""
        with autocast(self.precision, h.device):
            return widen(self.head(self.trunk.through(h, self.rest)))


@torch.no_grad()
def evaluate(classifier: Classifier, split: Split) -> dict[str, Any]:
    """What is `scored` of a classifier on a split."""
    classifier.eval()
    labels, k = split.labels, min(5, classifier.classes)
    at_once = eval_batch(classifier, labels.device)
    top = torch.zeros(len(labels), k, dtype=torch.int64, device=labels.device)
    for start in parallel.mine(range(0, len(labels), at_once)):
        stop = min(start + at_once, len(labels))
        index = torch.arange(start, stop, device=split.features.index_device)
        top[start:stop] = classifier(split.features.batch(index)).topk(k, dim=1).indices
    return scored(parallel.total(top), labels)


def scored(top: Tensor, labels: Tensor) -> dict[str, Any]:
    """The predicted classes, both kinds of correctness, and the accuracies in percent.

    `top` int64 (n, at most 5), the likeliest class first; `labels` int64 (n,).
    """
    hits = top == labels[:, None]
    return scores_of(
        predicted=top[:, 0].cpu().numpy().astype(np.int16),
        correct1=hits[:, 0].cpu().numpy(),
        correct5=hits.any(1).cpu().numpy(),
    )


def scores_of(**predictions: np.ndarray) -> dict[str, Any]:
    """Predictions with the accuracies that follow from them."""
    scores = {f"top{k}": round(100 * float(predictions[f"correct{k}"].mean()), 6) for k in (1, 5)}
    return predictions | scores
