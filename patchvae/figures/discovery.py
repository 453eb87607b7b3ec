"""How well each latent part finds a true one, where the true places are known.

Beyond the paper, on Parts-32 and Parts-64. A latent part's score of a cell is its visibility;
`analysis/precision.py` says how scores are judged. Measured untrained, at each snapshot of a
training and at its end.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from patchvae.analysis.precision import Discovery, Score, evaluate, true_cells
from patchvae.data.parts import VOCABULARY
from patchvae.figures.canvas import axes_grid, new_figure, title_of
from patchvae.figures.catalogue import Target
from patchvae.figures.inputs import part_datasets, part_runs
from patchvae.figures.networks import Trained, batches, load_parts, over_training
from patchvae.figures.patches import all_patches
from patchvae.models.patchvae import PatchVAE
from patchvae.numerics.seeds import derive_seed
from patchvae.report.discovery import discovery_sheet
from patchvae.runtime.machine import Options
from patchvae.study.registry import DATASETS, MODELS

FIT_PATCHES = 4096  # training patches at most that k-means is fitted to
KMEANS = "k-means on patches"
MARKERS = ("o", "s", "^", "D", "v")
LINES = ("-", "--", "-.", (0, (4, 1, 1, 1, 1, 1)))  # dots are chance


def compute(target: Target, options: Options) -> Discovery:
    """k-means, and every PatchVAE of Tables 1 and 3 with all seeds and epochs that were kept."""
    scores = [
        score
        for dataset in part_datasets(target.study)
        for score in _scores(target.study, dataset, options)
    ]
    return Discovery("Test images; AP after one-to-one matching", scores)


def _scores(study: str, dataset: str, options: Options) -> Iterator[Score]:
    truth = None
    for method, runs in part_runs(study, dataset).items():
        for run in runs:
            trained, model = load_parts(run, options)
            if truth is None:
                stride = model.trunk.stride
                truth = _truth(trained, stride)
                found = evaluate(kmeans_maps(trained, model.N, stride), truth)
                yield Score(dataset, KMEANS, None, run.seed, *found)
            for step, network in over_training(trained):
                found = evaluate(visibility_maps(network), truth)
                epoch = step / trained.steps_an_epoch
                yield Score(dataset, method, epoch, run.seed, *found)


def _truth(trained: Trained, stride: int) -> np.ndarray:
    index = trained.data.subset_indices("test", trained.config.data.test)
    return true_cells(trained.data.extra("test_places")[index], trained.config.data.size, stride)


@torch.no_grad()
def visibility_maps(trained: Trained) -> np.ndarray:
    """Visibility logits of the study's test images, (n, N, L)."""
    model, limit = trained.model, trained.config.data.test
    assert isinstance(model, PatchVAE)
    found = [model.posterior(x)[0].flatten(2).cpu() for _, x in batches(trained, "test", limit)]
    return torch.cat(found).numpy()


def kmeans_maps(trained: Trained, clusters: int, stride: int) -> np.ndarray:
    """How much nearer each test patch is to a cluster than to any other: (n, clusters, L)."""
    from scipy.cluster.vq import kmeans2
    from scipy.spatial.distance import cdist

    data, facts = trained.data, trained.config.data
    rng = np.random.default_rng(derive_seed("figures", "k-means"))
    train, test = (
        data.images(split)[data.subset_indices(split, limit)]
        for split, limit in (("train", facts.train), ("test", facts.test))
    )
    per_image = (facts.size // stride) ** 2
    some = rng.permutation(len(train))[: max(1, FIT_PATCHES // per_image)]
    fit = all_patches(train[some], stride)
    centres, _ = kmeans2(fit.reshape(-1, fit.shape[-1]), clusters, minit="++", rng=rng)
    found = []
    for image in test:
        distance = cdist(all_patches(image[None], stride)[0], centres, "sqeuclidean")  # (L, N)
        nearest, second = np.sort(distance, axis=1)[:, :2].T[..., None]
        other = np.where(distance == nearest, second, nearest)
        found.append((other - distance).T)
    return np.stack(found)


def draw(data: Discovery) -> Figure:
    """A column a dataset: above, every method at its end; below, Table 1's models over training."""
    heights = (0.19 * len(_final_methods(data)) + 0.95, 2.2)
    figure = new_figure(sum(heights))
    halves = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    for panels, one in zip(halves, (_end, _training), strict=True):
        axes = axes_grid(panels, 1, len(data.datasets), sharey=True)[0]
        for axis, dataset in zip(axes, data.datasets, strict=True):
            one(axis, data, dataset)
        unique = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        panels.legend(
            unique.values(), unique.keys(), loc="outside upper center", ncols=7, fontsize=6,
            handlelength=2.6, columnspacing=1.4,
        )  # fmt: skip
    return figure


def final_scores(data: Discovery, dataset: str) -> dict[str, list[Score]]:
    """The seeds of k-means, of the first model untrained, and of every model at its end."""
    methods = data.of(dataset)
    first = next(name for name in methods if name != KMEANS)
    found = {KMEANS: methods[KMEANS][None], f"{first}, untrained": methods[first][0]}
    return found | {
        name: list(epochs.values())[-1] for name, epochs in methods.items() if name != KMEANS
    }


def _final_methods(data: Discovery) -> list[str]:
    """The rows that all datasets share, in order: one without a table's sweep leaves them empty."""
    found = [name for dataset in data.datasets for name in final_scores(data, dataset)]
    return list(dict.fromkeys(found))


def _end(axis: Axes, data: Discovery, dataset: str) -> None:
    methods = _final_methods(data)
    axis.update_datalim([(0, 0)])  # axes begin at 0
    for name, scores in final_scores(data, dataset).items():
        row = methods.index(name)
        for k, kind in enumerate(VOCABULARY):
            ap = [100 * score.ap[k] for score in scores]
            axis.plot(ap, [row] * len(ap), MARKERS[k], color=f"C{k}", alpha=0.75, label=kind)
        mean, chance = _means(scores)
        axis.plot([mean] * 2, [row - 0.38, row + 0.38], color="k", lw=2, label="mean")
        axis.plot([chance] * 2, [row - 0.38, row + 0.38], color="0.55", ls=":", label="chance")
    axis.set_yticks(range(len(methods)), methods)
    axis.set_ylim(len(methods) - 0.4, -0.6)
    axis.set(xlabel="average precision at the end (%)", title=DATASETS[dataset].title)
    axis.xaxis.set_major_locator(MaxNLocator(5))


def _means(scores: list[Score]) -> tuple[float, float]:
    """Mean AP and chance over seeds, in percent."""
    return (
        100 * float(np.mean([score.mean for score in scores])),
        100 * float(np.mean([score.chance for score in scores])),
    )


def _training(axis: Axes, data: Discovery, dataset: str) -> None:
    """Mean AP (coloured) and chance (dotted, the same colour) of Table 1's models over epochs."""
    titles = {title_of(model) for model in MODELS}
    methods = {name: epochs for name, epochs in data.of(dataset).items() if name in titles}
    for k, (name, epochs) in enumerate(methods.items()):
        points = [_means(scores) for scores in epochs.values()]
        x = [epoch for epoch in epochs if epoch is not None]
        ap, chance = zip(*points, strict=True)
        axis.plot(x, ap, color=f"C{k}", ls=LINES[k % 4], marker=MARKERS[k], label=name)
        axis.plot(x, chance, color=f"C{k}", ls=":", lw=1)
    axis.plot([], [], color="k", ls=":", lw=1, label="chance, by model")
    axis.set(xlabel="epochs of pretraining", title=DATASETS[dataset].title)
    axis.margins(y=0.1)
    axis.update_datalim([(0, 0)])
    axis.set_ylabel("average precision (%)")
    axis.label_outer()
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def tabulate(data: Discovery, target: Target) -> dict[Path, str]:
    """tables/[<study>/]discovery.{csv,tex,md,html}."""
    return discovery_sheet(data).files(target.study)
