"""Figure 3: the weights of L_w (section 3.4) for natural photographs or a dataset's images."""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from patchvae.data.store import open_dataset
from patchvae.data.tensors import scale
from patchvae.figures.canvas import as_picture, axes_grid, new_figure
from patchvae.figures.catalogue import Target
from patchvae.models.losses import laplacian, pixel_weights
from patchvae.runtime.machine import Options
from patchvae.study.registry import DATASETS

SIDE = 64  # pixels, as Indoor67
# (name in skimage.data, top, left, side of the square that is taken)
PHOTOGRAPHS = (
    ("astronaut", 0, 0, 512),
    ("chelsea", 0, 75, 300),
    ("coffee", 0, 100, 400),
    ("stereo_motorcycle", 0, 120, 500),
    ("rocket", 0, 107, 427),
)


@dataclass(frozen=True)
class Masks:
    """B images, uint8 (B, H, W, 3); the Laplacian's magnitude, the loss's weights, (B, H, W)."""

    subject: str
    images: np.ndarray
    laplacian: np.ndarray
    weights: np.ndarray

    @property
    def product(self) -> np.ndarray:
        """Images times weights, each image's highest weight made one: (B, H, W, 3) in [0, 1]."""
        scale = self.weights.max(axis=(1, 2), keepdims=True)
        return self.images / 255 * (self.weights / scale)[..., None]


def photographs() -> np.ndarray:
    """Photographs that scikit-image carries, squares: uint8 (5, SIDE, SIDE, 3)."""
    import skimage.data
    from PIL import Image

    found = []
    for name, top, left, side in PHOTOGRAPHS:
        picture = getattr(skimage.data, name)()
        picture = picture[0] if isinstance(picture, tuple) else picture
        square = picture[top : top + side, left : left + side, :3]
        small = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        found.append(np.asarray(small))
    return np.stack(found)


def masks(images: np.ndarray, subject: str) -> Masks:
    """The masks of uint8 images (B, H, W, 3), by the loss's own functions."""
    x = scale(torch.from_numpy(np.ascontiguousarray(images)))
    energy, weights = laplacian(x).mean(1).numpy(), pixel_weights(x)[:, 0].numpy()
    return Masks(subject, images, energy, weights)


def compute(target: Target, options: Options) -> Masks:
    """Photographs, or as many training images of the target's dataset."""
    if target.dataset is None:
        return masks(photographs(), f"Photographs from scikit-image at {SIDE} x {SIDE} pixels")
    data = open_dataset(target.dataset, options.data)
    images = data.images("train")[data.subset_indices("train", len(PHOTOGRAPHS))]
    return masks(images, f"{DATASETS[target.dataset].title}, training images")


def draw(data: Masks) -> Figure:
    """Four rows: image, Laplacian, weights, product."""
    figure = new_figure(4.4)
    axes = axes_grid(figure, 4, len(data.images))
    shades = {"cmap": "gray", "vmin": 0}
    for column, lines in enumerate(axes.T):
        lines[0].imshow(data.images[column])
        lines[1].imshow(data.laplacian[column], **shades)
        lines[2].imshow(data.weights[column], **shades)
        lines[3].imshow(data.product[column])
    for line, label in zip(axes, ("image", "Laplacian", "weights", "product"), strict=True):
        for column, axis in enumerate(line):
            as_picture(axis, label if column == 0 else "")
    for axis, weights in zip(axes[2], data.weights, strict=True):
        axis.set_xlabel(f"{weights.min():.1f} to {weights.max():.1f}", fontsize=6, labelpad=2)
    return figure
