"""Square patches around the cells of the trunk's grid, a cell being `stride` pixels wide."""

import numpy as np


def patch_side(size: int) -> int:
    """Three eighths of the image: three cells at 64 pixels, as far as a visibility head looks."""
    return 3 * size // 8


def corners(cell: np.ndarray, stride: int, size: int) -> np.ndarray:
    """Top and left pixel (..., 2) of the patches centred on cells (flat indices).

    A patch that would leave the image is moved inside, so that all show real pixels only.
    """
    side = patch_side(size)
    centre = (np.stack(np.divmod(cell, size // stride), -1) + 0.5) * stride
    return np.clip(np.round(centre - side / 2), 0, size - side).astype(np.int64)


def all_patches(images: np.ndarray, stride: int) -> np.ndarray:
    """The patch of every cell: uint8 (B, H, W, 3) -> float32 (B, L, side * side * 3) in [0, 1]."""
    size, side = images.shape[1], patch_side(images.shape[1])
    where = corners(np.arange((size // stride) ** 2), stride, size)
    found = [
        images[:, t : t + side, left : left + side].reshape(len(images), -1) for t, left in where
    ]
    return np.stack(found, axis=1).astype(np.float32) / 255
