"""Rows of pictures with a name each: what reconstructions and samples have in common."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from patchvae.figures.canvas import as_picture, axes_grid, new_figure


@dataclass(frozen=True)
class Gallery:
    """Each row: its name and float pictures (B, H, W, 3) in [0, 1]."""

    subject: str
    rows: dict[str, np.ndarray]


def draw_gallery(data: Gallery) -> Figure:
    """A line of pictures a row."""
    count = max(len(pictures) for pictures in data.rows.values())
    height = 0.51 * len(data.rows) + 0.3
    figure = new_figure(height, w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = axes_grid(figure, len(data.rows), count)
    for line, (name, pictures) in zip(axes, data.rows.items(), strict=True):
        for column, (axis, picture) in enumerate(zip(line, pictures, strict=True)):
            axis.imshow(picture)
            as_picture(axis, name if column == 0 else "")
    return figure
