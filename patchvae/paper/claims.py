"""The language of claims: parts, predicates and cell templates, read from YAML (docs/claims.md)."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import files
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any, Protocol, TypeVar

from patchvae.errors import ConfigError
from patchvae.paper.published import accuracy
from patchvae.study.address import CellKey
from patchvae.study.registry import DATASETS, MODELS
from patchvae.study.yaml_files import about, check, read_yaml

MARGIN = "margin"
# what a difference is to be, against the threshold `by`
ABOVE, AT_MOST, WITHIN = "above", "at most", "within"
_VARIABLE = re.compile(r"\{([^{}]*)\}")

Binding = dict[str, str]
C = TypeVar("C")


class Pairs(Protocol):
    """Which of the listed cells are compared, the first minus the second."""

    def __call__(self, cells: Sequence[C]) -> list[tuple[C, C]]: ...


def _steps_down(cells: Sequence[C]) -> list[tuple[C, C]]:
    return list(pairwise(cells))


def _steps_up(cells: Sequence[C]) -> list[tuple[C, C]]:
    return [(b, a) for a, b in pairwise(cells)]


def _all_pairs(cells: Sequence[C]) -> list[tuple[C, C]]:
    return list(combinations(cells, 2))


@dataclass(frozen=True)
class Predicate:
    """What each pair's difference is to be.

    A sweep has a `trend`, up (1) or down (-1): its pairs are the steps between neighbouring
    settings, and over seeds one fitted line stands for all of them.
    """

    test: str
    pairs: Pairs
    trend: int = 0


PREDICATES = {
    "greater": Predicate(ABOVE, _steps_down),
    "not_greater": Predicate(AT_MOST, _steps_down),
    "close": Predicate(WITHIN, _all_pairs),
    "rising": Predicate(ABOVE, _steps_up, trend=1),
    "falling": Predicate(ABOVE, _steps_down, trend=-1),
    "not_rising": Predicate(AT_MOST, _steps_up, trend=1),
}


@dataclass(frozen=True)
class Count:
    """For each value of `each`, the part is true of exactly `exactly` values of `of`."""

    of: str
    each: str
    exactly: int


@dataclass(frozen=True)
class Part:
    """One predicate over cell templates; `id` is the claim's, with a letter where it has many.

    `average` names the variables over which a seed's values are averaged before anything is judged.
    """

    id: str
    claim: str
    where: str
    says: str
    predicate: str
    templates: tuple[str, ...]
    variables: Mapping[str, tuple[str, ...]]
    excepted: tuple[Mapping[str, str], ...]
    average: tuple[str, ...]
    by: float | str
    count: Count | None

    def texts(self, binding: Mapping[str, str]) -> list[str]:
        """The templates with the variables of `binding` replaced by their values."""
        return [
            _VARIABLE.sub(lambda match: binding.get(match[1], match[0]), template)
            for template in self.templates
        ]

    def expand(self, universe: "Universe") -> Iterator[tuple[Binding, list[CellKey]]]:
        """Every binding of the variables with its cells; a dataset pattern takes what exists.

        The cells of a sweep come by rising setting. ConfigError for a table, row, dataset or
        measure that nobody knows, and for cells of several datasets or without a swept setting.
        """
        where = f"claim {self.id}"
        choices = [
            [(value, False) for value in values]
            if name != "dataset"
            else [found for pattern in values for found in universe.matching(pattern, where)]
            for name, values in self.variables.items()
        ]
        for chosen in product(*choices):
            binding = dict(zip(self.variables, (value for value, _ in chosen), strict=True))
            keys = [CellKey.parse(text) for text in self.texts(binding)]
            for key in keys:
                universe.check(key, where)
            by_pattern = any(pattern for _, pattern in chosen)
            if by_pattern and not all(universe.has_column(key) for key in keys):
                continue
            if not any(binding.items() >= gap.items() for gap in self.excepted):
                yield binding, self._comparable(keys)

    def _comparable(self, keys: list[CellKey]) -> list[CellKey]:
        where = f"claim {self.id}"
        datasets = sorted({key.dataset for key in keys})
        if len(datasets) > 1:
            raise ConfigError(f"{where} compares different images: {' and '.join(datasets)}")
        if not PREDICATES[self.predicate].trend:
            return keys
        settings = {key: setting(key, where) for key in keys}
        if len({key.row.partition("=")[0] for key in keys}) > 1 or len(set(settings.values())) < 2:
            raise ConfigError(f"{where}: a sweep needs two settings or more of one hyper-parameter")
        return sorted(keys, key=settings.__getitem__)


def setting(key: CellKey, where: str = "") -> float:
    """The positive number of a row `name=number`; ConfigError for another row."""
    number = key.row.partition("=")[2]
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ConfigError(f"{where}: a sweep needs rows such as prior_vis=0.05, not '{key.row}'")
    return value


@dataclass(frozen=True)
class Universe:
    """The names a claim may use, and the cells that exist where it is evaluated."""

    cells: frozenset[CellKey]

    def has_column(self, key: CellKey) -> bool:
        return (key.table, key.column) in self._columns

    def check(self, key: CellKey, where: str) -> None:
        """ConfigError unless the table, row, dataset and measure of `key` are known."""
        known("table", key.table, self._rows, where)
        known("row", key.row, self._rows[key.table], where)
        known("dataset", key.dataset, self._datasets, where)
        known("measure", key.measure, self._measures[key.table], where)

    def matching(self, pattern: str, where: str) -> list[tuple[str, bool]]:
        """Datasets that a name or pattern stands for, each with whether a pattern chose it."""
        datasets = [*DATASETS, *sorted(self._datasets - set(DATASETS))]
        matches = [name for name in datasets if fnmatchcase(name, pattern)]
        if not matches:
            known("dataset", pattern, datasets, where)
        return [(name, name != pattern) for name in matches]

    @cached_property
    def _rows(self) -> dict[str, set[str]]:
        """By table; one that has models for rows may have any model."""
        rows: dict[str, set[str]] = {}
        for key in self.cells | accuracy().keys():
            rows.setdefault(key.table, set()).add(key.row)
        return {
            table: names | set(MODELS) if names & set(MODELS) else names
            for table, names in rows.items()
        }

    @cached_property
    def _measures(self) -> dict[str, set[str]]:
        measures: dict[str, set[str]] = {}
        for key in self.cells | accuracy().keys():
            measures.setdefault(key.table, set()).add(key.measure)
        return measures

    @cached_property
    def _datasets(self) -> set[str]:
        return set(DATASETS) | {key.dataset for key in self.cells}

    @cached_property
    def _columns(self) -> set[tuple[str, str]]:
        return {(key.table, key.column) for key in self.cells}


def load_claims(path: Path | None = None) -> list[Part]:
    """The parts of every claim in a YAML file, by default the package's C1-C12.

    ConfigError names the file and the claim whose shape, variable or threshold is wrong.
    """
    from jsonschema import Draft202012Validator

    source = path or files("patchvae.paper").joinpath("claims.yaml")
    document = read_yaml(source)
    schema = read_yaml(files("patchvae.paper").joinpath("claims.schema.yaml"))
    check(document, Draft202012Validator(schema), str(source))
    with about(source):
        return [part for name, raw in document.items() for part in _parts(name, raw)]


def _parts(name: str, raw: Mapping[str, Any]) -> Iterator[Part]:
    for index, fields in enumerate(raw["parts"]):
        letter = chr(ord("a") + index) if len(raw["parts"]) > 1 else ""
        predicate = next(p for p in PREDICATES if p in fields)
        part = Part(
            id=f"{name}{letter}",
            claim=raw["says"],
            where=raw["where"],
            says=fields["says"],
            predicate=predicate,
            templates=tuple(fields[predicate]),
            variables={k: tuple(v) for k, v in fields.get("for", {}).items()},
            excepted=tuple(fields.get("except", ())),
            average=tuple(fields.get("average", ())),
            by=fields.get("by", 0.0),
            count=Count(**fields["count"]) if "count" in fields else None,
        )
        _check_variables(part)
        yield part


def _check_variables(part: Part) -> None:
    """ConfigError for a variable that is used and not given, or given and not used."""
    where = f"claim {part.id}"
    used = {name for template in part.templates for name in _VARIABLE.findall(template)}
    for name in used:
        known("variable", name, part.variables, where)
    unused = sorted(part.variables.keys() - used)
    if unused:
        raise ConfigError(f"{where}: no cell uses the variable '{unused[0]}': delete it from 'for'")
    counted = [part.count.of, part.count.each] if part.count else []
    for name in (*counted, *part.average, *(name for gap in part.excepted for name in gap)):
        known("variable", name, part.variables, where)
    unlike = [name for name in part.average if name in ("dataset", *counted)]
    if unlike:
        raise ConfigError(f"{where}: '{unlike[0]}' cannot be averaged: its values are told apart")
    for name, value in (item for gap in part.excepted for item in gap.items()):
        allowed = DATASETS if name == "dataset" else part.variables[name]
        known(name, value, allowed, where)


def known(kind: str, name: str, choices: Collection[str], where: str) -> None:
    """ConfigError, naming the choices, unless `name` is one of them."""
    if name not in choices:
        listed = ", ".join(sorted(choices)) or "(none)"
        raise ConfigError(f"{where}: unknown {kind} '{name}': choose one of {listed}")
