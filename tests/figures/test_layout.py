"""No figure covers, cuts or repeats what it draws, small or as crowded as a study can make it."""

from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest
from layout import faults
from made_results import write_numbers
from matplotlib.figure import Figure

from patchvae.analysis.history import History
from patchvae.analysis.precision import Discovery, Score
from patchvae.data.parts import VOCABULARY
from patchvae.figures import (
    ablations,
    canvas,
    discovery,
    filters,
    gallery,
    heatmap,
    posterior,
    reconstructions,
    scatter,
    training,
)
from patchvae.figures.catalogue import FIGURES, Target
from patchvae.figures.inputs import table1_histories, table1_models, table1_trained
from patchvae.paper.published import accuracy
from patchvae.report.posterior import BINS, Posteriors, Usage, Visibility
from patchvae.runtime.machine import Options
from patchvae.study.registry import MODELS
from patchvae.study.tables import study_cells

PATCHVAES = [model.title for model in MODELS.values() if model.architecture == "patchvae"]
SWEPT = [f"PatchVAE, $N$ = {n}" for n in (4, 8, 32, 64)] + [
    f"PatchVAE, $d_p$ = {d}" for d in (3, 9)
]


@pytest.mark.parametrize("name", [n for n in FIGURES if n != "scatter"])
def test_every_figure_of_a_small_study_is_whole(name: str, studio: Options) -> None:
    module, target = import_module(f"patchvae.figures.{name}"), Target("small", FIGURES[name])
    data = module.compute(target, studio)
    with canvas.style():
        figure = module.draw(data)
        canvas.save(figure, target, data.subject)
        assert faults(figure) == []


def every_method() -> Figure:
    """Parts-32 with Table 3's sweeps, Parts-64 without; three seeds, each precision from 0 to 1."""
    numbers = np.random.default_rng(0)

    def scores(dataset: str, methods: list[str]) -> list[Score]:
        return [
            Score(
                dataset, method, epoch, seed, [0] * len(VOCABULARY),
                [0.0, *numbers.random(len(VOCABULARY) - 2), 1.0], numbers.uniform(0.05, 0.1),
            )
            for seed in range(3)
            for method in methods
            for epoch in ([None] if method == discovery.KMEANS else range(6))
        ]  # fmt: skip

    first = scores("parts32", [discovery.KMEANS, *PATCHVAES, *SWEPT])
    second = scores("parts64", [discovery.KMEANS, *PATCHVAES])
    return discovery.draw(Discovery("", [*first, *second]))


def collapsed_codes() -> Figure:
    """Every PatchVAE, two of them with nothing visible anywhere and one with everything."""
    N = 16

    def usage(name: str, share: float) -> Usage:
        histogram, visible = np.zeros(BINS), np.zeros(N + 1)
        histogram[[0, -1]] = visible[[0, -1]] = 1 - share, share
        return Usage(
            name, 0, 0.5, 1.0, 1, 96, Visibility(1, share, histogram, visible, np.full(N, share))
        )

    shares = (0.0, 0.25, 0.0, 1.0)
    return posterior.draw(
        Posteriors("", "parts32", [usage(*one) for one in zip(PATCHVAES, shares, strict=True)])
    )


def every_curve() -> Figure:
    """Each term of all of Table 1's models on three datasets, five seeds; some a thousandfold."""
    columns = {
        "beta-vae": ("recon", "kl"),
        "patchvae": ("recon", "kl_vis", "kl_app"),
        "bigan": ("encoder", "generator", "discriminator"),
    }
    histories = []
    for i, run in enumerate(table1_histories("paper")):
        model = MODELS[run.model]
        names = columns[model.architecture]
        names += ("adversarial", "discriminator") if model.adversarial else ()
        terms = {n: [1000.0 - i, 30.0 + i, 1.0 + i / 100 + len(n)] for n in names}
        histories.append(History(run, [1.0, 2.0, 3.0], terms))
    return training.draw(training.Training("", histories))


def every_picture() -> Figure:
    names = [MODELS[run.model].title for run in table1_trained("paper")]
    pictures = np.random.default_rng(0).random((reconstructions.COUNT, 64, 64, 3))
    return gallery.draw_gallery(
        gallery.Gallery("", dict.fromkeys(["test image", *names], pictures))
    )


def every_filter() -> Figure:
    weights = np.random.default_rng(0).normal(size=(64, 3, 7, 7))
    names = [run.model for run in table1_models("paper")]
    return filters.draw(filters.Filters("", dict.fromkeys(names, weights)))


def of_the_papers_cells(name: str) -> Callable[[], Figure]:
    def draw() -> Figure:
        module = {"ablations": ablations, "heatmap": heatmap, "scatter": scatter}[name]
        return module.draw(module.compute(Target("paper", FIGURES[name]), Options()))

    return draw


CROWDED = {
    "discovery": every_method,
    "posterior": collapsed_codes,
    "training": every_curve,
    "reconstructions": every_picture,
    "filters": every_filter,
} | {name: of_the_papers_cells(name) for name in ("ablations", "heatmap", "scatter")}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", CROWDED)
def test_a_crowded_figure_is_whole(name: str) -> None:
    for cell in study_cells("paper"):
        published = accuracy()[cell.address]
        write_numbers(cell, [published + 0.3, published + 0.5])
    with canvas.style():
        figure = CROWDED[name]()
        canvas.save(figure, Target("paper", FIGURES[name]), "")
        assert faults(figure) == []


@pytest.mark.usefixtures("project")
def test_the_two_terms_of_one_panel_look_different() -> None:
    with canvas.style():
        figure = every_curve()
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    keys = dict(zip([t.get_text() for t in legend.texts], legend.get_lines(), strict=True))
    looks = [(line.get_color(), line.get_linestyle()) for line in keys.values()]
    assert len(set(looks)) == len(keys) == 10
    panel = next(axes for axes in figure.axes if axes.get_title() == "generator, encoder")
    drawn = {line.get_label(): line.get_linestyle() for line in panel.lines}
    assert (drawn["BiGAN"], drawn["BiGAN, encoder"]) == ("-", "--")
