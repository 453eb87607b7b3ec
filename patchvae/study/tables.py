"""Tables of a study: which cells each has, and which probes a cell gathers."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from patchvae.errors import ConfigError
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.config import Study, load_study
from patchvae.study.digests import digest_of
from patchvae.study.registry import instead, lookup
from patchvae.study.rows import Column, Panel, Row
from patchvae.study.runs import ProbeConfig, Run, resolve_probe
from patchvae.study.sensitivity import (
    COLUMNS,
    REFERENCE,
    SENSITIVITY,
    Alternative,
    block_of,
    changed_rows,
)
from patchvae.study.table_specs import (
    ARCHITECTURE_TABLES,
    captioned,
    columns_of,
    panels_of,
    read_spec,
    spec_file,
)
from patchvae.study.yaml_files import about


@dataclass(frozen=True)
class Table:
    """A table of a study: the specification with the study's datasets and rows."""

    name: str
    study: Study = field(repr=False)
    caption: str
    datasets: tuple[str, ...]
    columns: tuple[Column, ...]
    panels: tuple[Panel, ...]
    file: Path  # where its rows are written
    pairs: tuple[tuple[str, str], ...] = ()  # keys of rows whose differences the study asks for
    margin: float | None = None  # of those, in points

    @property
    def beyond(self) -> str:
        """The sentence on the columns that the paper does not have; empty where there are none."""
        found = [f"{c.heading} is {c.beyond}" for c in self.columns if c.beyond]
        return f"Beyond the paper: {'; '.join(found)}." if found else ""

    def rows(self) -> Iterator[Row]:
        return (row for panel in self.panels for group in panel.groups for row in group)

    def cells(self) -> "list[Cell]":
        """Every cell, row by row."""
        return [
            Cell(self, row, dataset, column)
            for row in self.rows()
            for dataset in self.datasets
            for column in self.columns
        ]


@dataclass(frozen=True)
class Cell:
    """One number of one table: a metric of the same probe over all seeds."""

    table: Table = field(repr=False)
    row: Row
    dataset: str
    column: Column

    @property
    def study(self) -> Study:
        return self.table.study

    @property
    def address(self) -> CellKey:
        return CellKey(self.table.name, self.row.key, f"{self.dataset}-{self.column.key}")

    @property
    def key(self) -> str:
        return str(self.address)

    @property
    def name(self) -> str:
        """The address with the study's name, as commands take it."""
        return f"{self.study.name}/{self.key}"

    @property
    def path(self) -> Path:
        return self.address.path(self.study.name)

    @property
    def config_digest(self) -> str:
        """SHA-256 over the configurations of its probes."""
        return digest_of([config.digest for config in self.probes()])

    def probes(self) -> list[ProbeConfig]:
        """One probe a seed."""
        study, dataset = self.study, self.dataset
        variant, stage = self.row.stages(study, dataset, self.column.probe)
        return [
            resolve_probe(Run(study.name, dataset, self.row.model, variant, seed), stage)
            for seed in study.seeds
        ]


@cache
def load_table(study_name: str, name: str) -> Table:
    """A table of a study.

    ConfigError when the study has none of that name or lists unknown rows.
    """
    study = load_study(study_name)
    if name == SENSITIVITY and name not in study.tables:
        with about(study.file):
            return _sensitivity(study)
    settings = lookup(f"table of study '{study_name}'", study.tables, name)
    spec = read_spec(name)
    return Table(
        name=name,
        study=study,
        caption=captioned(spec, settings["datasets"]),
        datasets=tuple(settings["datasets"]),
        columns=columns_of(spec, settings.get("columns", ())),
        panels=panels_of(study, name, spec, settings),
        file=spec_file(name),
        pairs=tuple((first, second) for first, second in settings.get("differences", ())),
        margin=settings.get("margin"),
    )


def reference(study: Study) -> Table:
    """What of a table the study's block `sensitivity` has computed again, as the study has it."""
    block = block_of(study)
    seeds = tuple(block.get("seeds", study.seeds))
    if extra := set(seeds) - set(study.seeds):
        raise ConfigError(f"sensitivity: seeds: {min(extra)} is none of the study's: leave it out")
    whole = load_table(study.name, block.get("table", REFERENCE))
    rows = {row.key: row for row in whole.rows()}
    columns = {column.key: column for column in whole.columns}
    names = block.get("rows", [row.key for row in rows.values() if not row.reference])
    datasets = dict.fromkeys(whole.datasets)
    for name in block.get("datasets", ()):
        lookup(f"dataset of {whole.name} under 'sensitivity'", datasets, name)
    kept = tuple(lookup(f"row of {whole.name} under 'sensitivity'", rows, name) for name in names)
    return replace(
        whole,
        study=replace(study, seeds=seeds),
        datasets=tuple(block.get("datasets", whole.datasets)),
        columns=tuple(
            lookup(f"column of {whole.name} under 'sensitivity'", columns, name)
            for name in block.get("columns", COLUMNS)
        ),
        panels=(Panel("Model", (kept,)),),
        pairs=(),
    )


def changed(table: Table) -> dict[Alternative, dict[str, Row]]:
    """The rows of a `reference` under each alternative, by the row's key there."""
    probes = [column.probe for column in table.columns]
    return changed_rows(table.study, list(table.rows()), table.datasets, probes)


def _sensitivity(study: Study) -> Table:
    """The rows of the reference as they are and under each alternative, each a row of its own."""
    base = reference(study)
    groups = tuple(tuple(rows.values()) for rows in changed(base).values())
    panels = (Panel(base.panels[0].header, (*base.panels[0].groups, *groups)),)
    caption = f"{base.caption}, under other readings of the paper"
    return replace(base, name=SENSITIVITY, caption=caption, panels=panels, file=study.file)


def study_cells(study_name: str, table: str | None = None) -> list[Cell]:
    """Every cell of a study, table by table, or of one of its tables."""
    names = load_study(study_name).tables if table is None else [table]
    return [cell for name in names for cell in load_table(study_name, name).cells()]


def find_cell(study: str, table: str, row: str, column: str) -> Cell:
    """The cell at an address; ConfigError lists the rows or columns when there is none."""
    cells = load_table(study, table).cells()
    rows = {cell.row.key: None for cell in cells}
    lookup(f"row of {table} in study '{study}'", rows, row)
    columns = {cell.address.column: cell for cell in cells if cell.row.key == row}
    return lookup(f"column of {table} in study '{study}'", columns, column)


def parse_cell(text: str) -> Cell:
    """A cell from its results path, or from `[<study>/]<table>/<row>/<column>`."""
    words = text.removesuffix(".json").split("/")
    if words[0] == "results" and len(words) == 6 and words[2] == "cells":
        words = [words[1], *words[3:]]
    if len(words) == 3:
        words = [paths.MAIN_STUDY, *words]
    if len(words) != 4:
        raise ConfigError(f"'{text}' names no cell: expected [<study>/]<table>/<row>/<column>")
    return find_cell(*words)


def table_names(study: str) -> list[str]:
    """Every table that a study has: those it lists, and the architectures."""
    return [*load_study(study).tables, *ARCHITECTURE_TABLES]


def asked_cells(study: str) -> list[Cell]:
    """Every cell of a study, those of its sensitivity to readings included."""
    further = study_cells(study, SENSITIVITY) if load_study(study).sensitivity is not None else []
    return [*study_cells(study), *further]


def parse_target(text: str) -> tuple[str, str]:
    """(study, table) of `tables/[<study>/]<table>.<suffix>`, `[<study>/]<table>` or a path of this
    form.
    """
    words = text.removeprefix("tables/").rsplit(".", 1)[0].split("/")
    study, name = (paths.MAIN_STUDY, words[0]) if len(words) == 1 else (words[0], words[-1])
    known = [*table_names(study), SENSITIVITY]
    if len(words) > 2 or name not in known:
        raise ConfigError(f"'{text}' is no table of study '{study}': {instead(name, known)}")
    return study, name
