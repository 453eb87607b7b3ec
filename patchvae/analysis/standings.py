"""Which rows of a table are the best of a column, and which cannot be told from it."""

from collections.abc import Iterator, Mapping
from typing import Any

from patchvae.analysis.cells import sample_of
from patchvae.analysis.paired import contrast
from patchvae.study.tables import Cell, Table

BEST, CLOSE = "best", "close"
Documents = Mapping[str, Mapping[str, Any]]  # cells' contents by key


def standings(table: Table, documents: Documents) -> tuple[dict[str, str], set[str]]:
    """By cell BEST (the highest mean of a column, as printed) or CLOSE, and what CLOSE rests on.

    A row is close when the 95 % interval of its difference from the best includes zero.
    """
    found: dict[str, str] = {}
    bases: set[str] = set()
    for cells in _columns(table, documents):
        means = {cell.key: documents[cell.key]["mean"] for cell in cells}
        samples = {key: sample_of(documents[key]) for key in means}
        top = max(means, key=lambda key: means[key])
        for key, mean in means.items():
            if round(mean, 2) == round(means[top], 2):
                found[key] = BEST
            elif estimate := contrast([(1, samples[top]), (-1, samples[key])]):
                bases.add(estimate.basis)
                if not estimate.excludes():
                    found[key] = CLOSE
    return found, bases


def _columns(table: Table, documents: Documents) -> Iterator[list[Cell]]:
    """The cells with numbers of each column of each panel; references left out."""
    for panel in table.panels:
        rows = {row.key for group in panel.groups for row in group if not row.reference}
        columns: dict[str, list[Cell]] = {}
        for cell in table.cells():
            if cell.row.key in rows and documents[cell.key]["mean"] is not None:
                columns.setdefault(cell.address.column, []).append(cell)
        yield from columns.values()
