"""Training curves of Table 1's runs, from their history.csv."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from patchvae.analysis.history import History, read_history
from patchvae.figures.canvas import axes_grid, hide_unused, new_figure, title_of
from patchvae.figures.catalogue import Target
from patchvae.runtime.machine import Options
from patchvae.study.registry import ARCHITECTURES, DATASETS, MODELS

OTHER_KLS = "KL of $z$ or of appearance"  # and of the latents of models that are not the paper's
# panel title -> the columns of history.csv that it shows
PANELS = {
    "reconstruction": ("recon",),
    OTHER_KLS: ("kl", "kl_app"),
    "KL of visibility": ("kl_vis",),
    "generator, encoder": ("adversarial", "generator", "encoder"),
    "discriminator": ("discriminator",),
}
SPAN = 30  # a panel that spans more has a logarithmic scale
LINES = {(False, False): "-", (True, False): "--", (False, True): "-.", (True, True): ":"}
ENCODER = "encoder"  # the term of BiGAN that its panel shows beside the generator's


@dataclass(frozen=True)
class Training:
    """Every run of Table 1."""

    subject: str
    histories: list[History]


def compute(target: Target, options: Options) -> Training:
    """The histories of all seeds."""
    histories = [read_history(run) for run in target.runs()]
    shown = {name for columns in PANELS.values() for name in columns} | {"images_per_second"}
    terms = dict.fromkeys(name for history in histories for name in history.terms)
    missing = ", ".join(t for t in terms if t not in shown and not t.startswith("kl"))
    more = f"; no panel shows {missing}" if missing else ""
    return Training(f"Means over each epoch; one line a seed{more}", histories)


def draw(data: Training) -> Figure:
    """A row of panels a dataset; colour tells the family, line style the loss."""
    datasets = list(dict.fromkeys(history.run.dataset for history in data.histories))
    rows = 2 * len(datasets)
    figure = new_figure(1.35 * rows + 0.2)
    axes = axes_grid(figure, rows, 3)
    for k, dataset in enumerate(datasets):
        panels = axes[2 * k : 2 * k + 2].flatten()
        for axis, title in zip(panels, PANELS, strict=False):
            for history in (h for h in data.histories if h.run.dataset == dataset):
                _lines(axis, history, _columns(title, history))
            axis.set_title(title)
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            _scale(axis)
            if axis in panels[2:]:
                axis.set_xlabel("epoch")
        panels[0].set_ylabel(DATASETS[dataset].title)
        hide_unused(panels[len(PANELS) :])
    drawn = {str(line.get_label()): line for axis in axes.flat for line in axis.lines}
    axes[1, -1].legend(drawn.values(), drawn.keys(), loc="center", fontsize=6)
    return figure


def _style(model: str, column: str) -> dict[str, Any]:
    facts = MODELS[model]
    colour = f"C{list(ARCHITECTURES).index(facts.architecture)}"
    if column == ENCODER:
        return {"color": colour, "ls": "--", "label": f"{title_of(model)}, {column}"}
    line = LINES[facts.recon == "lw", facts.adversarial]
    return {"color": colour, "ls": line, "label": title_of(model)}


def _columns(title: str, history: History) -> tuple[str, ...]:
    """The terms of a history that a panel shows."""
    other = [t for t in history.terms if t.startswith("kl") and t != "kl_vis"]
    return tuple(other) if title == OTHER_KLS else PANELS[title]


def _lines(axis: Axes, history: History, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column in history.terms:
            single = "o" if len(history.epochs) == 1 else ""
            look = _style(history.run.model, column)
            axis.plot(history.epochs, history.terms[column], marker=single, **look)


def _scale(axis: Axes) -> None:
    """Logarithmic where positive values span more than a factor of `SPAN`."""
    values = [float(y) for line in axis.lines for y in np.asarray(line.get_ydata())]
    if values and 0 < SPAN * min(values) < max(values):
        axis.set_yscale("log")
