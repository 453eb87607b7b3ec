"""published/verified.csv: what became of published cells on other machines, a line a cell."""

import csv
from collections.abc import Iterable
from pathlib import Path

from patchvae.report.grid import csv_text
from patchvae.runtime.results import write_text
from patchvae.verify.retrain import MACHINE, Again

LEDGER = "verified.csv"


def record(again: Again) -> dict[str, str]:
    """A cell computed again as text; accuracies by seed, and the machine that gave the new ones."""
    found = again.found
    return {
        "ended": again.ended,
        "cell": again.cell.name,
        "verdict": found.word,
        "seeds": " ".join(map(str, found.again.values)),
        "published": " ".join(f"{found.published.values[seed]:g}" for seed in found.again.values),
        "again": " ".join(f"{value:g}" for value in found.again.values.values()),
        "within": f"{found.within:.2f}",
        "images": "" if found.images is None else str(found.images),
        "same_code": str(again.same_code),
        "seconds": f"{again.seconds:.0f}",
        **{name: again.now[name] for name in MACHINE},
    }


def enter(cells: Iterable[Again], root: Path) -> Path:
    """Add a line for each cell to the ledger below `root`."""
    path, before = root / LEDGER, []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            before = list(csv.DictReader(file))
    write_text(path, csv_text([*before, *map(record, cells)]))
    return path
