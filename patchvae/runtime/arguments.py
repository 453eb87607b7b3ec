"""What commands accept: ranges of numbers, and what a shell completes; nothing heavy."""

import math
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from patchvae.errors import SuiteError
from patchvae.study import paths
from patchvae.study.config import study_names
from patchvae.study.tables import asked_cells, study_cells, table_names

T = TypeVar("T")


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
    own = [f"{s}/{name}" for s in _begun(incomplete) for name in _known(table_names, s)]
    return _beginning(incomplete, [*study_names(), *_known(table_names, paths.MAIN_STUDY), *own])


def complete_cell(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """Cells of the paper's study, and those of a study whose name is begun.

    Whole addresses: a shell goes as far as they agree, and would end a part of one with a space.
    """
    own = [cell.name for s in _begun(incomplete) for cell in _known(asked_cells, s)]
    papers = [cell.key for cell in _known(study_cells, paths.MAIN_STUDY)]
    return _beginning(incomplete, [*papers, *own])


def complete_target(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """What `forecast` takes: studies, tables and cells."""
    return [*complete_table(ctx, param, incomplete), *complete_cell(ctx, param, incomplete)]


def _begun(incomplete: str) -> list[str]:
    """The studies that an address of this beginning may name."""
    word, slash, _ = incomplete.partition("/")
    return [s for s in study_names() if word and (s == word if slash else s.startswith(word))]


def _known(listed: Callable[[str], list[T]], study: str) -> list[T]:
    """What a study has; nothing where it is wrong, which the command itself will say."""
    try:
        return listed(study)
    except SuiteError:
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
