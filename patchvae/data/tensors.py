"""Images as one uint8 tensor on the device; batching, flipping and scaling are vectorised there."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from patchvae.data.store import Prepared
from patchvae.seeds import derive_seed


@dataclass(frozen=True)
class Images:
    """`pixels` uint8 (n, H, W, 3) on the device, `labels` int64 (n,) or None."""

    pixels: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        """float32 (B, 3, H, W) in [-1, 1], channels_last; images where `flip` is true are mirrored."""
        pixels = self.pixels[index]  # (B, H, W, 3)
        if flip is not None:
            pixels = torch.where(flip[:, None, None, None], pixels.flip(2), pixels)
        return scale(pixels)


def scale(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) in 0..255 -> float32 (B, 3, H, W) in [-1, 1], channels_last."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)


def epoch_order(
    n: int, flip: bool, device: torch.device, *words: int | str
) -> tuple[Tensor, Tensor | None]:
    """The order of an epoch's images, and which are mirrored (half of them), as a function of `words`.

    Drawn on the CPU by a generator of its own: the same on every device and after every resume.
    """
    generator = torch.Generator().manual_seed(derive_seed(*words))
    order = torch.randperm(n, generator=generator).to(device)
    mirrored = torch.rand(n, generator=generator) < 0.5
    return order, mirrored.to(device) if flip else None


def load_images(
    prepared: Prepared, splits: tuple[str, ...], limit: int | None, device: torch.device
) -> Images:
    """The images of some splits on the device; labels too when there is one split."""
    pixels, labels = [], None
    for split in splits:
        index = prepared.subset_indices(split, limit)
        pixels.append(np.ascontiguousarray(prepared.images(split)[index]))
        if len(splits) == 1:
            labels = torch.from_numpy(prepared.labels(split)[index]).to(device)
    return Images(torch.from_numpy(np.concatenate(pixels)).to(device), labels)
