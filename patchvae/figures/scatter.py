"""Every published accuracy against ours, coloured by verdict; for the paper's protocol only."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from patchvae.analysis.cells import read_cell
from patchvae.analysis.stats import CONSISTENT, DIFFERS, INCONCLUSIVE, REPRODUCED, verdict
from patchvae.figures.canvas import axes_grid, new_figure
from patchvae.figures.catalogue import Target
from patchvae.runtime.machine import Options

# verdict -> colour and marker, so that neither is needed alone
MARKS = {
    REPRODUCED: ("C2", "o"),
    CONSISTENT: ("C0", "s"),
    INCONCLUSIVE: ("C7", "v"),
    DIFFERS: ("C3", "X"),
}


@dataclass(frozen=True)
class Point:
    """One cell, percent."""

    key: str
    paper: float
    ours: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Agreement:
    """All cells that the paper and we have."""

    subject: str
    points: list[Point]


def compute(target: Target, options: Options) -> Agreement:
    """A point for each cell with a published number."""
    points = []
    for cell in target.cells():
        document = read_cell(cell)
        if document["paper"] is not None:
            word = verdict(document["values"], document["n_test"], document["paper"]).word
            low, high = document["interval"]
            points.append(Point(cell.key, document["paper"], document["mean"], low, high, word))
    return Agreement("Tables 1-5; bars: 95 % intervals", points)


def draw(data: Agreement) -> Figure:
    """Ours over the paper's with the identity, and the difference over the paper's beside."""
    figure = new_figure(2.8)
    (left, right), *_ = axes_grid(figure, 1, 2)
    for word, (colour, marker) in MARKS.items():
        points = [point for point in data.points if point.verdict == word]
        paper = [point.paper for point in points]
        style = {"color": colour, "marker": marker, "ls": "", "alpha": 0.8, "elinewidth": 0.6}
        for axis, base in ((left, [0.0] * len(points)), (right, paper)):
            ours = [p.ours - b for p, b in zip(points, base, strict=True)]
            bars = [p.ours - p.low for p in points], [p.high - p.ours for p in points]
            axis.errorbar(paper, ours, bars, label=f"{word} ({len(points)})", **style)
    ends = [0.95 * min(p.paper for p in data.points), 1.05 * max(p.paper for p in data.points)]
    left.plot(ends, ends, color="0.3", lw=0.8, zorder=0)
    right.axhline(0, color="0.3", lw=0.8, zorder=0)
    left.set(xlabel="paper (%)", ylabel="ours (%)")
    right.set(xlabel="paper (%)", ylabel="ours - paper (points)")
    left.legend(loc="upper left")
    return figure
