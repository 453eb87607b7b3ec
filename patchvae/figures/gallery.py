"""Rows of pictures with a name each: what reconstructions and samples have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from patchvae.figures.canvas import as_picture, axes_grid, left_out, new_figure, title_of
from patchvae.figures.catalogue import Target
from patchvae.figures.networks import Trained, load_trained
from patchvae.runtime.machine import Options
from patchvae.study.registry import DATASETS

Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Gallery:
    """Each row: its name and float pictures (B, H, W, 3) in [0, 1]."""

    subject: str
    rows: Rows


def gallery(
    target: Target,
    options: Options,
    ability: type,
    rows_of: Callable[[Trained, Any, str], Rows],
    lacking: str,
) -> Gallery:
    """The rows of each run whose model has an `ability`, a protocol of `models/base.py`.

    The others are named as `lacking` it.
    """
    rows: Rows = {}
    lack, runs = [], target.runs()
    for run in runs:
        trained = load_trained(run, options)
        if isinstance(trained.model, ability):
            rows |= rows_of(trained, trained.model, title_of(run.model))
        else:
            lack.append(run.model)
    subject = f"{DATASETS[runs[0].dataset].title}, seed {runs[0].seed}"
    return Gallery(subject + left_out(lack, lacking), rows)


def draw_gallery(data: Gallery) -> Figure:
    """A line of pictures a row; no row, no line."""
    height = 0.51 * len(data.rows) + 0.3
    figure = new_figure(height, w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    if not data.rows:
        return figure
    count = max(len(pictures) for pictures in data.rows.values())
    axes = axes_grid(figure, len(data.rows), count)
    for line, (name, pictures) in zip(axes, data.rows.items(), strict=True):
        for column, (axis, picture) in enumerate(zip(line, pictures, strict=True)):
            axis.imshow(picture)
            as_picture(axis, name if column == 0 else "")
    return figure
