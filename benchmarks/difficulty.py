"""Claim: the accuracies of Parts in docs/datasets.md and of pixels in docs/results-fashion.md.

    python benchmarks/difficulty.py parts32 linear --epochs 30
    python benchmarks/difficulty.py parts32 resnet9 --epochs 5 --images 1000
    python benchmarks/difficulty.py fashionmnist linear --epochs 30 --images 5000    and --seed 1, 2

One CPU thread; SGD with momentum under a one-cycle schedule, whose peak for ResNet-9 is
proportional to the batch. The linear classifier sees pixels in [-1, 1]; ResNet-9 (resnet18's conv1
to layer2, 512 hidden units) is trained from scratch on batches mirrored at random, left to right
and upside down.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from patchvae.data.store import Prepared, open_dataset, prepare
from patchvae.data.tensors import scale

CLASSES = 10


def load(prepared: Prepared, split: str, limit: int | None) -> tuple[Tensor, Tensor]:
    """Images (n, 3, H, W) in [-1, 1] and labels (n)."""
    index = prepared.subset_indices(split, limit)
    pixels = torch.from_numpy(np.array(prepared.images(split)[index]))
    return scale(pixels), torch.from_numpy(prepared.labels(split)[index])


def network(what: str, size: int) -> nn.Module:
    """The linear classifier, or ResNet-9 with its head."""
    if what == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, CLASSES))
    whole = resnet18()
    trunk = (whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1, whole.layer2)
    features = 128 * (size // 8) ** 2
    head = (nn.Flatten(), nn.Linear(features, 512), nn.ReLU(), nn.Linear(512, CLASSES))
    return nn.Sequential(*trunk, *head).to(memory_format=torch.channels_last)


def train(
    net: nn.Module, what: str, images: Tensor, labels: Tensor, epochs: int, batch_size: int
) -> None:
    """All epochs; the incomplete batch at an epoch's end is left out."""
    linear, per_epoch = what == "linear", len(images) // batch_size
    peak, decay = (2e-3, 1e-2) if linear else (0.05 * batch_size / 128, 5e-4)
    optimizer = torch.optim.SGD(
        net.parameters(), peak, momentum=0.9, weight_decay=decay, nesterov=not linear
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=epochs * per_epoch)
    net.train()
    for _ in range(epochs):
        for index in torch.randperm(len(images))[: per_epoch * batch_size].split(batch_size):
            batch = images[index]
            if not linear:
                for axis in (-1, -2):
                    batch = batch.flip(axis) if torch.rand(()) < 0.5 else batch
            loss = F.cross_entropy(net(batch), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Percent of images classified rightly."""
    net.eval()
    right = [
        net(b).argmax(1) == t for b, t in zip(images.split(500), labels.split(500), strict=True)
    ]
    return 100 * torch.cat(right).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", choices=("parts32", "parts64", "fashionmnist"))
    parser.add_argument("what", choices=("linear", "resnet9"))
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--images", type=int, help="of the training images, balanced [all]")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    prepare(options.dataset)
    prepared = open_dataset(options.dataset)
    images, labels = load(prepared, "train", options.images)
    net, begun = network(options.what, images.shape[-1]), time.process_time()
    train(net, options.what, images, labels, options.epochs, options.batch)
    seconds = time.process_time() - begun
    test = accuracy(net, *load(prepared, "test", None))
    print(
        f"{options.dataset} {options.what}, seed {options.seed}, {len(images)} images,"
        f" {options.epochs} epochs: "
        f"test {test:.1f} %, train {accuracy(net, images, labels):.1f} %, "
        f"{seconds:.0f} s of CPU time"
    )


if __name__ == "__main__":
    main()
