"""Targets of Snakemake that nothing can make, told before it builds its DAG, with what is near."""

from collections.abc import Collection, Sequence
from pathlib import Path

from patchvae.figures.catalogue import Target
from patchvae.planning.jobs import parse_training
from patchvae.study import paths
from patchvae.study.config import find_dataset, load_study
from patchvae.study.registry import lookup
from patchvae.study.sensitivity import SENSITIVITY
from patchvae.study.table_specs import RESERVED
from patchvae.study.tables import parse_cell, table_names


def refuse_unknown(call: Sequence[str], rules: Collection[str]) -> None:
    """ConfigError for the first target of a call of Snakemake that no rule makes.

    Snakemake's own parser tells targets from values of options. Jobs that it starts itself have no
    such targets, and another program that loads the Snakefile has arguments of its own.
    """
    program, arguments = Path(call[0]), call[1:]
    if "snakemake" not in (program.stem, program.parent.name) or "--target-jobs" in arguments:
        return
    from snakemake.cli import get_argument_parser

    for target in get_argument_parser().parse_known_args(arguments)[0].targets or ():
        check_target(target, rules)


def check_target(target: str, rules: Collection[str]) -> None:
    """ConfigError for a target whose study, table, cell, run, figure or rule does not exist.

    Of a file that exists and of names that are none of ours Snakemake itself has to judge.
    """
    words = target.split("/")
    if target in rules or Path(target).exists():
        return
    if len(words) == 1 and not Path(target).suffix:
        lookup("rule", dict.fromkeys(rules), target)
    elif words[0] == "tables" and len(words) < 4:
        _check_table(words)
    elif words[0] == "figures":
        Target.parse(str(Path(target).with_suffix("")))
    elif words[0] == "results" and len(words) > 2:
        _check_result(words)


def _check_table(words: Sequence[str]) -> None:
    """A table of a study, also one that a figure writes, or the PDF of all."""
    study = load_study(words[1] if len(words) == 3 else paths.MAIN_STUDY).name
    name, _, suffix = words[-1].partition(".")
    known = dict.fromkeys([*table_names(study), SENSITIVITY, *RESERVED, "tables"])
    lookup(f"table of study '{study}'", known, name)
    formats = ("pdf",) if name == "tables" else (*paths.TABLE_FORMATS, "html")
    lookup("format of a table", dict.fromkeys(formats), suffix)


def _check_result(words: Sequence[str]) -> None:
    """A prepared dataset, or a cell or a training of a study."""
    if words[1] == "datasets":
        find_dataset(words[2].removesuffix(".json"))
        return
    load_study(words[1])
    if words[2] == "cells":
        parse_cell("/".join(words))
    elif words[2] == "runs":
        parse_training("/".join(words))
