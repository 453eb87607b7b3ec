"""Published cells computed again in a folder of their own, by the jobs that the workflow runs."""

import random
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.analysis.cells import read_cell, sample_of, summarise
from patchvae.analysis.verification import Verification, verify
from patchvae.data.store import data_root
from patchvae.errors import ConfigError, DataError, SuiteError
from patchvae.planning.jobs import PREPARE, Job, training_job, with_needs
from patchvae.planning.states import DONE, States
from patchvae.report.publish import job_record
from patchvae.report.published import read_jobs
from patchvae.runtime.launch import child_environment, pass_on
from patchvae.runtime.progress import log
from patchvae.runtime.stop import STOP_SIGNALS
from patchvae.study import paths
from patchvae.study.runs import ProbeConfig
from patchvae.study.tables import Cell, parse_cell, study_cells

SCRATCH = Path("verify")
# what decides digits; two machines that agree in these are expected to give the same bytes
DECIDING = ("device", "cpu", "threads", "processes", "deterministic", "graphs", "torch", "numpy")
MACHINE = (*DECIDING, "cores", "system", "python", "patchvae-repro", "commit", "dirty")
ERRORS = {kind.exit_code: kind for kind in SuiteError.__subclasses__()}


@dataclass(frozen=True)
class Again:
    """A cell computed again: the judgement, what made it then and now, and when it was done.

    `seconds` are those of the jobs behind it, some of which other cells may share.
    """

    cell: Cell
    found: Verification
    then: Mapping[str, str]
    now: Mapping[str, str]
    same_code: bool
    seconds: float
    ended: str

    @property
    def differences(self) -> dict[str, tuple[str, str]]:
        """What is not the same on the two machines, then and now."""
        both = {name: (self.then.get(name, ""), self.now.get(name, "")) for name in MACHINE}
        return {name: values for name, values in both.items() if values[0] != values[1]}

    @property
    def alike(self) -> bool:
        """Whether nothing known to decide digits differs, so that the same bytes are expected."""
        return self.same_code and not set(self.differences) & set(DECIDING)


def choose(study: str, root: Path, names: Sequence[str], count: int, seed: int) -> list[Cell]:
    """The named cells, or `count` of the published ones, chosen at random by `seed`.

    ConfigError where nothing is published.
    """
    if names:
        return [parse_cell(f"{study}/{name}") for name in names]
    cells = [cell for cell in study_cells(study) if (root / cell.path).exists()]
    if not cells:
        raise ConfigError(f"{root / paths.RESULTS / study} has no cells: name a published study")
    return random.Random(seed).sample(cells, min(count, len(cells)))


def retrain(
    cell: Cell, root: Path, folder: Path, runs: int, data: Path | None, options: Mapping[str, Any]
) -> Again:
    """Compute a cell's first `runs` seeds again below `folder` and judge them.

    What an interrupted call left there is used. `options` go to the jobs as they are; the threads
    are the published ones unless among them. CheckpointError when the cell was published with
    another configuration, DataError when the images prepared here are others, and a job's own
    error.
    """
    document = read_cell(cell, root)
    known = {probe.run.seed: probe for probe in cell.probes()}
    probes = [known[seed] for seed in document["seeds"][:runs]]
    jobs = read_jobs(cell.study.name, root)
    then = _environment([jobs[job] for job in map(_key, _trained(probes)) if job in jobs])
    threads = int(then.get("threads") or 1) * int(then.get("processes") or 1)
    given = {"data": (data or data_root()).resolve()}
    with inside(folder):
        for job in with_needs(map(training_job, probes)):
            if States().of(job).word != DONE:
                _run(
                    job, given if job.kind == PREPARE else {"threads": threads, **given, **options}
                )
        again = summarise(cell, probes=probes)
        records = [job_record(job.target.parent, job.kind) for job in _trained(probes)]
    if again["data_digest"] != document["data_digest"]:
        raise DataError(
            f"{cell.name} was published with other images of {cell.dataset} than are prepared in"
            f" {given['data']}: prepare those it names, or publish it again"
        )
    return Again(
        cell=cell,
        found=verify(sample_of(document), sample_of(again), document["n_test"]),
        then=then,
        now=_environment(records),
        same_code=again["source_digest"] == document["source_digest"],
        seconds=sum(record["seconds"] for record in records),
        ended=max(record["ended"] for record in records),
    )


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Within the block `folder`, with the present config/ where one is, is the current one."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / paths.CONFIG, ignore_errors=True)
    if paths.CONFIG.is_dir():
        shutil.copytree(paths.CONFIG, folder / paths.CONFIG)
    with chdir(folder):
        yield


def _trained(probes: Sequence[ProbeConfig]) -> list[Job]:
    return [job for job in with_needs(map(training_job, probes)) if job.config is not None]


def _key(job: Job) -> tuple[str, str]:
    """A job as published/ names it."""
    assert job.config is not None
    return job.config.run.name, job.target.parent.name


def _environment(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The values that the jobs have, each once."""
    return {
        name: ", ".join(sorted({str(record[name]) for record in records if name in record}))
        for name in MACHINE
    }


def _run(job: Job, options: Mapping[str, Any]) -> None:
    """A job's command in a process of its own; its error is raised, its output is in its log."""
    log(f"verify: {job.command}")
    command = [sys.executable, "-m", "patchvae", *shlex.split(job.command)[1:]]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=child_environment())
    with _passing_signals_on():
        code = process.wait()
    if code:
        *_, last = ["", *job.log.read_text(encoding="utf-8").splitlines()]
        line = last.removeprefix("patchvae: error: ")
        raise ERRORS.get(code, SuiteError)(f"{job.name}: {line} ({job.log.resolve()})")


@contextmanager
def _passing_signals_on() -> Iterator[None]:
    """Within the block a request to stop reaches the job, which saves its state and ends."""
    before = {number: signal.signal(number, pass_on) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
