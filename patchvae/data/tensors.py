"""Images as uint8 on the device, or read from disk batch by batch where they do not fit there.

Batching, flipping and scaling are vectorised on the device; there are no loader processes.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from patchvae.data.rows import read_rows
from patchvae.data.store import Prepared
from patchvae.errors import DataError
from patchvae.numerics.seeds import derive_seed

HOST_BYTES = 1 << 30  # a CPU job keeps at most so many bytes of images in memory
GPU_SHARE = 0.5  # of the free memory of a GPU that images may take
CHUNK = 4096  # images copied at a time
Wanted = str | Mapping[str, Sequence[float]]  # a name in INPUTS, or `mean` and `std` themselves
# mean and deviation of a colour in 0..1, subtracted and divided by
INPUTS: Mapping[str, tuple[Sequence[float], Sequence[float]]] = {
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # [-1, 1]
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # torchvision's
}


@dataclass(frozen=True)
class Inputs:
    """What an encoder sees of a pixel p in 0..255: p / (255 std) - mean / std, by colour."""

    shift: Tensor  # (3, 1, 1)
    divisor: Tensor

    @classmethod
    def of(cls, wanted: Wanted, device: torch.device) -> "Inputs":
        """From a name in `INPUTS`, or from mean and std themselves."""
        mean, std = INPUTS[wanted] if isinstance(wanted, str) else (wanted["mean"], wanted["std"])
        m, s = (torch.tensor(v, device=device)[:, None, None] for v in (mean, std))
        return cls(m / s, 255 * s)

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) in 0..255 -> float32 (B, 3, H, W), channels_last."""
        x = pixels.permute(0, 3, 1, 2).to(torch.float32)
        return x.div_(self.divisor).sub_(self.shift)

    def shown(self, x: Tensor) -> Tensor:
        """The inverse as colours in 0..1: (B, 3, H, W) -> (B, 3, H, W)."""
        return x.add(self.shift).mul(self.divisor).div(255).clamp(0, 1)


@dataclass(frozen=True)
class Split:
    """The chosen images of one split on disk.

    Row `index[i]` of an .npy file, uint8 (H, W, 3) each.
    """

    array: np.memmap
    index: np.ndarray

    @property
    def nbytes(self) -> int:
        return len(self.index) * self.row_bytes

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.array.shape[1:]))

    @cached_property
    def _file(self) -> int:
        assert self.array.filename is not None
        return os.open(self.array.filename, os.O_RDONLY)

    def read(self, positions: np.ndarray, into: list[np.ndarray]) -> None:
        """The images at some positions, each as a row of bytes.

        DataError when the file has lost some.
        """
        offsets = self.array.offset + self.index[positions].astype(np.int64) * self.row_bytes
        if not read_rows(self._file, offsets, into):
            raise DataError(
                f"{self.array.filename} is shorter than when it was opened: prepare it again"
            )


@dataclass(frozen=True)
class Stored:
    """Images that stay on disk; indexing reads them and puts them on the device."""

    splits: tuple[Split, ...]
    device: torch.device

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(split.index) for split in self.splits)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) on the device."""
        pinned = self.device.type == "cuda"
        shape = (len(index), *self.splits[0].array.shape[1:])
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        rows, positions = pixels.view(len(index), -1).numpy(), index.cpu().numpy()
        which = np.searchsorted(self._starts, positions, side="right") - 1
        for k, split in enumerate(self.splits):
            (mine,) = np.nonzero(which == k)
            split.read(positions[mine] - self._starts[k], [rows[row] for row in mine])
        return pixels.to(self.device, non_blocking=True)


@dataclass(frozen=True)
class Images:
    """`pixels` uint8 (n, H, W, 3), `labels` int64 (n,) on the device or None.

    `inputs` as `Inputs.of`.
    """

    pixels: Tensor | Stored
    labels: Tensor | None = None
    inputs: Wanted = "symmetric"

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def index_device(self) -> torch.device:
        """Where an epoch's order should lie.

        By images on disk the CPU, which must not wait for a GPU.
        """
        return self.pixels.device if isinstance(self.pixels, Tensor) else torch.device("cpu")

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs.of(self.inputs, self.pixels.device)

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        """float32 (B, 3, H, W), channels_last; images where `flip` is true are mirrored."""
        pixels = self.pixels[index]  # (B, H, W, 3)
        if flip is not None:
            flip = flip.to(pixels.device, non_blocking=True)
            pixels = torch.where(flip[:, None, None, None], pixels.flip(2), pixels)
        return self._inputs(pixels)


def scale(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) in 0..255 -> float32 (B, 3, H, W) in [-1, 1], channels_last."""
    return Inputs.of("symmetric", pixels.device)(pixels)


def epoch_order(
    n: int, flip: bool, device: torch.device, *words: int | str
) -> tuple[Tensor, Tensor | None]:
    """The order of an epoch's images, and which are mirrored (half of them), as a function of
    `words`.

    Drawn on the CPU by a generator of its own: the same on every device and after every resume.
    """
    generator = torch.Generator().manual_seed(derive_seed(*words))
    order = torch.randperm(n, generator=generator).to(device)
    mirrored = torch.rand(n, generator=generator) < 0.5
    return order, mirrored.to(device) if flip else None


def room(device: torch.device) -> int:
    """Bytes of images that may stay on a device."""
    if device.type == "cuda":
        return int(GPU_SHARE * torch.cuda.mem_get_info(device)[0])
    return HOST_BYTES


def load_images(
    prepared: Prepared,
    splits: tuple[str, ...],
    limit: int | None,
    device: torch.device,
    inputs: Wanted = "symmetric",
) -> Images:
    """The images of some splits, on the device where there is room.

    Labels when there is one split.
    """
    chosen = tuple(
        Split(prepared.images(split), prepared.subset_indices(split, limit)) for split in splits
    )
    labels = None
    if len(splits) == 1:
        labels = torch.from_numpy(prepared.labels(splits[0])[chosen[0].index]).to(device)
    stored = Stored(chosen, device)
    if sum(split.nbytes for split in chosen) > room(device):
        return Images(stored, labels, inputs)
    pixels = torch.empty(
        (len(stored), *chosen[0].array.shape[1:]), dtype=torch.uint8, device=device
    )
    for start in range(0, len(stored), CHUNK):
        index = torch.arange(start, min(start + CHUNK, len(stored)))
        pixels[start : start + CHUNK] = stored[index]
    return Images(pixels, labels, inputs)
