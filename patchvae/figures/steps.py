"""Accuracy against steps of pretraining, and the lead of one model over another on the way.

From cells whose rows judge a snapshot (`probe.snapshot`), beside the same models at their end.
"""

from dataclasses import dataclass
from itertools import chain

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from patchvae.analysis.cells import read_cell
from patchvae.analysis.pairs import Difference, differences
from patchvae.figures.canvas import axes_grid, new_figure
from patchvae.figures.catalogue import Target
from patchvae.figures.inputs import is_trained, name_of
from patchvae.planning.work import pretrain_images
from patchvae.runtime.machine import Options
from patchvae.study.registry import DATASETS
from patchvae.study.tables import Cell, load_table

SNAPSHOT = "probe.snapshot"
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "v")


@dataclass(frozen=True)
class Steps:
    """Data frames with a line a seed (`accuracies`, percent) and a line a pair (`leads`, points).

    `columns` are titles by column, `references` the rows that no training made, by column and
    label, with their means. A lead has its 95 % interval.
    """

    subject: str
    columns: dict[str, str]
    accuracies: pd.DataFrame
    references: dict[tuple[str, str], float]
    leads: pd.DataFrame


def compute(target: Target, options: Options) -> Steps:
    """Every trained row at its step, every other as a level, every pair of two trained rows."""
    cells = target.cells()
    points, references = [], {}
    for cell in cells:
        document, column = read_cell(cell), cell.address.column
        if not is_trained(cell.row):
            references[column, cell.row.label] = document["mean"]
            continue
        for seed, value in zip(document["seeds"], document["values"], strict=True):
            points.append((column, name_of(cell.row), step_of(cell), seed, value))
    (table,) = {cell.table.name for cell in cells}
    steps = {(cell.row.key, cell.address.column): step_of(cell) for cell in cells}
    found = differences(load_table(target.study, table))
    return Steps(
        subject="Thin lines: seeds; thick: means; bars: 95 % intervals, paired",
        columns={cell.address.column: _title(cell) for cell in cells},
        accuracies=pd.DataFrame(points, columns=["column", "model", "step", "seed", "accuracy"]),
        references=references,
        leads=pd.DataFrame(
            [_lead(d, steps[d.first.key, d.column]) for d in found if _of_one_step(d)],
            columns=["column", "pair", "step", "difference", "low", "high"],
        ),
    )


def _title(cell: Cell) -> str:
    return f"{DATASETS[cell.dataset].title}\n{cell.column.label or cell.column.probe.capitalize()}"


def step_of(cell: Cell) -> int:
    """The optimiser steps behind a cell's trunk; 0 for one that is not trained."""
    from patchvae.training.phases import snapshot_steps

    probe = cell.probes()[0]
    settings, images = probe.encoder.pretrain, pretrain_images(probe.encoder)
    if settings is None:
        return 0
    steps = (*snapshot_steps(settings, images), settings.epochs * (images // settings.batch_size))
    return steps[probe.probe.snapshot - 1]


def _of_one_step(difference: Difference) -> bool:
    """Whether both rows are trained and judged at the same snapshot."""
    first, second = difference.first, difference.second
    at = [row.overrides.get(SNAPSHOT) for row in (first, second)]
    return (
        difference.estimate is not None and at[0] == at[1] and all(map(is_trained, (first, second)))
    )


def _lead(difference: Difference, step: int) -> tuple[str, str, int, float, float, float]:
    assert difference.estimate is not None
    low, high = difference.estimate.interval()
    pair = f"{name_of(difference.first)} − {name_of(difference.second)}"
    return difference.column, pair, step, difference.estimate.difference, low, high


def draw(data: Steps) -> Figure:
    """Above the accuracies of a column, below its leads."""
    figure = new_figure(4.2)
    axes = axes_grid(
        figure, 2, len(data.columns), sharex=True, sharey="row", height_ratios=(1.4, 1)
    )
    for (above, below), (column, title) in zip(axes.T, data.columns.items(), strict=True):
        _accuracies(above, data, column)
        _leads(below, data.leads[data.leads["column"] == column])
        above.set_title(title)
        below.set_xlabel("steps of pretraining")
    axes[0, 0].set_ylabel("top-1 (%)")
    axes[1, 0].set_ylabel("lead (points)")
    drawn = [zip(*axis.get_legend_handles_labels(), strict=True) for axis in axes[:, 0]]
    handles, labels = zip(*chain(*drawn), strict=True)
    figure.legend(handles, labels, loc="outside upper center", ncol=3, fontsize=6)
    return figure


def _accuracies(axis: Axes, data: Steps, column: str) -> None:
    import seaborn

    shown = data.accuracies[data.accuracies["column"] == column]
    for k, (model, found) in enumerate(shown.groupby("model", sort=False)):
        common = {"data": found, "x": "step", "y": "accuracy", "color": f"C{k}", "ax": axis}
        seaborn.lineplot(**common, units="seed", estimator=None, lw=0.5, alpha=0.5)
        seaborn.lineplot(
            **common, errorbar=None, lw=1.4, marker=MARKERS[k % 4], markersize=4, label=str(model)
        )
    levels = [(key[1], level) for key, level in data.references.items() if key[0] == column]
    for k, (label, level) in enumerate(levels):
        axis.axhline(level, color="0.35", ls=LINES[1 + k % 3], lw=1, label=label)
    axis.legend().remove()
    axis.set(xlabel="", ylabel="")


def _leads(axis: Axes, leads: pd.DataFrame) -> None:
    axis.axhline(0, color="0.35", lw=0.8)
    for k, (pair, found) in enumerate(leads.groupby("pair", sort=False)):
        error = [found["difference"] - found["low"], found["high"] - found["difference"]]
        # one pair beside the other, that both bars are seen
        axis.errorbar(
            found["step"] * 1.06**k, found["difference"], error, color=f"C{4 + k}",
            ls=LINES[k % 4], marker="D", markersize=3, elinewidth=0.8, label=str(pair),
        )  # fmt: skip
    axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    steps = sorted(set(leads["step"]))
    axis.set_xticks(steps, [f"{step:,}" for step in steps], rotation=45, fontsize=6)
