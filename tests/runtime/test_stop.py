"""Signals at any moment of a job's life: 75 and nothing lost, or a result that is whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Job
from small_study import REPO, edit_study, tiny_run

from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.runtime.stop import STOP_SIGNALS
from patchvae.study import paths
from patchvae.study.runs import Run, resolve_run
from patchvae.training.pretrain import pretrain

RANDOM = "tiny/parts32/random/plain/seed0"


def weights(folder: Path) -> bytes:
    return (folder / paths.MODEL).read_bytes()


@pytest.mark.parametrize(
    ("command", "function", "number"),
    [
        ("pretrain", "patchvae.training.job.open_dataset", signal.SIGTERM),
        ("pretrain", "patchvae.training.pretrain.build", signal.SIGUSR1),
        ("pretrain", "patchvae.training.pretrain.load_images", signal.SIGINT),
        ("pretrain", "patchvae.training.loop.Loop.resume", signal.SIGTERM),
        ("probe", "patchvae.training.probe.load_trunk", signal.SIGINT),
        ("probe", "patchvae.training.features.cache", signal.SIGTERM),
    ],
)
def test_a_signal_before_the_first_step_stops_with_75(
    command: str, function: str, number: signal.Signals, project: Path, parts_root: Path
) -> None:
    if command == "probe":
        pretrain(resolve_run(Run.parse(RANDOM)), Options(device="cpu", data=parts_root))
        arguments = ("probe", RANDOM, "conv5")
    else:
        arguments = ("pretrain", tiny_run("beta-vae").name)
    job = Job(project, *arguments, "--data", str(parts_root), blocked_in=function)
    assert job.signal_when_blocked(number) == 75, job.text()
    (line,) = job.text().splitlines()
    assert f"stopped by {number.name} before the first step: nothing is lost" in line
    assert not list(project.glob("results/*/state/**/*.pt"))
    assert not list(project.glob("results/tiny/locks/*.lock"))
    assert not list(project.glob("results/tiny/failed/**/*.json"))


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_as_soon_as_the_command_runs_stops_with_75(
    number: signal.Signals, project: Path, parts_root: Path
) -> None:
    """A process of its own, signalled amid its imports as soon as it handles the signal."""
    command = [sys.executable, "-m", "patchvae", "pretrain", RANDOM, "--data", str(parts_root)]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(REPO)}, stderr=subprocess.PIPE, text=True
    )
    status = Path(f"/proc/{process.pid}/status")
    while not caught(status.read_text()) >> (signal.SIGTERM - 1) & 1:
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(0.05)  # until the other two are handled as well
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert f"stopped by {number.name} before the first step" in errors
    assert not Run.parse(RANDOM).pretrain.exists()


def caught(status: str) -> int:
    """The mask of the signals that a process handles, from /proc."""
    return next(int(line.split()[1], 16) for line in status.splitlines() if "SigCgt" in line)


def test_a_signal_amid_the_last_epochs_end_leaves_a_state_and_no_result(
    project: Path, parts_root: Path
) -> None:
    edit_study("epochs: 2", "epochs: 1")
    edit_study("snapshots: 1", "snapshots: 0")
    run = tiny_run("beta-vae")
    disturbed = project / "disturbed"
    disturbed.mkdir()
    (disturbed / "config").symlink_to(project / "config")
    arguments = ("pretrain", run.name, "--data", str(parts_root))
    job = Job(disturbed, *arguments, blocked_in="patchvae.training.loop.Loop.end_epoch")
    assert job.signal_when_blocked(signal.SIGTERM) == 75, job.text()
    assert "stopped by SIGTERM with its state saved" in job.text()
    assert not (disturbed / run.pretrain).exists()
    assert Job(disturbed, *arguments).wait() == 0
    pretrain(resolve_run(run), Options(device="cpu", data=parts_root))
    assert weights(disturbed / run.pretrain) == weights(run.pretrain)


@pytest.mark.parametrize("model", ["beta-vae", "random"])
def test_a_result_that_is_being_written_is_written_whole(
    model: str, project: Path, parts_root: Path
) -> None:
    """Exit code 0: with 75 Snakemake would delete what is done and do it again."""
    run = tiny_run(model)
    job = Job(
        project, "pretrain", run.name, "--data", str(parts_root),
        blocked_in="patchvae.training.job.write_history",
    )  # fmt: skip
    assert job.signal_when_blocked(signal.SIGTERM) == 0, job.text()
    read_result(run.pretrain / paths.METRICS, "pretrain")
    assert not list(project.glob("results/*/state/**/*.pt"))
