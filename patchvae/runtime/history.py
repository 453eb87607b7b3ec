"""What was recorded of each epoch: the rows of a history.csv, or of published terms."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

Row = Mapping[str, float]


def read_rows(path: Path) -> list[Row]:
    """Numbers by column; a row lacks the columns that it leaves empty."""
    return [numbers for _, numbers in read_named_rows(path)]


def read_named_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The same with the column `run` apart, which is empty where there is none."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            run = row.pop("run", "")
            yield run, {name: float(text) for name, text in row.items() if text}
