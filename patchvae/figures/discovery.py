"""How well latent parts find the true ones, where their places are known (Parts-32 and Parts-64).

Beyond the paper. A latent part's score of a cell is its visibility; a cell is positive for a kind of
true part that covers it. Average precision (AP) of each latent part for each kind, one-to-one matched
for the highest sum, then averaged over kinds. Chance is the same with the places of other images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchvae import paths
from patchvae.data.parts import VOCABULARY
from patchvae.figures.canvas import axes_grid, new_figure, title_of
from patchvae.figures.catalogue import Target, part_datasets
from patchvae.figures.inputs import part_runs
from patchvae.figures.networks import Trained, batches, load_parts, unwrap
from patchvae.figures.patches import all_patches
from patchvae.models import build
from patchvae.models.patchvae import PatchVAE
from patchvae.registry import DATASETS
from patchvae.runtime import Options
from patchvae.seeds import derive_seed

SHUFFLES = 5  # pairings of maps with other images' places, averaged for the chance level
FIT_PATCHES = 4096  # training patches at most that k-means is fitted to
KMEANS, UNTRAINED = "k-means on patches", "PatchVAE, untrained"
MARKERS = ("o", "s", "^", "D", "v")


@dataclass(frozen=True)
class Score:
    """One method on one dataset: the latent part and the AP matched to each kind, and chance."""

    dataset: str
    method: str
    seed: int
    part: list[int]
    ap: list[float]
    chance: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.ap))


@dataclass(frozen=True)
class Discovery:
    """The scores of every method, dataset and seed."""

    subject: str
    scores: list[Score]

    def of(self, dataset: str) -> dict[str, list[Score]]:
        """By method, its seeds."""
        found: dict[str, list[Score]] = {}
        for score in self.scores:
            if score.dataset == dataset:
                found.setdefault(score.method, []).append(score)
        return found


def true_cells(places: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Which kinds cover which cells: places (n, slots, 5) -> bool (n, kinds, L).

    A part covers the cells whose centre is within its radius and the cell of its own centre.
    """
    kind, y, x, radius = (places[..., i, None] for i in range(4))  # (n, slots, 1)
    side = size // stride
    row, column = np.divmod(np.arange(side * side), side)
    centre = [(index + 0.5) * stride - 0.5 for index in (row, column)]
    inside = np.hypot(centre[0] - y, centre[1] - x) <= radius
    own = np.maximum(abs(centre[0] - y), abs(centre[1] - x)) <= stride / 2
    covered = inside | own  # (n, slots, L)
    return np.stack([(covered & (kind == k)).any(1) for k in range(len(VOCABULARY))], axis=1)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AP of each score for each truth: (N, S) and bool (K, S) -> (N, K), the area under precision and recall.

    The mean, over positives, of the precision among all scores at least as early in descending order.
    """
    found = []
    for score in scores:
        hits = truth[:, np.argsort(-score, kind="stable")]
        precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
        found.append((precision * hits).sum(1) / hits.sum(1))
    return np.stack(found)


def match(ap: np.ndarray) -> tuple[list[int], list[float]]:
    """For each kind the latent part and its AP, one to one with the highest sum: (N, K).

    With fewer parts than kinds, a kind that is left over gets part -1 and AP 0.
    """
    from scipy.optimize import linear_sum_assignment

    parts, found = [-1] * ap.shape[1], [0.0] * ap.shape[1]
    for part, kind in zip(*linear_sum_assignment(ap, maximize=True), strict=True):
        parts[kind], found[kind] = int(part), float(ap[part, kind])
    return parts, found


def matched(maps: np.ndarray, truth: np.ndarray) -> tuple[list[int], list[float]]:
    """Maps (n, N, L) against truth (n, K, L)."""
    flat, true = (array.transpose(1, 0, 2).reshape(array.shape[1], -1) for array in (maps, truth))
    return match(average_precision(flat, true))


def evaluate(dataset: str, method: str, seed: int, maps: np.ndarray, truth: np.ndarray) -> Score:
    """The matched AP of maps (n, N, L), and what the maps of other images reach."""
    rng = np.random.default_rng(derive_seed("figures", "chance"))
    chance = [
        float(np.mean(matched(maps, truth[rng.permutation(len(truth))])[1]))
        for _ in range(SHUFFLES)
    ]
    part, ap = matched(maps, truth)
    return Score(dataset, method, seed, part, ap, float(np.mean(chance)))


@torch.no_grad()
def visibility_maps(model: PatchVAE, trained: Trained) -> np.ndarray:
    """Visibility logits of the study's test images, (n, N, L)."""
    limit = trained.config.data.test
    found = [model.posterior(x)[0].flatten(2).cpu() for _, x in batches(trained, "test", limit)]
    return torch.cat(found).numpy()


def kmeans_maps(trained: Trained, clusters: int, stride: int) -> np.ndarray:
    """How much nearer each test patch is to a cluster than to the best other one: (n, clusters, L)."""
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


def _scores(study: str, dataset: str, options: Options) -> Iterator[Score]:
    truth = None
    for name, runs in part_runs(study, dataset).items():
        for run in runs:
            trained, model = load_parts(run, options)
            stride = model.trunk.stride
            if truth is None:
                truth = _truth(trained, stride)
                yield evaluate(dataset, UNTRAINED, run.seed, _untrained(trained), truth)
                maps = kmeans_maps(trained, model.N, stride)
                yield evaluate(dataset, KMEANS, run.seed, maps, truth)
            maps = visibility_maps(model, trained)
            yield evaluate(dataset, title_of(name), run.seed, maps, truth)


def _truth(trained: Trained, stride: int) -> np.ndarray:
    index = trained.data.subset_indices("test", trained.config.data.test)
    return true_cells(trained.data.extra("test_places")[index], trained.config.data.size, stride)


def _untrained(trained: Trained) -> np.ndarray:
    """Maps of the same network as initialised."""
    torch.manual_seed(derive_seed(trained.config.run.seed, "init"))
    model = unwrap(build(trained.config)).to(trained.device).eval()
    assert isinstance(model, PatchVAE)
    return visibility_maps(model, trained)


def compute(target: Target, options: Options) -> Discovery:
    """Every PatchVAE of Table 1 with all seeds, the untrained network and k-means."""
    scores = [
        score
        for dataset in part_datasets(target.study)
        for score in _scores(target.study, dataset, options)
    ]
    return Discovery("Test images; AP after one-to-one matching", scores)


def draw(data: Discovery) -> Figure:
    """A panel a dataset: matched AP of each kind, their mean and the chance level."""
    datasets = list(dict.fromkeys(score.dataset for score in data.scores))
    figure = new_figure(2.7)
    axes = axes_grid(figure, 1, len(datasets), sharey=True)[0]
    for axis, dataset in zip(axes, datasets, strict=True):
        methods = data.of(dataset)
        for row, scores in enumerate(methods.values()):
            _line(axis, row, scores)
        axis.set_yticks(range(len(methods)), list(methods))
        axis.set(xlabel="average precision", title=DATASETS[dataset].title, xlim=(0, None))
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=7, fontsize=6)
    return figure


def _line(axis: Axes, row: int, scores: list[Score]) -> None:
    for k, kind in enumerate(VOCABULARY):
        ap = [score.ap[k] for score in scores]
        axis.plot(ap, [row] * len(ap), MARKERS[k], color=f"C{k}", alpha=0.75, label=kind)
    mean = float(np.mean([score.mean for score in scores]))
    chance = float(np.mean([score.chance for score in scores]))
    axis.plot([mean, mean], [row - 0.35, row + 0.35], color="k", lw=2, label="mean")
    axis.plot(
        [chance, chance], [row - 0.35, row + 0.35], color="0.55", lw=1.5, ls=":", label="chance"
    )


def tabulate(data: Discovery, target: Target) -> dict[Path, str]:
    """tables/[<study>/]discovery.{csv,tex,md}."""
    import pandas as pd

    records = [
        {"dataset": s.dataset, "method": s.method, "seed": s.seed, "kind": kind, "part": part + 1,
         "ap": round(ap, 6), "mean": round(s.mean, 6), "chance": round(s.chance, 6)}
        for s in data.scores
        for kind, part, ap in zip(VOCABULARY, s.part, s.ap, strict=True)
    ]  # fmt: skip
    texts = {
        "csv": str(pd.DataFrame(records).to_csv(index=False, lineterminator="\n")),
        "tex": _latex(data, target.study),
        "md": _markdown(data, target.study),
    }
    return {paths.table(target.study, "discovery", suffix): text for suffix, text in texts.items()}


HEADINGS = ("dataset", "method", *VOCABULARY, "mean", "chance")
CAPTION = (
    "Part discovery in study {study} (beyond the paper): average precision (%) of the latent part"
    " matched to each true part, over the test images' cells"
)


def _markdown(data: Discovery, study: str) -> str:
    lines = [f"**{CAPTION.format(study=study)}.**", "", f"| {' | '.join(HEADINGS)} |"]
    lines.append("|---|---|" + "---:|" * (len(HEADINGS) - 2))
    lines += [f"| {' | '.join((*names, *numbers))} |" for names, numbers in _rows(data)]
    return "\n".join(lines) + "\n"


def _latex(data: Discovery, study: str) -> str:
    rows = [" & ".join((*names, *numbers)) + r" \\" for names, numbers in _rows(data)]
    return "\n".join(
        [
            "% Made by `patchvae figure`; needs booktabs.",
            r"\begin{table}[htbp]",
            r"\centering\footnotesize",
            rf"\caption{{{CAPTION.format(study=study).replace('%', chr(92) + '%')}.}}",
            rf"\label{{tab:{study}-discovery}}",
            rf"\begin{{tabular}}{{ll*{{{len(HEADINGS) - 2}}}{{r}}}}",
            r"\toprule",
            " & ".join(HEADINGS) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _rows(data: Discovery) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """(dataset, method) and numbers in percent: AP of each kind, mean and chance, over seeds."""
    for dataset in dict.fromkeys(score.dataset for score in data.scores):
        for method, scores in data.of(dataset).items():
            table = np.array([[*score.ap, score.mean, score.chance] for score in scores])
            numbers = [f"{100 * value:.1f}" for value in table.mean(0)]
            yield (DATASETS[dataset].title, method), numbers
