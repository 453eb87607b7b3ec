"""The 64 filters of the first convolution, for each model of Table 1."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from patchvae.errors import CheckpointError
from patchvae.figures.canvas import as_picture, axes_grid, hide_unused, new_figure, title_of
from patchvae.figures.catalogue import Target
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.registry import DATASETS
from patchvae.study.runs import Run, resolve_run

COLUMNS = 5


@dataclass(frozen=True)
class Filters:
    """By model: weights (64, 3, 7, 7)."""

    subject: str
    weights: dict[str, np.ndarray]


def compute(target: Target, options: Options) -> Filters:
    """conv1.weight of each run's encoder."""
    runs = target.runs()
    subject = f"{DATASETS[runs[0].dataset].title}, seed {runs[0].seed}; each model on its own scale"
    return Filters(subject, {run.model: _conv1(run) for run in runs})


def _conv1(run: Run) -> np.ndarray:
    path = run.pretrain / paths.METRICS
    if read_result(path, "pretrain")["config_digest"] != resolve_run(run).digest:
        raise CheckpointError(
            f"{path} was made with another configuration: run its job again (snakemake does)"
        )
    weights: np.ndarray = load_weights(run.pretrain / paths.ENCODER)["conv1.weight"].numpy()
    return weights


def mosaic(weights: np.ndarray, columns: int = 8) -> np.ndarray:
    """Filters (F, 3, k, k) as one picture in [0, 1], zero in mid-grey, a white line between two."""
    F, C, k, _ = weights.shape
    rows = -(-F // columns)
    scaled = 0.5 + weights / (2 * np.abs(weights).max())
    picture = np.ones((rows * (k + 1) - 1, columns * (k + 1) - 1, C), dtype=np.float32)
    for index, filter_ in enumerate(scaled):
        row, column = divmod(index, columns)
        top, left = row * (k + 1), column * (k + 1)
        picture[top : top + k, left : left + k] = filter_.transpose(1, 2, 0)
    return picture


def draw(data: Filters) -> Figure:
    """One mosaic a model."""
    rows = -(-len(data.weights) // COLUMNS)
    figure = new_figure(1.2 * rows + 0.25)
    axes = axes_grid(figure, rows, COLUMNS).flatten()
    for axis, (model, weights) in zip(axes, data.weights.items(), strict=False):
        axis.imshow(mosaic(weights))
        as_picture(axis)
        axis.set_title(title_of(model), fontsize=6.5, pad=2)
    hide_unused(axes[len(data.weights) :])
    return figure
