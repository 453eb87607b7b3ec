"""What the latent codes use: KLs on test images, dimensions that vary, and how visible parts are.

Collapse shows here before it shows in an accuracy: a KL near zero, dimensions that no image moves,
visibility that is near 0 or near 1 everywhere. `report/posterior.py` says what is measured.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from patchvae.figures.canvas import axes_grid, new_figure, title_of
from patchvae.figures.catalogue import Target
from patchvae.figures.inputs import figure_dataset, judged_snapshots, vae_runs
from patchvae.figures.networks import Trained, at_snapshots, batches, load_trained
from patchvae.models.losses import bernoulli_kl
from patchvae.models.patchvae import PatchVAE
from patchvae.report.posterior import (
    ACTIVE,
    BINS,
    IMAGES,
    Posteriors,
    Usage,
    Visibility,
    posterior_sheet,
    records_of,
)
from patchvae.runtime.machine import Options
from patchvae.study.registry import MODELS

LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "x")


def compute(target: Target, options: Options) -> Posteriors:
    """Each VAE on the first test images of the study, at the snapshots judged and at the end."""
    dataset = figure_dataset(target.study)
    usages = []
    for name, runs in vae_runs(target.study, dataset).items():
        for run in runs:
            for when, trained in _judged(target.study, load_trained(run, options)):
                limit = min(IMAGES, trained.config.data.test or IMAGES)
                images = (x for _, x in batches(trained, "test", limit))
                usages.append(measure(name + when, run.seed, trained.model, images))
    subject = "Test images, eval mode; means over seeds; equal curves: the thinner on the wider"
    return Posteriors(subject, dataset, usages)


def _judged(study: str, trained: Trained) -> Iterator[tuple[str, Trained]]:
    """The network at each snapshot that the study judges, with its step as text, and the last."""
    judged = judged_snapshots(study)
    for k, (step, network) in enumerate(at_snapshots(trained) if judged else (), start=1):
        if k in judged:
            yield f", step {step:,}", network
    yield "", trained


@torch.no_grad()
def measure(name: str, seed: int, model: Any, images: Iterator[Tensor]) -> Usage:
    """What a VAE's posteriors use over batches of images (b, 3, H, W).

    Its `posterior` gives visibility logits, where it has any, then means and log-variances.
    """
    prior = model.prior_vis if isinstance(model, PatchVAE) else 0.0
    means, kl, logits = [], 0.0, []
    error, squares, sums = 0.0, 0.0, torch.zeros(())  # of pixels, without keeping the images
    for x in images:
        pixels = x.double()
        error += float((pixels - model(x)[0]).square().sum())
        squares, sums = squares + float(pixels.square().sum()), sums + pixels.sum(0).cpu()
        *visibility, mean, log_var = model.posterior(x)
        means.append(mean.flatten(1).double().cpu())
        logits += [v.flatten(2).double().cpu() for v in visibility]
        kl += float(model.latent_kl(mean, log_var)) * len(x)
    all_means = torch.cat(means)
    variance = squares - float(sums.square().sum()) / len(all_means)
    return Usage(
        name=name,
        seed=seed,
        explained=1 - error / variance,
        kl=kl / len(all_means),
        active=int((all_means.var(0, correction=0) > ACTIVE).sum()),
        dimensions=all_means.shape[1],
        visibility=_visibility(torch.cat(logits), prior) if logits else None,
    )


def _visibility(logits: Tensor, prior: float) -> Visibility:
    """From logits (n, N, L)."""
    p = logits.sigmoid().numpy()
    n, N, L = p.shape
    on = p > 0.5
    return Visibility(
        kl=float(bernoulli_kl(logits, prior)),
        mean=float(p.mean()),
        histogram=np.histogram(p, BINS, (0, 1))[0] / p.size,
        visible=np.bincount(on.sum(1).ravel(), minlength=N + 1) / (n * L),
        parts=on.mean((0, 2)),
    )


def draw(data: Posteriors) -> Figure:
    """Table 1's PatchVAEs, seeds pooled: how likely, how many at a place, and each part's share."""
    titles = {title_of(model) for model in MODELS}
    shown = {
        name: [usage.visibility for usage in usages if usage.visibility]
        for name, usages in data.by_name().items()
        if name in titles and usages[0].visibility
    }
    figure = new_figure(2.3)
    axes = axes_grid(figure, 1, 3)[0]
    for k, (name, seeds) in enumerate(shown.items()):
        wider = len(shown) - 1 - k  # so that the curves of collapsed codes, all equal, can be seen
        look = {"color": f"C{k}", "ls": LINES[k % 4], "label": name, "lw": 1 + 0.6 * wider}
        _panels(axes, seeds, look, MARKERS[k % 4])
    axes[0].set(xlabel="visibility", ylabel="share of parts and cells", yscale="log")
    axes[1].set(xlabel="visible parts in a cell", ylabel="share of cells")
    axes[2].set(xlabel="part, most visible first", ylabel="share of cells")
    for axis in axes[1:]:
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if not shown:
        axes[1].set_title("no row of Table 1 has parts: the table has what there is")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=6)
    return figure


def _panels(
    axes: Sequence[Axes], seeds: list[Visibility], look: dict[str, Any], marker: str
) -> None:
    def mean(of: Callable[[Visibility], np.ndarray]) -> np.ndarray:
        return np.asarray(np.mean([of(seed) for seed in seeds], axis=0))

    edges = np.linspace(0, 1, BINS + 1)
    left, middle, right = axes
    left.stairs(mean(lambda v: v.histogram), edges, **look)
    look |= {"marker": marker, "ms": 3, "mfc": "none", "mew": 1}
    visible, parts = mean(lambda v: v.visible), mean(lambda v: np.sort(v.parts)[::-1])
    middle.plot(visible, **look)
    right.plot(range(1, len(parts) + 1), parts, **look)


def tabulate(data: Posteriors, target: Target) -> dict[Path, str]:
    """tables/[<study>/]posterior.{csv,tex,md,html}."""
    return posterior_sheet(records_of(data)).files(target.study)
