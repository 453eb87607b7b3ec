"""How far a study is.

Every cell and job with its state, and what an edit would cost or has cost.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from patchvae.errors import CheckpointError, ConfigError
from patchvae.planning.jobs import PRETRAIN, PROBE, Job, cell_job, with_needs
from patchvae.planning.states import DONE, WORDS, State, States, cell_state
from patchvae.runtime.results import read_result
from patchvae.runtime.watch import warnings_of
from patchvae.study import paths
from patchvae.study.config import Study, load_study, study_names
from patchvae.study.registry import instead
from patchvae.study.runs import PretrainConfig, Run
from patchvae.study.tables import asked_cells, parse_target, study_cells, table_names


@dataclass(frozen=True)
class Status:
    """The cells asked for, all jobs behind them, and finished trainings that no table asks for."""

    study: Study
    cells: tuple[tuple[Job, State], ...]
    jobs: tuple[tuple[Job, State], ...]
    unused: tuple[tuple[str, float], ...]  # run or probe, seconds that it took
    outside: tuple[str, ...]  # what pretrainings had that other seeds had not

    def counts(self, kind: str) -> dict[str, int]:
        """How many jobs of a kind are in each state."""
        found = Counter(state.word for job, state in self.jobs if job.kind == kind)
        return {word: found[word] for word in WORDS}

    def finished(self, kind: str, word: str = DONE) -> tuple[int, float]:
        """Number and hours of the results of a kind in a state."""
        seconds = [
            state.seconds
            for job, state in self.jobs
            if job.kind == kind and state.word == word and state.seconds is not None
        ]
        return len(seconds), sum(seconds) / 3600


def status(study: str, table: str | None = None) -> Status:
    """The status of a study, or of one of its tables.

    Every result is read and its digests checked.
    """
    states = States()
    roots = [cell_job(cell) for cell in study_cells(study, table)]
    jobs = with_needs(roots)
    return Status(
        study=load_study(study),
        cells=tuple((job, cell_state(states, job)) for job in roots),
        jobs=tuple((job, states.of(job)) for job in jobs),
        unused=() if table else tuple(_unused(study)),
        outside=tuple(_outside(jobs)),
    )


def _outside(jobs: Iterable[Job]) -> Iterable[str]:
    """The warnings of the pretrainings among the jobs."""
    for job in jobs:
        if isinstance(job.config, PretrainConfig):
            yield from (f"{job.name}: {line}" for line in warnings_of(job.config))


def status_of(target: str) -> Status:
    """The status of a study, of `<study>/<table>`, or of a table of the paper's study."""
    if target in study_names():
        return status(target)
    try:
        return status(*parse_target(target))
    except ConfigError as error:
        if "/" in target:
            raise
        known = instead(target, [*study_names(), *table_names(paths.MAIN_STUDY)])
        raise ConfigError(f"'{target}' is no study or table: {known}") from error


def _unused(study: str) -> Iterable[tuple[str, float]]:
    """Whole results below `results/<study>/runs` that no cell of the study rests on."""
    wanted = {job.target for job in with_needs(map(cell_job, asked_cells(study)))}
    for path in sorted((paths.RESULTS / study / "runs").glob("*/*/*/seed*/*/metrics.json")):
        if path not in wanted:
            kind = PRETRAIN if path.parent.name == PRETRAIN else PROBE
            try:
                seconds = read_result(path, kind, check_files=False)["wall_seconds"]
            except CheckpointError:
                continue  # nothing is lost that could be read
            yield _name(path), seconds


def _name(path: Path) -> str:
    return f"{Run.parse(str(path)).name}/{path.parent.name}"
