"""What the workflow asks of a study, by path: its tables, its figures and the pages over them."""

from collections.abc import Iterable

from patchvae.figures.catalogue import FIGURES, STYLE, Target, figure_names
from patchvae.report.grid import TEMPLATES
from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.digests import file_digest
from patchvae.study.sources import source_digest
from patchvae.study.tables import study_cells, table_names


def tables_of(study: str) -> list[str]:
    """The .tex of every table of a study."""
    return [str(paths.table(study, name, "tex")) for name in table_names(study)]


def figures_of(study: str, suffix: str = "pdf") -> list[str]:
    """Every figure of a study."""
    return [str(Target(study, FIGURES[name]).path(suffix)) for name in figure_names(study)]


def document_of(study: str) -> str:
    """The PDF of all tables of a study; ConfigError for an unknown one."""
    return str(paths.output("tables", load_study(study).name, "tables.pdf"))


def products_of(study: str) -> list[str]:
    """Every table and figure of a study, its comparison, and the page that shows them all."""
    pages = [str(paths.RESULTS / study / f"{name}.html") for name in ("comparison", "report")]
    return [*tables_of(study), *figures_of(study), *pages]


def page_inputs(study: str) -> list[str]:
    """Every number and picture of a study."""
    return [*(str(cell.path) for cell in study_cells(study)), *figures_of(study, "png")]


def figure_inputs(study: str, names: Iterable[str]) -> list[str]:
    """The files that some figures of a study are drawn from, each once."""
    targets = [Target(study, FIGURES[name]) for name in names]
    return sorted({str(path) for target in targets for path in target.inputs()})


def figure_sources(names: Iterable[str]) -> list[str]:
    """Digests of style, templates and code behind some figures."""
    modules = [source_digest(FIGURES[name].module) for name in names]
    return [file_digest(path) for path in (STYLE, *TEMPLATES)] + modules
