"""Everything about one number.

The paper's value, the configuration and who chose it, jobs, verdict.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from patchvae.analysis.compare import Row, compare
from patchvae.analysis.printed import points
from patchvae.paper.published import Number, find, paper_value, parameters
from patchvae.paper.readings import readings_of
from patchvae.planning.choices import Choice, choices
from patchvae.planning.jobs import Job, cell_job, parse_training, training_job, with_needs
from patchvae.planning.states import DONE, State, States, cell_state
from patchvae.runtime.stage import Config
from patchvae.study import paths
from patchvae.study.readings import Reading, readings
from patchvae.study.runs import ProbeConfig
from patchvae.study.tables import Cell, asked_cells, parse_cell

PLACE = re.compile(r"table\d+:\d+:\d+")


@dataclass(frozen=True)
class Explanation:
    """What `patchvae explain` shows; empty parts are left out."""

    title: str
    facts: Mapping[str, str]
    choices: tuple[Choice, ...] = ()
    readings: tuple[Reading, ...] = ()
    jobs: tuple[tuple[Job, State], ...] = ()
    files: tuple[Path, ...] = ()
    commands: tuple[str, ...] = ()


def explain(text: str) -> Explanation:
    """Explain a cell, a run or a probe by its path or name, or a published number by its printed
    place.

    ConfigError when `text` names nothing that exists.
    """
    if PLACE.fullmatch(text):
        text = str(find(text).key)
    if text in map(str, parameters()):
        return _count(find(text))
    if "/runs/" in text or "/seed" in text:
        return _training(text)
    return _cell(parse_cell(text))


def _cell(cell: Cell) -> Explanation:
    states, job = States(), cell_job(cell)
    config = cell.probes()[0]
    state = cell_state(states, job)
    facts = {
        "study": f"{cell.study.name}: {cell.study.title}",
        "paper": _published(cell),
        "state": _say(state),
        **_outcome(cell, state),
    }
    row = f"{cell.table.file}, row {cell.row.key}"
    return Explanation(
        title=cell.name,
        facts=facts,
        choices=tuple(choices(config, row)),
        readings=tuple(readings()[name] for name in readings_of(config)),
        jobs=tuple((other, states.of(other)) for other in with_needs([job])),
        files=(cell.path, *_folders(job), _table(cell)),
        commands=_commands(job),
    )


def _training(text: str) -> Explanation:
    config = parse_training(text)
    job, states = training_job(config), States()
    cells = [cell for cell in asked_cells(config.run.study) if _uses(cell, config)]
    return Explanation(
        title=job.name,
        facts={
            "study": f"{config.run.study}: {config.run.of_study.title}",
            "state": _say(states.of(job)),
            "cells": ", ".join(cell.key for cell in cells) or "none of the study's tables",
        },
        choices=tuple(choices(config, "the run's name")),
        jobs=tuple((other, states.of(other)) for other in with_needs([job])),
        files=_folders(job),
        commands=_commands(job),
    )


def _count(number: Number) -> Explanation:
    from patchvae.analysis.parameters import counts

    ours, published = counts()[number.key], int(number.value)
    return Explanation(
        title=str(number.key),
        facts={
            "paper": f"{published:,} parameters ({number.place})",
            "ours": f"{ours:,} parameters, counted in the module itself",
            "verdict": "equal" if ours == published else f"differs by {ours - published:+,}",
        },
        files=tuple(
            paths.table(paths.MAIN_STUDY, number.key.table, suffix)
            for suffix in paths.TABLE_FORMATS
        ),
        commands=("patchvae params", f"snakemake tables/{number.key.table}.tex"),
    )


def _published(cell: Cell) -> str:
    if paper_value(cell.study, cell.address) is None:
        return "the paper has no such number"
    number = find(cell.key)
    return f"{number.value:.2f} % ({number.place})"


def _outcome(cell: Cell, state: State) -> dict[str, str]:
    """Our number and its verdict, once the cell is done."""
    judged = cell.study.is_the_papers
    if state.word != DONE:
        return {"verdict": "none before it is done"} if judged else {}
    key = cell.address
    row = compare(cell.study, Path(), [key], config_digests={key: cell.config_digest}).rows[0]
    if not judged:
        return {"ours": _ours(row), "verdict": "none: only the study paper follows the paper"}
    return {"ours": _ours(row), "verdict": _verdict(row)}


def _ours(row: Row) -> str:
    assert row.interval is not None  # of a cell that is done
    low, high = row.interval
    return (
        f"{row.mean:.2f} % over seed{'s' if len(row.values) > 1 else ''}"
        f" {' '.join(map(str, row.values))}, 95 % interval {low:.2f} to {high:.2f}"
        f" ({row.interval_kind})"
    )


def _verdict(row: Row) -> str:
    if row.verdict is None:
        return row.word
    found = row.verdict
    return (
        f"{row.word}: difference {points(found.difference)} points, consistent within"
        f" {found.consistent_within:.2f}, margin {found.margin:.2f}"
    )


def _say(state: State) -> str:
    took = f" (took {state.seconds:.0f} s)" if state.seconds is not None else ""
    return state.word + (f": {state.detail}" if state.detail else "") + took


def _uses(cell: Cell, config: Config) -> bool:
    if isinstance(config, ProbeConfig):
        return any(probe.folder == config.folder for probe in cell.probes())
    return any(probe.run == config.run for probe in cell.probes())


def _folders(job: Job) -> tuple[Path, ...]:
    """The folders of the trainings behind a job, in order."""
    return tuple(other.target.parent for other in with_needs([job]) if other.config is not None)


def _table(cell: Cell) -> Path:
    return paths.table(cell.study.name, cell.table.name, "tex")


def _commands(job: Job) -> tuple[str, ...]:
    """By the workflow, here and on a cluster; then each job by hand."""
    by_hand = [other.command for other in with_needs([job])]
    return (f"snakemake {job.target}", f"snakemake --profile slurm {job.target}", *by_hand)
