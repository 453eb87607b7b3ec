"""Table 1 as differences: PatchVAE minus beta-VAE with the same loss, in points."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from patchvae.analysis.cells import read_cell, sample_of
from patchvae.analysis.paired import contrast
from patchvae.analysis.stats import difference_noise
from patchvae.figures.canvas import axes_grid, new_figure
from patchvae.figures.catalogue import Target
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.registry import DATASETS

LOSSES = {"": "$L_2$", "-lw": "$L_w$", "-gan": "GAN", "-gan-lw": "GAN + $L_w$"}


@dataclass(frozen=True)
class Panel:
    """Differences (losses, columns) in points, and which have a 95 % interval without zero."""

    title: str
    difference: np.ndarray
    excludes_zero: np.ndarray


@dataclass(frozen=True)
class Differences:
    """Columns are (dataset, probe); ours, and the paper's where its protocol is ours."""

    subject: str
    columns: list[tuple[str, str]]
    panels: list[Panel]


def compute(target: Target, options: Options) -> Differences:
    """From the cells of Table 1; a loss without both rows has no number."""
    cells = target.cells()
    documents = {(cell.row.key, cell.address.column): read_cell(cell) for cell in cells}
    columns = list(dict.fromkeys((cell.dataset, cell.column.key) for cell in cells))
    sources = {"ours": "mean"}
    if target.study == paths.MAIN_STUDY:
        sources["the paper's"] = "paper"
    panels = [_panel(title, field, columns, documents) for title, field in sources.items()]
    return Differences("Bold: the 95 % interval excludes zero", columns, panels)


def _panel(
    title: str,
    field: str,
    columns: list[tuple[str, str]],
    documents: dict[tuple[str, str], dict[str, Any]],
) -> Panel:
    difference = np.full((len(LOSSES), len(columns)), np.nan)
    excludes = np.zeros(difference.shape, dtype=bool)
    for i, loss in enumerate(LOSSES):
        for j, (dataset, probe) in enumerate(columns):
            pair = [
                documents.get((m + loss, f"{dataset}-{probe}")) for m in ("patchvae", "beta-vae")
            ]
            if pair[0] is not None and pair[1] is not None:
                ours, other = pair[0], pair[1]
                difference[i, j] = ours[field] - other[field]
                excludes[i, j] = _excludes_zero(ours, other, field)
    return Panel(title, difference, excludes)


def _excludes_zero(a: dict[str, Any], b: dict[str, Any], field: str) -> bool:
    """By seed and test image for our rows; by test images alone for the paper's single runs."""
    if field == "paper":
        return abs(a[field] - b[field]) > difference_noise(a[field], b[field], a["n_test"])
    estimate = contrast([(1, sample_of(a)), (-1, sample_of(b))])
    return estimate is not None and estimate.excludes()


def draw(data: Differences) -> Figure:
    """One heat map a panel, on one scale, numbers written in."""
    import seaborn

    figure = new_figure(1.55 * len(data.panels) + 0.5)
    axes = axes_grid(figure, len(data.panels), 1)[:, 0]
    reach = max(float(np.nanmax(np.abs(panel.difference))) for panel in data.panels)
    names = [f"{DATASETS[dataset].title}\n{probe}" for dataset, probe in data.columns]
    for axis, panel in zip(axes, data.panels, strict=True):
        seaborn.heatmap(
            panel.difference, ax=axis, cmap="PuOr_r", vmin=-reach, vmax=reach, annot=True,
            fmt="+.2f", annot_kws={"fontsize": 7}, linewidths=0.5, cbar_kws={"label": "points"},
            xticklabels=names, yticklabels=list(LOSSES.values()),
        )  # fmt: skip
        bold = panel.excludes_zero[~np.isnan(panel.difference)]
        for text, strong in zip(axis.texts, bold, strict=True):
            text.set_fontweight("bold" if strong else "normal")
            text.set_text(text.get_text().replace("-", "\N{MINUS SIGN}"))  # as on the colour bar
        axis.tick_params(length=0, rotation=0, labelsize=6)
        axis.set_title(f"PatchVAE minus $\\beta$-VAE, {panel.title}")
    return figure
