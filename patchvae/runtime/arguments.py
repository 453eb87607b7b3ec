"""What commands accept: ranges of numbers, and what a shell completes; nothing heavy."""

import math
import os
from collections.abc import Iterable
from typing import Any

import click

from patchvae.errors import SuiteError
from patchvae.study.config import study_names
from patchvae.study.tables import study_cells, table_names


class Real(click.FloatRange):
    """A finite number within a range: comparisons let `nan` pass."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return found


class Threads(click.IntRange):
    """CPU threads: more than there are processors only slow each other, and far more end torch."""

    MOST = max(64, os.cpu_count() or 1)

    def __init__(self) -> None:
        super().__init__(1, self.MOST)


def complete_study(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """The studies of this folder."""
    return _beginning(incomplete, study_names())


def complete_table(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """Studies, tables of the paper's study, and `<study>/<table>`."""
    return _beginning(incomplete, [*study_names(), *_tables(incomplete)])


def complete_cell(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """Cells, part by part: `[<study>/]<table>/<row>/<column>`."""
    study = incomplete.partition("/")[0]
    own = study in study_names()
    try:
        cells = study_cells(study if own else "paper")
    except SuiteError:
        return []
    names = {cell.name if own else cell.key for cell in cells}
    depth = incomplete.count("/") + 1
    found = {
        "/".join(name.split("/")[:depth]) + ("/" if name.count("/") >= depth else "")
        for name in names
    }
    studies = [] if own else [f"{name}/" for name in study_names()]
    return _beginning(incomplete, [*studies, *sorted(found)])


def complete_target(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """What `forecast` takes: studies, tables and cells."""
    found = [*complete_table(ctx, param, incomplete), *complete_cell(ctx, param, incomplete)]
    return list(dict.fromkeys(found))


def _tables(incomplete: str) -> Iterable[str]:
    study, slash, _ = incomplete.partition("/")
    try:
        return [f"{study}/{name}" for name in table_names(study)] if slash else table_names("paper")
    except SuiteError:
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
