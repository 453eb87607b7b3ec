"""Tables 3-5 as curves: accuracy against one hyper-parameter, intervals, the paper's points."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from patchvae.analysis.cells import read_cell
from patchvae.figures.canvas import axes_grid, hide_unused, new_figure
from patchvae.figures.catalogue import Target
from patchvae.figures.inputs import SWEEPS, symbol
from patchvae.paper.published import accuracy
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.protocol import protocol
from patchvae.study.registry import DATASETS
from patchvae.study.variants import full_key


@dataclass(frozen=True)
class Curve:
    """One hyper-parameter on one dataset: our means and intervals, or the paper's; percent."""

    parameter: str
    dataset: str
    x: list[float]
    mean: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


@dataclass(frozen=True)
class Ablations:
    """`comparable` says that both used the same protocol, so that they may share axes."""

    subject: str
    ours: list[Curve]
    paper: list[Curve]
    comparable: bool


def compute(target: Target, options: Options) -> Ablations:
    """The curves of every sweep that the study has."""
    cells = [(read_cell(cell), cell) for cell in target.cells()]
    points = []
    for document, cell in cells:
        ((parameter, value),) = cell.row.overrides.items()
        low, high = document["interval"]
        points.append((parameter, cell.dataset, float(value), document["mean"], low, high))
    ours = [
        Curve(parameter, dataset, *(list(column) for column in columns))
        for (parameter, dataset), columns in _columns(points)
    ]
    swept = {curve.parameter for curve in ours}
    return Ablations(
        subject="Conv5 probe; bars: 95 % intervals",
        ours=ours,
        paper=[curve for curve in published() if curve.parameter in swept],
        comparable=target.study == paths.MAIN_STUDY,
    )


def published() -> list[Curve]:
    """The paper's Tables 3-5 as curves."""
    points = []
    for key, value in accuracy().items():
        if key.table in SWEEPS:
            parameter, _, x = key.row.partition("=")
            points.append((parameter, key.dataset, float(x), value))
    return [
        Curve(parameter, dataset, *(list(column) for column in columns))
        for (parameter, dataset), columns in _columns(points)
    ]


def _columns(
    points: list[tuple[Any, ...]],
) -> list[tuple[tuple[str, str], list[tuple[float, ...]]]]:
    """Points grouped by parameter and dataset in their order, each group as columns along x."""
    keys, datasets = list(protocol()), list(DATASETS)
    ordered = sorted(points, key=lambda p: (keys.index(full_key(p[0])), datasets.index(p[1]), p[2]))
    groups = groupby(ordered, key=lambda p: (p[0], p[1]))
    return [(key, list(zip(*(p[2:] for p in group), strict=True))) for key, group in groups]


def draw(data: Ablations) -> Figure:
    """A row of panels a dataset; other studies have the paper's numbers in rows of their own."""
    parameters = list(dict.fromkeys(curve.parameter for curve in data.ours))
    datasets = list(dict.fromkeys(curve.dataset for curve in data.ours))
    theirs = [] if data.comparable else list(dict.fromkeys(c.dataset for c in data.paper))
    rows = len(datasets) + len(theirs)
    figure = new_figure(1.15 * rows + 0.35)
    axes = axes_grid(figure, rows, len(parameters), sharey="row", sharex="col")
    for row, dataset in enumerate(datasets):
        for axis, parameter in zip(axes[row], parameters, strict=True):
            _panel(axis, _find(data.ours, parameter, dataset), "C0", "ours")
            if data.comparable:
                _panel(axis, _find(data.paper, parameter, dataset), "C1", "paper")
        axes[row, 0].set_ylabel(f"{DATASETS[dataset].title}\ntop-1 (%)")
    for row, dataset in enumerate(theirs, len(datasets)):
        for axis, parameter in zip(axes[row], parameters, strict=True):
            _panel(axis, _find(data.paper, parameter, dataset), "C1", "paper")
            axis.set_facecolor("0.96")
        axes[row, 0].set_ylabel(f"{DATASETS[dataset].title}\nthe paper's (%)")
    for axis, parameter in zip(axes[-1], parameters, strict=True):
        axis.set_xlabel(symbol(parameter))
    if theirs:
        _heading(
            axes[len(datasets), 0], "The paper's own: other images and protocol, not comparable"
        )
    if data.comparable:
        axes[0, -1].legend()
    return figure


def _heading(axis: Axes, words: str) -> None:
    """A title over a whole row of panels; the blank one keeps its room."""
    axis.set_title(" ")
    axis.text(0, 1.05, words, transform=axis.transAxes, va="bottom").set_in_layout(False)


def _find(curves: list[Curve], parameter: str, dataset: str) -> Curve | None:
    return next((c for c in curves if (c.parameter, c.dataset) == (parameter, dataset)), None)


def _panel(axis: Axes, curve: Curve | None, colour: str, label: str) -> None:
    if curve is None:
        hide_unused([axis])
        return
    style: dict[str, Any] = {"color": colour, "marker": "o", "label": label}
    if curve.low is None or curve.high is None:
        axis.plot(curve.x, curve.mean, ls="--", mfc="white", **style)
    else:
        below = [m - low for m, low in zip(curve.mean, curve.low, strict=True)]
        above = [high - m for m, high in zip(curve.mean, curve.high, strict=True)]
        axis.errorbar(curve.x, curve.mean, (below, above), capsize=2, elinewidth=0.8, **style)
    axis.set_xscale("log", base=2)
    axis.set_xticks(curve.x, [f"{x:g}" for x in curve.x])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.margins(x=0.15)
