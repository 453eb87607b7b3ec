"""The differences of rows that a study asks for under `differences` of a table, column by column.

Rows of a table share seeds and test images, so each difference is paired (`paired`). Its p is
corrected by Holm's method over all differences of the table that can be tested. With a margin also
whether the two are equivalent: both one-sided tests of a difference beyond it reject at 5 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.analysis.cells import read_cell, sample_of
from patchvae.analysis.paired import Estimate, contrast
from patchvae.analysis.stats import holm
from patchvae.study.address import CellKey
from patchvae.study.rows import Row
from patchvae.study.tables import Table

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """First row minus second in one column; `estimate` and p are None where it is untestable."""

    first: Row
    second: Row
    column: str
    estimate: Estimate | None
    adjusted: float | None
    margin: float | None

    @property
    def shown(self) -> bool:
        """Whether there is a difference, after Holm."""
        return self.adjusted is not None and self.adjusted < LEVEL

    @property
    def equivalent(self) -> bool:
        """Whether it lies within the margin, by two one-sided tests."""
        if self.estimate is None or self.margin is None:
            return False
        sides = self.estimate.p_above(-self.margin), self.estimate.p_below(self.margin)
        return max(sides) < LEVEL


def differences(table: Table, root: Path = Path()) -> list[Difference]:
    """Every pair of the table in each of its columns, from the cells below `root`.

    CheckpointError for a cell that is altered or of another configuration; one that does not exist
    makes its differences untestable.
    """
    found: dict[CellKey, Mapping[str, Any]] = {
        cell.address: read_cell(cell, root) for cell in table.cells() if (root / cell.path).exists()
    }
    rows = {row.key: row for row in table.rows()}
    columns = list(dict.fromkeys(cell.address.column for cell in table.cells()))
    estimates = {
        (pair, column): _estimate(found, table.name, pair, column)
        for pair in table.pairs
        for column in columns
    }
    tested = {key: estimate for key, estimate in estimates.items() if estimate is not None}
    adjusted = dict(zip(tested, holm([e.p() for e in tested.values()]), strict=True))
    return [
        Difference(rows[a], rows[b], column, estimate, adjusted.get(((a, b), column)), table.margin)
        for ((a, b), column), estimate in estimates.items()
    ]


def _estimate(
    found: Mapping[CellKey, Mapping[str, Any]], table: str, pair: tuple[str, str], column: str
) -> Estimate | None:
    documents = [found.get(CellKey(table, row, column)) for row in pair]
    if any(document is None or not document["values"] for document in documents):
        return None
    first, second = (sample_of(document) for document in documents if document is not None)
    if not set(first.values) & set(second.values):
        return None
    return contrast([(1, first), (-1, second)])
