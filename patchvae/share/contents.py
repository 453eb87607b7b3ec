"""What of a study a crate holds, each file where it lies in the project."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchvae.analysis.compare import compare_study
from patchvae.errors import CheckpointError
from patchvae.figures.catalogue import FIGURES, FORMATS, Target, figure_names
from patchvae.planning.jobs import CELL, PROBE, TRAINED, Job, cell_job, with_needs
from patchvae.planning.states import DONE, States
from patchvae.report.compare_views import write as write_comparison
from patchvae.report.grid import csv_text
from patchvae.report.provenance import provenance
from patchvae.report.publish import job_record
from patchvae.report.published import JOBS
from patchvae.report.tables import table_texts
from patchvae.runtime.results import write_text
from patchvae.share.archive import files_below
from patchvae.share.cards import CARD, model_card
from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.table_specs import spec_file
from patchvae.study.tables import study_cells, table_names

ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class Finished:
    """The jobs of a study that are done, each after what it needs, and a line for each that is
    not.
    """

    study: str
    jobs: tuple[Job, ...]
    lacking: tuple[str, ...]

    @property
    def trainings(self) -> list[Job]:
        return [job for job in self.jobs if job.kind in TRAINED]


def files_of(job: Job) -> list[Path]:
    """What a preparation, training or cell leaves, its result last."""
    if job.config is None:
        return [job.target]
    names = paths.PROBE_FILES if job.kind == PROBE else paths.PRETRAIN_FILES
    return sorted((job.target.parent / name for name in names), key=lambda p: p == job.target)


def finished(study: str, partial: bool) -> Finished:
    """What is done of a study; CheckpointError names the first job that is not, unless `partial`
    leaves those out, or when none is.
    """
    states, jobs = States(), with_needs(map(cell_job, study_cells(study)))
    done = [job for job in jobs if states.of(job).word == DONE]
    lacking = [
        f"{job.kind} {job.name}: {states.of(job).word}"
        for job in jobs
        if states.of(job).word != DONE
    ]
    if lacking and not (partial and any(job.kind in TRAINED for job in done)):
        raise CheckpointError(
            f"{len(lacking)} of {len(jobs)} jobs of study '{study}' are not done, the first is"
            f" {lacking[0]}: run it, or give --partial for those that are"
        )
    return Finished(study, tuple(done), tuple(lacking))


def fill(folder: Path, found: Finished) -> None:
    """Copy and make all of it below `folder`, where only the crate's own two files then lack."""
    for job in found.jobs:
        for path in files_of(job):
            _copy(path, folder / path)
    _configuration(folder, found.study)
    _numbers(folder, found)
    for path in _figures(found.study):
        _copy(path, folder / path)
    for job in found.trainings:
        if job.kind != PROBE:
            probes = [other for other in found.trainings if job in other.needs]
            write_text(folder / job.target.parent / CARD, model_card(job, probes))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _configuration(folder: Path, study: str) -> None:
    """The study, the protocol, its tables' rows, and the workflow that they are read by."""
    found = load_study(study)
    for path in (found.file, paths.config("protocol.yaml"), *map(spec_file, found.tables)):
        below = "tables" if path.parent.name == "tables" else "."
        _copy(path, folder / paths.CONFIG / below / path.name)
    for path in files_below(paths.shipped("workflow")):
        _copy(path, folder / path.relative_to(paths.SHIPPED))


def _numbers(folder: Path, found: Finished) -> None:
    """Tables, comparison and accuracies made anew from the cells, and who made them where."""
    for name in table_names(found.study):
        for suffix, text in table_texts(found.study, name, partial=True).items():
            write_text(folder / paths.table(found.study, name, suffix), text)
    write_comparison(compare_study(found.study), folder)
    records = [job_record(job.target.parent, job.kind) for job in found.trainings]
    write_text(folder / paths.RESULTS / found.study / JOBS, csv_text(records))
    cells = [job.cell for job in found.jobs if job.kind == CELL and job.cell is not None]
    write_text(folder / ENVIRONMENT, json.dumps(provenance(cells), indent=1) + "\n")


def _figures(study: str) -> Iterator[Path]:
    """What is drawn, unless something that it shows was made since."""
    for name in figure_names(study):
        target = Target(study, FIGURES[name])
        drawn = [target.path(suffix) for suffix in FORMATS if target.path(suffix).exists()]
        if drawn and not _older(drawn, target.inputs()):
            yield from drawn


def _older(paths_: Sequence[Path], inputs: Sequence[Path]) -> bool:
    oldest = min(path.stat().st_mtime for path in paths_)
    return any(not path.exists() or path.stat().st_mtime > oldest for path in inputs)
