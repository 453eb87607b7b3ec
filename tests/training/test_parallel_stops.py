"""Trainings of two processes under torchrun, stopped and killed: gloo on the CPU, real signals."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from processes import PATIENCE, Job
from small_study import edit_study, tiny_run

from patchvae.runtime.launch import _common_exit
from patchvae.study import paths
from patchvae.study.runs import Run


@pytest.fixture
def run(project: Path) -> Run:
    """A run of the tiny study by two processes."""
    edit_study("test: 40}", "test: 40, gpus_per_run: 2}")
    edit_study("epochs: 2", "epochs: 6")
    return tiny_run("patchvae")


def weights(folder: Path, run: Run) -> dict[str, bytes]:
    names = (paths.ENCODER, paths.MODEL)
    return {name: (folder / run.pretrain / name).read_bytes() for name in names}


def workers(job: Job) -> dict[int, psutil.Process]:
    """The processes of a running training by rank."""
    children = psutil.Process(job.process.pid).children()
    return {int(child.environ()["RANK"]): child for child in children}


def to_parent(number: signal.Signals) -> Callable[[Job], None]:
    def send(job: Job) -> None:
        assert job.process.pid is not None
        os.kill(job.process.pid, number)

    return send


def to_worker(rank: int, number: signal.Signals) -> Callable[[Job], None]:
    return lambda job: workers(job)[rank].send_signal(number)


def test_stopped_and_killed_it_ends_as_if_undisturbed(
    project: Path, run: Run, parts_root: Path
) -> None:
    """SIGTERM to torchrun's parent, as Slurm does; to one worker; SIGKILL of one; then on."""
    arguments = ("pretrain", run.name, "--device", "cpu", "--data", str(parts_root))
    undisturbed = Job(project, *arguments)
    disturbed = project / "disturbed"
    disturbed.mkdir()
    (disturbed / "config").symlink_to(project / "config")
    for send, code in (
        (to_parent(signal.SIGTERM), 75),
        (to_worker(1, signal.SIGTERM), 75),
        (to_worker(1, signal.SIGKILL), 1),
        (to_worker(0, signal.SIGKILL), 1),
    ):
        job = Job(disturbed, *arguments, "--save-every", "0")
        assert job.do_at(1, send) == code, job.text()
        assert not (disturbed / run.pretrain).exists()
        assert no_worker_left(disturbed)
    last = Job(disturbed, *arguments)
    assert last.wait() == 0, last.text()
    assert last.text().count("continuing at epoch") == 4
    assert last.text().count("stopped by") >= 2
    for rank in range(2):
        assert f"process {rank} of the training was killed by SIGKILL" in last.text()
    assert "lost another one" in last.text()
    assert "Traceback" not in last.text()
    assert undisturbed.wait() == 0, undisturbed.text()
    assert weights(disturbed, run) == weights(project, run)
    assert not list(disturbed.glob("results/*/state/**/*.pt"))
    assert not list(disturbed.glob("results/*/failed/**/*.json"))


@pytest.mark.parametrize(
    ("ended", "code"),
    [({0: 75}, 75), ({1: 75, 0: 1}, 75), ({0: 1}, 1), ({0: 1, 1: 7}, 7), ({0: 75, 1: 4}, 4),
     ({1: -signal.SIGTERM}, 75), ({0: 1, 1: -signal.SIGUSR1}, 75)],
)  # fmt: skip
def test_the_exit_code_is_that_which_says_most(ended: dict[int, int], code: int) -> None:
    assert _common_exit(ended) == code


def no_worker_left(folder: Path) -> bool:
    """Whether no process works in the folder any more, within a moment."""
    end = time.monotonic() + PATIENCE
    while any(works_in(process, folder) for process in psutil.process_iter()):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder)
    except psutil.Error:
        return False
