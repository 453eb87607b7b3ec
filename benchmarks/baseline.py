"""The plain baseline of the speed benchmarks: a careful researcher's PyTorch.

A DataLoader with workers turns PIL images into tensors one at a time; networks are NCHW; one
process uses every core; each phase has an optimizer of torch.optim, zero_grad and backward(); all
terms are read and logged at every step; a probe runs the whole network in every step, its frozen
stages in eval mode. The numbers are the suite's own (tests/benchmarks/test_baseline.py). So the
discriminator phase of the GANs sees the reconstructions of the first phase, as there: no second
forward pass.
"""

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from patchvae.models.base import Unsupervised
from patchvae.models.head import Head
from patchvae.models.trunk import Trunk

Batch = tuple[Tensor, Tensor]


class Pictures(Dataset[tuple[Tensor, int]]):
    """uint8 (n, H, W, 3) and labels (n) -> float32 (3, H, W) in [-1, 1], half mirrored; label."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, flip: bool) -> None:
        from torchvision import transforms  # seconds, which the suite's own processes need not wait

        self.pixels, self.labels = pixels, labels
        mirror = [transforms.RandomHorizontalFlip()] if flip else []
        normalise = transforms.Normalize((0.5,) * 3, (0.5,) * 3)
        self.transform = transforms.Compose([*mirror, transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, k: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[k])), int(self.labels[k])


def batches(pictures: Pictures, batch_size: int, workers: int) -> Iterator[Batch]:
    """Shuffled batches, epoch after epoch; the incomplete one at an epoch's end is left out."""
    loader = DataLoader(
        pictures,
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return chain.from_iterable(repeat(loader))


class Pretraining:
    """The phases of a model, each with its Adam."""

    def __init__(self, model: Unsupervised, lr: float) -> None:
        self.model, self.phases, self.steps = model.train(), model.phases(), 0
        self.optimizers = [torch.optim.Adam(phase.parameters, lr) for phase in self.phases]

    def step(self, x: Tensor) -> dict[str, float]:
        """One update; every loss and term, for the log."""
        self.model.at_step(self.steps)
        self.steps += 1
        log = {}
        for phase, optimizer in zip(self.phases, self.optimizers, strict=True):
            optimizer.zero_grad()
            loss, terms = phase.loss(x)
            loss.backward()
            optimizer.step()
            log[f"{phase.name} loss"] = loss.item()
            log.update({name: term.item() for name, term in terms.items()})
        return log


class Probing:
    """A classifier on a trunk whose first stages are frozen, trained by SGD with momentum 0.9."""

    def __init__(self, trunk: Trunk, last_frozen: str, head: Head, lr: float) -> None:
        self.network = nn.Sequential(trunk, head)
        frozen, _ = trunk.split(last_frozen)
        self.frozen = [module for stage in frozen for module in trunk.stage(stage)]
        for module in self.frozen:
            module.requires_grad_(False)
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr, momentum=0.9)

    def begin_epoch(self) -> None:
        """Training mode, but for what is frozen."""
        self.network.train()
        for module in self.frozen:
            module.eval()

    def step(self, x: Tensor, labels: Tensor) -> float:
        """One update; the loss, for the log."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(x), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def right(self, x: Tensor, labels: Tensor) -> tuple[int, int]:
        """How many images of a test batch have the label first, and among the first five."""
        self.network.eval()
        hits = self.network(x).topk(5, dim=1).indices == labels[:, None]
        return int(hits[:, 0].sum().item()), int(hits.any(1).sum().item())


def repeated(
    batches: Iterator[Batch], step: Callable[[Tensor, Tensor], object]
) -> Callable[[], int]:
    """`step` on the next batch, as one call that says how many images it took."""

    def once() -> int:
        x, labels = next(batches)
        step(x, labels)
        return len(x)

    return once
