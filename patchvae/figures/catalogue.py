"""Which figures exist and how they are called. Nothing heavy is imported here.

figures/[<study>/]<name>.pdf                                              a figure of a study
figures/[<study>/]runs/<dataset>/<model>/<variant>/seed<k>/<name>.pdf     of one run
figures/[<study>/]datasets/<dataset>/<name>.pdf                           of one dataset
"""

from dataclasses import dataclass
from pathlib import Path

from patchvae.errors import ConfigError
from patchvae.report.page import Illustration
from patchvae.study import paths
from patchvae.study.config import load_study, protocol, study_names
from patchvae.study.registry import lookup
from patchvae.study.runs import Run

FORMATS = ("pdf", "png")
STYLE = Path(__file__).with_name("style.mplstyle")
SWEEPS = ("table3", "table4", "table5")
OF_TABLE1 = ("heatmap", "training", "reconstructions", "samples", "filters", "posterior")
PART_DATASETS = ("parts32", "parts64")  # the places of the true parts are known


@dataclass(frozen=True)
class Figure:
    """A figure's name, the title that people read, and what it may be asked of besides a study."""

    name: str
    title: str
    of_run: bool = False
    of_dataset: bool = False

    @property
    def module(self) -> str:
        """The module with its `compute` and `draw`."""
        return f"patchvae.figures.{self.name}"


_FIGURES = (
    Figure("figure1", "Architectures"),
    Figure("figure2", "Concepts captured by parts", of_run=True),
    Figure("figure3", "Masks of the weighted loss", of_dataset=True),
    Figure("ablations", "Hyper-parameters of PatchVAE"),
    Figure("scatter", "The paper's accuracies and ours"),
    Figure("heatmap", "PatchVAE against beta-VAE"),
    Figure("training", "Training curves"),
    Figure("reconstructions", "Reconstructions"),
    Figure("samples", "Samples from the prior"),
    Figure("traversal", "Appearance of one part", of_run=True),
    Figure("filters", "Filters of the first convolution"),
    Figure("posterior", "What the latent codes use"),
    Figure("discovery", "Part discovery, measured"),
)
FIGURES = {figure.name: figure for figure in _FIGURES}


def figure_names(study_name: str) -> list[str]:
    """The figures that a study has, given its tables and datasets."""
    study = load_study(study_name)
    first = "table1" in study.tables
    missing = {
        "ablations": not set(SWEEPS) & set(study.tables),
        "scatter": study_name != paths.MAIN_STUDY,
        "discovery": not first or not part_datasets(study_name),
    } | dict.fromkeys(OF_TABLE1, not first)
    return [name for name in FIGURES if not missing.get(name, False)]


def symbol(parameter: str) -> str:
    """What figures call a hyper-parameter: its symbol, or its key where the protocol has none."""
    return protocol()[f"model.{parameter}"].symbol or parameter


def part_datasets(study: str) -> list[str]:
    """The datasets of a study whose true parts are known."""
    return [name for name in load_study(study).datasets if name in PART_DATASETS]


def illustrations(study: str) -> list[Illustration]:
    """The figures of a study for its report, drawn or not."""
    targets = [Target(study, FIGURES[name]) for name in figure_names(study)]
    return [
        Illustration(t.figure.name, t.figure.title, t.path("png"), t.path("pdf")) for t in targets
    ]


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
            f"'{text}' is no figure: study '{study}' has {', '.join(figure_names(study))},"
            " runs/<dataset>/<model>/<variant>/seed<k>/{figure2,traversal}"
            " and datasets/<dataset>/figure3"
        )


def _without_suffix(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return stem if suffix in FORMATS else name
