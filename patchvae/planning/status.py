"""How far a study is.

Every cell and job with its state, and what an edit would cost or has cost.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchvae.errors import CheckpointError
from patchvae.planning.jobs import (
    KINDS,
    PRETRAIN,
    PROBE,
    REPORT,
    TABLE,
    TRAINED,
    Job,
    cell_job,
    with_needs,
)
from patchvae.planning.states import DONE, FAILED, STALE, WORDS, State, States, cell_state
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.runs import Run
from patchvae.study.tables import study_cells

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {DONE: "green", FAILED: "bold red", STALE: "yellow", "running": "cyan"}


@dataclass(frozen=True)
class Status:
    """The cells asked for, all jobs behind them, and finished trainings that no table asks for."""

    study: str
    cells: tuple[tuple[Job, State], ...]
    jobs: tuple[tuple[Job, State], ...]
    unused: tuple[tuple[str, float], ...]  # run or probe, seconds that it took

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
        study=study,
        cells=tuple((job, cell_state(states, job)) for job in roots),
        jobs=tuple((job, states.of(job)) for job in jobs),
        unused=() if table else tuple(_unused(study, jobs)),
    )


def _unused(study: str, jobs: Iterable[Job]) -> Iterable[tuple[str, float]]:
    """Whole results below `results/<study>/runs` that none of the jobs makes."""
    wanted = {job.target for job in jobs}
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


def show(result: Status, console: "Console") -> None:
    """Counts by kind of job, the cost of what is stale and of what is done, then each cell."""
    from rich.table import Column, Table

    title = f"Study {result.study}: {load_study(result.study).title}"
    grid = Table("jobs", *WORDS, "hours done", title=title)
    for kind in KINDS:
        if kind not in (TABLE, REPORT):
            counts = result.counts(kind)
            hours = f"{result.finished(kind)[1]:.2f}" if kind in TRAINED else ""
            grid.add_row(kind, *(str(counts[word] or "") for word in WORDS), hours)
    console.print(grid)
    for line in cost_lines(result):
        console.print(line, highlight=False, soft_wrap=True)
    grid = Table(Column("cell", overflow="fold"), "state", Column("why", overflow="fold"))
    for job, state in result.cells:
        grid.add_row(job.name, state.word, state.detail, style=STYLES.get(state.word, ""))
    console.print(grid)


def cost_lines(result: Status) -> list[str]:
    """What is stale and its hours, what an edit would make stale, and what no table asks for."""
    lines = []
    stale = [(job, state) for job, state in result.jobs if state.word == STALE]
    if trained := [(job, state) for job, state in stale if job.kind in TRAINED]:
        hours = sum(state.seconds or 0 for _, state in trained) / 3600
        lines.append(
            f"Stale: {len(trained)} finished trainings, which took {hours:.2f} h, will run again."
            " Undo the edit to keep them: nothing is deleted before they run."
        )
        reasons = Counter(state.detail for _, state in trained)
        lines += [f"  {count} x {reason}" for reason, count in reasons.most_common()]
    (runs, run_hours), (probes, probe_hours) = map(result.finished, TRAINED)
    if runs or probes:
        lines.append(
            f"At stake: an edit of a key of any section but `probe` costs up to"
            f" {run_hours + probe_hours:.2f} h ({runs} pretrainings and the {probes} probes on "
            "them),"
            f" one of a `probe` key up to {probe_hours:.2f} h."
        )
    if result.unused:
        hours = sum(seconds for _, seconds in result.unused) / 3600
        lines.append(
            f"On disk, asked for by no table of the study: {len(result.unused)} (which took"
            f" {hours:.2f} h)."
        )
    return lines
