"""Features: what the frozen stages of a trunk make of images.

They run in eval mode, so what they compute is a constant of the image: it is computed once, both
mirror images where the protocol mirrors, and kept in memory or on disk.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor

from patchvae.data.rowfile import RowFile, disk_room
from patchvae.data.store import Prepared
from patchvae.data.tensors import Images, load_images, room
from patchvae.models.classifier import Frozen
from patchvae.models.trunk import Trunk
from patchvae.runtime.checkpoint import load_snapshots, load_weights
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig

EVAL_BATCH = 512  # images at a time outside training, on a CPU
GPU_EVAL_BATCH = 4096  # of 32 x 32 pixels on a GPU, as many pixels of other sizes
CACHE_BYTES = 64 << 30  # features beyond this are computed afresh for each batch


class Features(Protocol):
    """Features of a split's images by their indices, of the mirror images where `flip` is true."""

    @property
    def index_device(self) -> torch.device:
        """Where the indices of a batch should lie."""

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        """float32 (B, C, h, w)."""


def eval_batch(network: Frozen, device: torch.device) -> int:
    """How many images are classified, or their features cached, at a time."""
    if device.type == "cpu":
        return EVAL_BATCH
    return max(EVAL_BATCH, GPU_EVAL_BATCH * 32**2 // network.size**2)


@dataclass(frozen=True)
class Live:
    """Features computed for each batch: the plain way, for sets whose features fit nowhere."""

    images: Images
    network: Frozen

    @property
    def index_device(self) -> torch.device:
        """Where the indices of a batch should lie, as for `Images`."""
        return self.images.index_device

    @torch.no_grad()
    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        return self.network.prefix(self.images.batch(index, flip))


@dataclass(frozen=True)
class Cached:
    """Features computed once: n plain images, then n mirrored ones where the protocol mirrors."""

    features: Tensor | RowFile
    n: int

    @property
    def index_device(self) -> torch.device:
        """Where the indices of a batch should lie.

        By features on disk the CPU, which must not wait for a GPU.
        """
        on_disk = isinstance(self.features, RowFile)
        return torch.device("cpu") if on_disk else self.features.device

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        return self.features[index if flip is None else index + flip * self.n]


@torch.no_grad()
def cache(live: Live, flip: bool, memory: int | None = None) -> Cached:
    """All features of a split in the order of its images: on disk beyond `memory` bytes."""
    n, device = len(live.images), live.images.pixels.device
    sample = live.batch(torch.arange(1, device=live.index_device))
    # convolutions follow, or else the head, which flattens in the order of channels
    channels_last = bool(live.network.rest)
    shape = torch.Size([n * (2 if flip else 1), *sample.shape[1:]])
    index = torch.arange(shape[0], device=live.index_device).split(eval_batch(live.network, device))
    if 4 * shape.numel() > (room(device) if memory is None else memory):
        stored = RowFile(shape[1:], channels_last, device)
        for rows in index:
            stored.append(live.batch(rows % n, rows >= n))
        return Cached(stored, n)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    features = torch.empty(shape, device=device, memory_format=layout)
    for rows in index:
        features[rows.to(device)] = live.batch(rows % n, rows >= n)
    return Cached(features, n)


def features_of(images: Images, network: Frozen, flip: bool) -> Live | Cached:
    """Cached features where something is frozen and memory or disk holds them, else live ones."""
    live = Live(images, network)
    if not network.constant:
        return live
    one = live.batch(torch.arange(1, device=live.index_device)).numel()
    needed = 4 * one * len(images) * (2 if flip else 1)
    limit = min(CACHE_BYTES, max(disk_room(), room(images.pixels.device)))
    return cache(live, flip) if needed <= limit else live


@dataclass(frozen=True)
class Split:
    """Features of a split and its labels, int64 (n,)."""

    features: Features
    labels: Tensor


def images_of(
    config: ProbeConfig, data: Prepared, name: str, device: torch.device
) -> tuple[Images, Tensor]:
    """The images of a split that the probe uses, as the encoder takes them, and their labels."""
    facts = config.encoder.data
    limit = (config.probe.images or facts.train) if name == "train" else facts.test
    images = load_images(data, (name,), limit, device, facts.inputs)
    assert images.labels is not None
    return images, images.labels


def load_trunk(config: ProbeConfig) -> Trunk:
    """The trunk that the run pretrained; CheckpointError when its file is missing or broken."""
    trunk = Trunk(str(config.encoder.model["trunk"]))
    trunk.load_state_dict(_weights(config))
    return trunk


def _weights(config: ProbeConfig) -> dict[str, Tensor]:
    """Those at the end of the training, or of the trunk in its k-th snapshot."""
    k, folder = config.probe.snapshot, config.run.pretrain
    if k == 0:
        return load_weights(folder / paths.ENCODER)
    _, model = next(islice(load_snapshots(folder / paths.SNAPSHOTS), k - 1, None))
    named = ((*name.partition("trunk.")[1:], tensor) for name, tensor in model.items())
    return {rest: tensor for trunk, rest, tensor in named if trunk}
