"""The 143 published numbers, addressed like our cells: table / row / column.

    table4/prior_vis=0.05/indoor67-conv5     an accuracy of Tables 1-5, percent
    table6/encoder-patchvae/cifar100         a parameter count of Tables 6-10
    table4:2:2                               the same as the first, by its printed place

A place counts the printed rows and columns of numbers from 1, headings left out. Table 3 is one
table here: its left half has rows 1-5, its right half rows 6-8.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from patchvae.errors import ConfigError
from patchvae.study.address import CellKey
from patchvae.study.config import Study
from patchvae.study.yaml_files import read_yaml

SWEPT = ("num_parts", "part_dim", "prior_vis", "beta_vis")


@dataclass(frozen=True)
class Number:
    """A published number: an accuracy in percent or a parameter count, and its printed place."""

    key: CellKey
    value: float
    row: int
    column: int

    @property
    def position(self) -> str:
        return f"{self.key.table}:{self.row}:{self.column}"

    @property
    def place(self) -> str:
        """For people: `Table 3 (right), row 2, column 1`."""
        number, row, half = self.key.table.removeprefix("table"), self.row, ""
        if self.key.table == "table3":
            left = self.key.row.startswith("num_parts")
            half, row = (" (left)", row) if left else (" (right)", row - 5)
        return f"Table {number}{half}, row {row}, column {self.column}"


def accuracy() -> dict[CellKey, float]:
    """The 128 accuracies of Tables 1-5 in percent, in printed order."""
    return dict(_accuracies())


def paper_value(study: Study, key: CellKey) -> float | None:
    """The accuracy that a study's cell is compared with; None where the paper has none."""
    return accuracy().get(key) if study.is_the_papers else None


def parameters() -> dict[CellKey, int]:
    """The 15 parameter counts of Tables 6-10, in printed order."""
    return dict(_parameters())


def find(reference: str) -> Number:
    """The number with this key or printed place; ConfigError when the paper has none there."""
    for number in numbers():
        if reference in (str(number.key), number.position):
            return number
    raise ConfigError(
        f"the paper has no number '{reference}': write table/row/column as in "
        "table1/patchvae/cifar100-conv5, or the printed place table:row:column as in table1:5:3"
    )


@cache
def numbers() -> tuple[Number, ...]:
    """All 143 numbers, in printed order within each table."""
    places: dict[str, tuple[list[str], list[str]]] = {}
    found = []
    for key, value in (*_accuracies(), *_parameters()):
        rows, columns = places.setdefault(key.table, ([], []))
        row, column = _printed(key)
        for names, name in ((rows, row), (columns, column)):
            if name not in names:
                names.append(name)
        found.append(Number(key, value, rows.index(row) + 1, columns.index(column) + 1))
    return tuple(found)


def _printed(key: CellKey) -> tuple[str, str]:
    """Tables 6-9 print their models as columns of one row; in the others the key says it."""
    network, _, model = key.row.partition("-")
    return (network, model) if network in ("encoder", "decoder") else (key.row, key.column)


@cache
def _accuracies() -> tuple[tuple[CellKey, float], ...]:
    return tuple(_accuracy(record) for record in _records("accuracy.csv"))


def _accuracy(record: Mapping[str, str]) -> tuple[CellKey, float]:
    swept = [f"{name}={record[name]}" for name in SWEPT if record[name]]
    measure = record["metric"] if record["dataset"] == "imagenet" else record["probe"]
    table = f"table{record['table'].partition('-')[0]}"  # '3-left' is a part of table 3
    row = swept[0] if swept else record["model"]
    return CellKey(table, row, f"{record['dataset']}-{measure}"), float(record["value"])


def _parameters() -> Iterator[tuple[CellKey, int]]:
    for record in _records("parameters.csv"):
        network, model = record["network"], record["model"]
        row = network if model == "all" else f"{network}-{model}"
        yield CellKey(f"table{record['table']}", row, record["dataset"]), int(record["parameters"])


def _records(name: str) -> list[dict[str, str]]:
    text = files("patchvae.paper").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def layers(key: CellKey) -> list[tuple[str, int]]:
    """The layers behind a published parameter count, in printed order: (name, parameters)."""
    data = read_yaml(files("patchvae.paper").joinpath("layers.yaml"))
    found: list[tuple[str, int]] = []
    for item in data["networks"][str(key)]:
        group = data["groups"][item] if isinstance(item, str) else [item]
        found += [(name, count) for name, count in group]
    return found
