"""`patchvae import`: the trainings of a crate, put where Snakemake takes them for done.

Nothing in a crate is trusted or executed. Every file must have the digest that the crate's list
gives, every result its own seal, and be what this study, this code and these images make; names
are those that the study here has; weights are opened as safetensors and must fit the network. Only
then is anything moved into place. Cells are gathered here; tables and figures are made by Snakemake
as ever. Whoever makes a crate can seal what he likes: seals show damage and mixtures, not lies
(`patchvae verify` trains again).
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from patchvae.analysis.cells import write_cell
from patchvae.errors import CheckpointError, ConfigError, LockedError, ResourceError, SuiteError
from patchvae.planning.jobs import PREPARE, Job, cell_job, parse_training, training_job, with_needs
from patchvae.planning.states import DONE, RUNNING, States
from patchvae.runtime.disk import writing
from patchvae.runtime.launch import child_environment
from patchvae.runtime.lock import locked
from patchvae.runtime.results import read_result
from patchvae.runtime.stage import lock_of
from patchvae.share.archive import Archive, opened
from patchvae.share.check import check_content
from patchvae.share.contents import files_of
from patchvae.study import paths
from patchvae.study.tables import study_cells

TRAINING = re.compile(rf"{paths.RESULTS}/[^/]+/runs/(?:[^/]+/){{5}}{re.escape(paths.METRICS)}")
BLOCK = 2**20


@dataclass(frozen=True)
class Imported:
    """What was put in place, and what was there already with the same content."""

    jobs: tuple[Job, ...]
    same: tuple[Job, ...]


def import_crate(path: Path, replace: bool = False, limit: int = 64 * 2**30) -> Imported:
    """Put a crate's trainings in place and gather their cells.

    CheckpointError, and nothing is written, when a file is missing, altered or not what the study
    here makes, or when the files take more than `limit` bytes. ConfigError when other results are
    in the way, unless `replace`; LockedError when a job is making one of them.
    """
    with opened(path) as archive, _scratch() as folder:
        digests = archive.digests()
        _bound(archive, limit, folder)
        jobs = _jobs(archive)
        wanted = {file.as_posix() for job in jobs for file in files_of(job)}
        for name, digest in digests.items():
            with writing(folder), archive.open(name) as source:
                found = _read(source, folder / name if name in wanted else None)
            if found != digest:
                raise CheckpointError(f"{path}: {name} was altered or cut short: copy it again")
        _keep_own_images(jobs, folder)
        _judge(jobs, folder, path)
        same = _there(jobs, folder, replace)
        new = [job for job in jobs if job not in same]
        for i, job in enumerate(new):
            _put(job, folder, folder / f".old-{i}")
    new += _gather(new)
    if new:
        _tell_snakemake(new)
    return Imported(tuple(new), tuple(job for job in jobs if job in same))


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder beside the results, to be renamed from, that goes away."""
    beside = paths.RESULTS if paths.RESULTS.is_dir() else Path()
    with tempfile.TemporaryDirectory(dir=beside, prefix=".import-") as folder:
        yield Path(folder)


def _bound(archive: Archive, limit: int, folder: Path) -> None:
    size, free = sum(archive.sizes.values()), shutil.disk_usage(folder).free
    if size > limit:
        raise CheckpointError(
            f"{archive.path} would be {size / 2**30:.1f} GiB: allow that with --limit if you trust"
            " its maker"
        )
    if size > free:
        raise ResourceError(f"{archive.path} takes {size:,} bytes, {free:,} are free: make room")


def _jobs(archive: Archive) -> list[Job]:
    """The trainings of a crate as the studies here name them, each after what it needs."""
    names = sorted(name for name in archive.sizes if TRAINING.fullmatch(name))
    if not names:
        raise CheckpointError(f"{archive.path} has no training: give what `patchvae export` made")
    try:
        jobs = with_needs(training_job(parse_training(str(Path(n).parent))) for n in names)
    except ConfigError as error:
        raise CheckpointError(
            f"{archive.path}: nothing was imported: {error} (the crate has its own config/, to be"
            " copied by hand)"
        ) from None
    return jobs


def _read(source: IO[bytes], target: Path | None) -> str:
    """SHA-256 of a stream, which is copied to `target` where it is wanted."""
    digest = hashlib.sha256()
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") if target is not None else nullcontext() as sink:
        while block := source.read(BLOCK):
            digest.update(block)
            if sink is not None:
                sink.write(block)
    return digest.hexdigest()


def _keep_own_images(jobs: Sequence[Job], folder: Path) -> None:
    """Where a dataset is prepared here its own stamp counts, and a crate of other images fails."""
    for job in jobs:
        if job.kind == PREPARE and job.target.exists():
            (folder / job.target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(job.target, folder / job.target)


def _judge(jobs: Sequence[Job], folder: Path, path: Path) -> None:
    """CheckpointError unless each job is done as `patchvae status` says it, and opens safely."""
    states = States(folder)
    for job in jobs:
        try:
            state = states.of(job)
            if state.word == RUNNING:
                raise LockedError(f"{job.name} is being made here: {state.detail}: wait for it")
            if state.word != DONE:
                raise CheckpointError(f"{job.name} is {state.word} by this study ({state.detail})")
            check_content(job, folder)
        except LockedError:
            raise
        except SuiteError as error:
            said = str(error).replace(f"{folder}/", "")
            raise CheckpointError(f"{path}: nothing was imported: {said}") from None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: nothing was imported: {job.name} is no result of this suite"
                f" ({type(error).__name__}: {error})"
            ) from None


def _there(jobs: Sequence[Job], folder: Path, replace: bool) -> set[Job]:
    """The jobs whose results are here already, as are those before them, since Snakemake goes by
    times; ConfigError for another result in the way.
    """
    same: set[Job] = set()
    here = States()
    for job in jobs:
        if not os.path.lexists(job.target):
            continue
        kind = "dataset" if job.kind == PREPARE else job.kind
        found = here.result(job)
        if found and found["digest"] == read_result(folder / job.target, kind)["digest"]:
            same |= {job} if same.issuperset(job.needs) else set()
        elif not replace:
            raise ConfigError(
                f"{job.target} is here with another content: give --replace to have the crate's"
            )
    return same


def _put(job: Job, folder: Path, old: Path) -> None:
    """Move a job's files into place; what was there goes to `old`."""
    if job.config is None:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / job.target, job.target)
        return
    place = job.target.parent
    with locked(lock_of(job.config)), writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            os.rename(place, old)
        os.rename(folder / place, place)


def _gather(new: Sequence[Job]) -> list[Job]:
    """Write the cells that newly lack nothing, or older than these jobs; returns them as jobs."""
    states, found = States(), []
    for study in sorted({job.config.run.study for job in new if job.config is not None}):
        for cell in study_cells(study):
            job = cell_job(cell)
            ready = all(states.of(probe).word == DONE for probe in job.needs)
            if ready and (states.of(job).word != DONE or not set(new).isdisjoint(job.needs)):
                write_cell(cell)
                found.append(job)
    return found


def _tell_snakemake(jobs: Sequence[Job]) -> None:
    """Have Snakemake record parameters and code of these files, so that a later edit of the study
    runs them again; no job is run.
    """
    targets = [str(job.target) for job in jobs]
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(paths.shipped("workflow/Snakefile")),
        "--cores", "1", "--nolock", "--touch", "--quiet", "all", "--forcerun", *targets, "--",
        *targets,
    ]  # fmt: skip
    done = subprocess.run(
        command, env=child_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        raise SuiteError(f"everything is in place, but Snakemake could not record it: {said}")
