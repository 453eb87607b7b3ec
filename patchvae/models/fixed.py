"""Trunks that no unsupervised phase trains: the untrained floor and the supervised reference."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from patchvae.errors import DataError
from patchvae.models.base import Phase, Unsupervised
from patchvae.models.trunk import Trunk
from patchvae.numerics.batchnorm import calibrate

# torchvision's ResNet18_Weights.IMAGENET1K_V1; the name ends in the first 8 digits of its SHA-256
IMAGENET_FILE = "resnet18-f37072fd.pth"


class FixedTrunk(Unsupervised):
    """phi whose weights no step changes."""

    def __init__(self, size: int, *, trunk: str) -> None:
        super().__init__()
        self.trunk = Trunk(trunk)

    def phases(self) -> list[Phase]:
        return []


class RandomTrunk(FixedTrunk):
    """phi as initialised: frozen it is the floor of every column, fully trained the supervised row.

    Its batch normalisation has the statistics of the pretraining images, as every pretrained
    trunk's has (`random_statistics: images`, reading A23). With those of PyTorch, 0 and 1
    (`initial`), its features lack the scale that the probe's learning rate needs, and the floor is
    7 points too low.
    """

    def __init__(self, size: int, *, trunk: str, random_statistics: str) -> None:
        super().__init__(size, trunk=trunk)
        self.calibrated = random_statistics == "images"

    def look(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        if self.calibrated:
            calibrate(self.trunk, batches)


class ImageNetTrunk(FixedTrunk):
    """phi from torchvision's supervised ImageNet weights (`imagenet-pretrained` of Table 1)."""

    def __init__(self, size: int, *, trunk: str, weights: Path | None = None) -> None:
        super().__init__(size, trunk=trunk)
        state = load_imagenet_weights(weights or default_weights())
        self.trunk.load_state_dict({name: state[name] for name in self.trunk.state_dict()})


def default_weights() -> Path:
    """Where torch.hub keeps, or would put, torchvision's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_FILE


def load_imagenet_weights(path: Path, sha256_prefix: str = "f37072fd") -> dict[str, Tensor]:
    """The state dict in `path`, after its digest; DataError when it is missing or another file."""
    if not path.is_file():
        raise DataError(
            f"torchvision's ImageNet weights are missing: put {IMAGENET_FILE} at {path}"
            " (on a machine with network: python -c 'from torchvision.models import *;"
            " ResNet18_Weights.IMAGENET1K_V1.get_state_dict()')"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(sha256_prefix):
        raise DataError(
            f"{path} is not torchvision's {IMAGENET_FILE}: its SHA-256 starts with {digest[:8]},"
            f" not {sha256_prefix}; delete it and fetch it again"
        )
    return torch.load(path, map_location="cpu", weights_only=True)
