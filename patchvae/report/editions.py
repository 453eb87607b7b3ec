"""What a published study's numbers were in its earlier editions.

published/editions/<study>-<n>.csv has a line for each cell and seed of the n-th edition.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

from patchvae.analysis.between import read_cells
from patchvae.report.grid import markdown
from patchvae.study import paths
from patchvae.study.address import CellKey

HEADINGS = ("table", "row", "column", "then, by seed", "mean", "now, by seed", "mean")
Seeds = Mapping[int, float]


def editions(study: str) -> list[Path]:
    """The files of a study's earlier editions, the first first."""
    return sorted((paths.PUBLISHED / "editions").glob(f"{study}-[0-9]*.csv"))


def as_markdown(study: str) -> str:
    """For each earlier edition how many cells are the same now, and those that are not."""
    now: dict[CellKey, Seeds] = {
        key: dict(zip(document["seeds"], document["values"], strict=True))
        for key, document in read_cells(paths.PUBLISHED / paths.RESULTS / study).items()
    }
    return "\n\n".join(_edition(path, now) for path in editions(study))


def _edition(path: Path, now: Mapping[CellKey, Seeds]) -> str:
    then = _read(path)
    shared = [key for key in then if key in now]
    changed = [key for key in shared if then[key] != now[key]]
    lead = (
        f"Of {len(then)} cells of edition {path.stem.rpartition('-')[2]} {len(shared)} are in this"
        f" one, {len(shared) - len(changed)} with the same accuracies to the last digit;"
        f" {len(now) - len(shared)} cells are new."
    )
    if not changed:
        return lead
    rows = [[*key, *_texts(then[key]), *_texts(now[key])] for key in changed]
    return markdown(lead, [(HEADINGS, [rows])], 3).rstrip()


def _read(path: Path) -> Mapping[CellKey, Seeds]:
    found: dict[CellKey, dict[int, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            key = CellKey(record["table"], record["row"], record["column"])
            found.setdefault(key, {})[int(record["seed"])] = float(record["top1"])
    return found


def _texts(seeds: Seeds) -> Iterator[str]:
    yield " ".join(f"{value:.2f}" for value in seeds.values())
    yield f"{fmean(seeds.values()):.2f}"
