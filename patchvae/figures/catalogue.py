"""Which figures exist, how they are called and what they are drawn from. Nothing heavy is imported.

figures/[<study>/]<name>.pdf                                              a figure of a study
figures/[<study>/]runs/<dataset>/<model>/<variant>/seed<k>/<name>.pdf     of one run
figures/[<study>/]datasets/<dataset>/<name>.pdf                           of one dataset
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from patchvae.errors import ConfigError
from patchvae.figures import inputs
from patchvae.report.page import Illustration
from patchvae.study import paths
from patchvae.study.config import load_study, study_names
from patchvae.study.registry import instead, lookup
from patchvae.study.runs import Run
from patchvae.study.sensitivity import SENSITIVITY
from patchvae.study.tables import Cell

FORMATS = ("pdf", "png")
STYLE = Path(__file__).with_name("style.mplstyle")


@dataclass(frozen=True)
class Figure:
    """A figure's name, the title that people read, and what it declares.

    `exists` tells whether a study has it, `runs` and `cells` what it is drawn from there; it may
    also be asked for one run or one dataset. One `apart` is of a page of its own and not drawn with
    the study.
    """

    name: str
    title: str
    exists: Callable[[str], bool] = lambda study: True
    runs: Callable[[str], list[Run]] = lambda study: []
    cells: Callable[[str], list[Cell]] = lambda study: []
    of_run: bool = False
    of_dataset: bool = False
    apart: bool = False

    @property
    def module(self) -> str:
        """The module with its `compute` and `draw`."""
        return f"patchvae.figures.{self.name}"


_FIGURES = (
    Figure("figure1", "Architectures"),
    Figure("figure2", "Concepts captured by parts", runs=inputs.default_runs, of_run=True),
    Figure("figure3", "Masks of the weighted loss", of_dataset=True),
    Figure(
        "ablations", "Hyper-parameters of PatchVAE", inputs.has_sweeps, cells=inputs.swept_cells,
    ),
    Figure(
        "scatter", "The paper's accuracies and ours", inputs.is_the_papers,
        cells=inputs.paper_cells,
    ),
    Figure("steps", "Accuracy against steps", inputs.has_snapshots, cells=inputs.snapshot_cells),
    Figure("heatmap", "PatchVAE against beta-VAE", inputs.has_pair, cells=inputs.table1_cells),
    Figure("training", "Training curves", inputs.has_trained, inputs.table1_histories),
    Figure("reconstructions", "Reconstructions", inputs.has_trained, inputs.table1_trained),
    Figure("samples", "Samples from the prior", inputs.has_trained, inputs.table1_trained),
    Figure("traversal", "Appearance of one part", runs=inputs.default_runs, of_run=True),
    Figure("filters", "Filters of the first convolution", inputs.has_table1, inputs.table1_models),
    Figure("posterior", "What the latent codes use", inputs.has_posteriors, inputs.latent_codes),
    Figure(
        SENSITIVITY, "Sensitivity to readings", inputs.has_sensitivity,
        cells=inputs.sensitivity_cells, apart=True,
    ),
    Figure("discovery", "Part discovery, measured", inputs.has_true_parts, inputs.true_parts),
)  # fmt: skip
FIGURES = {figure.name: figure for figure in _FIGURES}


def figure_names(study_name: str) -> list[str]:
    """The figures that a study has, given its tables and datasets."""
    load_study(study_name)
    return [name for name, figure in FIGURES.items() if figure.exists(study_name)]


def drawn_with(study: str) -> "list[Target]":
    """The figures that are drawn with a study."""
    figures = [FIGURES[name] for name in figure_names(study)]
    return [Target(study, figure) for figure in figures if not figure.apart]


def illustrations(study: str) -> list[Illustration]:
    """The figures of a study for its report, drawn or not."""
    return [target.illustration for target in drawn_with(study)]


@dataclass(frozen=True)
class Target:
    """One figure to draw: of a study, or of one run or dataset in it."""

    study: str
    figure: Figure
    run: Run | None = None
    dataset: str | None = None

    @property
    def stem(self) -> str:
        """The path below `figures/[<study>/]` without its suffix."""
        if self.run is not None:
            return f"runs/{self.run.name.split('/', 1)[1]}/{self.figure.name}"
        if self.dataset is not None:
            return f"datasets/{self.dataset}/{self.figure.name}"
        return self.figure.name

    def path(self, suffix: str) -> Path:
        """Where the figure lies as `pdf` or `png`, or a csv file of what it shows."""
        return paths.output("figures", self.study, f"{self.stem}.{suffix}")

    @property
    def illustration(self) -> Illustration:
        """The figure for a page."""
        return Illustration(self.figure.name, self.figure.title, self.path("png"), self.path("pdf"))

    def runs(self) -> list[Run]:
        """The runs whose networks or histories it shows."""
        return [self.run] if self.run is not None else self.figure.runs(self.study)

    def cells(self) -> list[Cell]:
        """The cells that it shows."""
        return self.figure.cells(self.study)

    def inputs(self) -> list[Path]:
        """Every file that it is drawn from, for the workflow."""
        if self.dataset is not None:
            return [paths.prepared(self.dataset)]
        metrics = [run.pretrain / paths.METRICS for run in self.runs()]
        return [*(cell.path for cell in self.cells()), *metrics]

    @classmethod
    def parse(cls, text: str) -> "Target":
        """From a figure's path or `[<study>/]<stem>`; ConfigError says what there is."""
        words = text.removeprefix("figures/").split("/")
        words[-1] = _without_suffix(words[-1])
        own = words[0] in ("runs", "datasets") or len(words) == 1
        study, *rest = [paths.MAIN_STUDY, *words] if own else words
        lookup("study", dict.fromkeys(study_names()), study)
        if len(rest) == 1 and rest[0] in figure_names(study):
            return cls(study, FIGURES[rest[0]])
        figure = FIGURES.get(rest[-1])
        if figure is not None and figure.of_run and rest[0] == "runs" and len(rest) == 6:
            return cls(study, figure, run=Run.parse("/".join([study, *rest[1:-1]])))
        if figure is not None and figure.of_dataset and rest[0] == "datasets" and len(rest) == 3:
            load_study(study).check_dataset(rest[1])
            return cls(study, figure, dataset=rest[1])
        raise ConfigError(
            f"'{text}' is no figure of study '{study}': {instead(rest[-1], figure_names(study))},"
            " runs/<dataset>/<model>/<variant>/seed<k>/{figure2,traversal}"
            " and datasets/<dataset>/figure3"
        )


def _without_suffix(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return stem if suffix in FORMATS else name
