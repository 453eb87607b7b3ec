"""The differences of rows that a study asks for, as text: the same in Markdown and on the page."""

from collections.abc import Sequence
from itertools import groupby

from patchvae.analysis.paired import BOTH
from patchvae.analysis.pairs import LEVEL, Difference
from patchvae.analysis.printed import points
from patchvae.report.grid import markdown
from patchvae.study.registry import DATASETS
from patchvae.study.tables import Table

SHOWN, EQUIVALENT, NONE = "*", "≈", "-"


def lead(table: Table, found: Sequence[Difference]) -> str:
    """What a reader must know beside the numbers."""
    estimates = [d.estimate for d in found if d.estimate is not None]
    bases = {"by seed and test image" if e.basis == BOTH else f"over {e.basis}" for e in estimates}
    said = [
        "First row minus second in points, with the 95 % interval, paired"
        f" {' or '.join(sorted(bases)) or 'by seed'}.",
        f"{SHOWN}: a difference, after Holm's correction over the {len(estimates)} of this table"
        f" ({100 * LEVEL:.0f} %).",
    ]
    if table.margin is not None:
        said.append(
            f"{EQUIVALENT}: less than {table.margin:g} points either way, by two one-sided tests"
            f" at {100 * LEVEL:.0f} %, not corrected."
        )
    return " ".join(said)


def headings(table: Table) -> list[str]:
    """Above the pairs and above each column."""
    columns = [f"{DATASETS[d].title} {c.heading}" for d in table.datasets for c in table.columns]
    return ["difference", *columns]


def rows(found: Sequence[Difference]) -> list[list[str]]:
    """A line a pair."""
    by_pair = groupby(found, key=lambda d: (d.first, d.second))
    return [
        [f"{first.label} − {second.label}", *map(_text, of_pair)]
        for (first, second), of_pair in by_pair
    ]


def as_markdown(table: Table, found: Sequence[Difference]) -> str:
    """The block of a page."""
    return markdown(lead(table, found), [(headings(table), [rows(found)])])


def _text(difference: Difference) -> str:
    estimate = difference.estimate
    if estimate is None:
        return NONE
    low, high = estimate.interval()
    marks = (SHOWN if difference.shown else "") + (EQUIVALENT if difference.equivalent else "")
    return f"{points(estimate.difference)} ({low:.2f} to {high:.2f}){marks}"
