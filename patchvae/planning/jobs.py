"""The jobs behind a target.

What the workflow runs, in which order, and how to ask for one by hand.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from patchvae.errors import ConfigError
from patchvae.runtime.failures import log_path
from patchvae.runtime.stage import PRETRAIN, Config, stage_of
from patchvae.study import paths
from patchvae.study.config import study_names
from patchvae.study.runs import ProbeConfig, Run, resolve_probe, resolve_run
from patchvae.study.sensitivity import SENSITIVITY
from patchvae.study.table_specs import ARCHITECTURE_TABLES
from patchvae.study.tables import (
    Cell,
    load_table,
    parse_cell,
    parse_target,
    study_cells,
    table_names,
)

PREPARE, PROBE, CELL, TABLE, REPORT = "prepare", "probe", "cell", "table", "report"
DOCUMENTS = (TABLE, REPORT, SENSITIVITY)  # of results that other jobs wrote
KINDS = (PREPARE, PRETRAIN, PROBE, CELL, *DOCUMENTS)
SENSITIVITY_PAGE = re.compile(r"results/([^/]+)/sensitivity\.(?:html|csv|md)")
TRAINED = (PRETRAIN, PROBE)


@dataclass(frozen=True)
class Job:
    """One job; two are the same when kind and name are. `needs` are the jobs before it."""

    kind: str
    name: str
    target: Path = field(compare=False)
    log: Path = field(compare=False)
    needs: tuple["Job", ...] = field(default=(), compare=False, repr=False)
    config: Config | None = field(default=None, compare=False, repr=False)
    cell: Cell | None = field(default=None, compare=False, repr=False)

    @property
    def command(self) -> str:
        """The command that the workflow calls, for use by hand."""
        if self.kind == PREPARE:
            return f"patchvae prepare {self.name} --stamp {self.target}"
        if isinstance(self.config, ProbeConfig):
            return f"patchvae probe {self.config.run.name} {self.config.stage}"
        return f"patchvae {self.kind} {self.name}"


def prepare_job(dataset: str) -> Job:
    """Decoding a dataset."""
    log = paths.LOGS / PREPARE / f"{dataset}.log"
    return Job(PREPARE, dataset, paths.prepared(dataset), log)


def training_job(config: Config) -> Job:
    """A pretraining, or a probe with the pretraining before it."""
    run, stage = config.run, stage_of(config)
    target, log = run.folder / stage / paths.METRICS, log_path(run, stage)
    if isinstance(config, ProbeConfig):
        before = training_job(config.encoder)
        return Job(PROBE, f"{run.name}/{stage}", target, log, (before,), config)
    return Job(PRETRAIN, run.name, target, log, (prepare_job(run.dataset),), config)


def cell_job(cell: Cell) -> Job:
    """The gathering of a cell, with the probes of all seeds before it."""
    log = paths.LOGS / cell.study.name / "cells" / f"{cell.key}.log"
    needs = tuple(training_job(config) for config in cell.probes())
    return Job(CELL, cell.name, cell.path, log, needs, cell=cell)


def table_job(study: str, name: str) -> Job:
    """A table with its cells before it."""
    cells = () if name in ARCHITECTURE_TABLES else load_table(study, name).cells()
    target = paths.table(study, name, "tex")
    log = paths.output(str(paths.LOGS), study, f"{name}.log")
    return Job(TABLE, f"{study}/{name}", target, log, tuple(cell_job(cell) for cell in cells))


def report_job(study: str) -> Job:
    """A study's page and its figures, taken as one job after the tables."""
    target, log = paths.RESULTS / study / "report.html", paths.LOGS / study / "report.log"
    return Job(REPORT, study, target, log, tuple(table_job(study, n) for n in table_names(study)))


def sensitivity_job(study: str) -> Job:
    """A study's sensitivity to readings and its figure, taken as one job after the cells."""
    cells = tuple(cell_job(cell) for cell in study_cells(study, SENSITIVITY))
    target = paths.RESULTS / study / "sensitivity.html"
    return Job(SENSITIVITY, study, target, paths.LOGS / study / "sensitivity.log", cells)


def with_needs(jobs: Iterable[Job]) -> list[Job]:
    """The jobs and all before them, each once and after what it needs."""
    return list(dict.fromkeys(job for root in jobs for job in _walk(root)))


def _walk(job: Job) -> Iterator[Job]:
    for before in job.needs:
        yield from _walk(before)
    yield job


def jobs_for(target: str) -> list[Job]:
    """The jobs that make a target, without those before them.

    A target is a study with its tables, figures and page (or the rule named after it), its
    sensitivity, a table, a cell, a run or a probe, by its path or by its name. ConfigError when it
    is none of these.
    """
    study = "paper" if target == "all" else target.replace("_", "-")
    if study in study_names():
        return [report_job(study)]
    if page := SENSITIVITY_PAGE.fullmatch(target):
        return [sensitivity_job(page[1])]
    if target.startswith("tables/"):
        return [table_job(*parse_target(target))]
    if "/runs/" in target or "/seed" in target:
        return [training_job(parse_training(target))]
    try:
        return [cell_job(parse_cell(target))]
    except ConfigError as error:
        if target.count("/") > 1:
            raise
        try:
            return [table_job(*parse_target(target))]
        except ConfigError:
            raise ConfigError(
                f"'{target}' is no target: name a study, tables/[<study>/]<table>.tex, a cell or "
                "a run"
                f" ({error})"
            ) from None


def parse_training(text: str) -> Config:
    """The configuration behind a run's name or path, or behind one of its probes."""
    run = Run.parse(text)
    rest = text.rstrip("/").split(f"/seed{run.seed}", 1)[1].split("/")
    stage = rest[1] if len(rest) > 1 else PRETRAIN
    return resolve_run(run) if stage == PRETRAIN else resolve_probe(run, stage)
