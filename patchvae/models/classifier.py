"""What a probe trains: a trunk whose first stages are frozen, and the classifier on top of it."""

from typing import Self

from torch import Tensor, nn

from patchvae.models.head import Head
from patchvae.models.trunk import Trunk
from patchvae.numerics.precision import autocast, widen


class Frozen(nn.Module):
    """The trunk with stages up to `frozen` fixed; what they make of images are the features."""

    def __init__(
        self,
        trunk: Trunk,
        frozen: str | None,
        size: int,
        *,
        precision: str = "fp32",
        frozen_bn: str = "eval",
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.frozen, self.rest = trunk.split(frozen)
        self.size, self.precision = size, precision
        self.constant = bool(self.frozen) and frozen_bn == "eval"
        for stage in self.frozen:
            for module in trunk.stage(stage):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Frozen stages whose features are constants of the image stay in eval mode.

        With `frozen_bn: train` (reading A13) their statistics are each batch's, as in the release.
        """
        super().train(mode)
        if self.constant:
            for stage in self.frozen:
                for module in self.trunk.stage(stage):
                    module.eval()
        return self

    def prefix(self, x: Tensor) -> Tensor:
        """Images to what the frozen stages make of them."""
        with autocast(self.precision, x.device):
            return widen(self.trunk.through(x, self.frozen))


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
