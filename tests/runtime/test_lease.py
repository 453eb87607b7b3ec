"""Leases of pretended GPUs, held by real processes: no GPU has too many jobs, none stands idle."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from small_study import tiny_run

from patchvae.runtime.lease import SHARED, gpus

PATIENCE = 60.0  # seconds until a test gives a process up
# leases, writes what it sees into its file, and ends when the file is gone
JOB = """
import os, sys, time
from patchvae.runtime.lease import lease_gpus
lease_gpus(int(sys.argv[2]))
with open(sys.argv[1] + "-", "w") as file:
    file.write(os.environ["CUDA_VISIBLE_DEVICES"])
os.rename(sys.argv[1] + "-", sys.argv[1])
while os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""
Start = Callable[..., "Holder"]


def wait_until(reached: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


class Holder:
    """A process that leases GPUs."""

    def __init__(self, file: Path, devices: list[str], count: int, env: dict[str, str]) -> None:
        self.file = file
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(file), str(count)],
            env={**os.environ, SHARED: ",".join(devices), **env},
        )

    def sees(self) -> list[str]:
        """Its GPUs; none while it waits or once it has ended."""
        if self.process.poll() is not None or not self.file.exists():
            return []
        return self.file.read_text().split(",")

    def wait(self) -> list[str]:
        """Its GPUs, once it has them."""
        wait_until(self.sees)
        return self.sees()

    def end(self) -> None:
        self.file.unlink()
        assert self.process.wait(PATIENCE) == 0


@pytest.fixture
def devices() -> list[str]:
    """Three names that no other test has."""
    return [f"{os.getpid()}-{time.monotonic_ns()}-{letter}" for letter in "abc"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a holder; those that still run are killed after the test."""
    started: list[Holder] = []

    def holder(devices: list[str], count: int = 1, **env: str) -> Holder:
        started.append(Holder(tmp_path / f"job{len(started)}", devices, count, env))
        return started[-1]

    yield holder
    for one in started:
        one.process.kill()
        one.process.wait()


def load(jobs: list[Holder]) -> Counter[str]:
    """Jobs on each GPU."""
    return Counter(device for job in jobs for device in job.sees())


def test_a_gpu_never_has_more_jobs_than_it_may_and_none_is_idle_while_jobs_wait(
    devices: list[str], start: Start
) -> None:
    jobs = [start(devices, PATCHVAE_RUNS_PER_GPU="2") for _ in range(10)]
    full = dict.fromkeys(devices, 2)
    for _ in range(4):  # as many wait
        wait_until(lambda: load(jobs) == full)
        next(job for job in jobs if job.sees()).end()
    wait_until(lambda: load(jobs) == full)
    assert sum(job.process.poll() is None for job in jobs) == 6
    assert max(load(jobs).values()) == 2


def test_a_few_jobs_spread_over_the_gpus(devices: list[str], start: Start) -> None:
    jobs = [start(devices, PATCHVAE_RUNS_PER_GPU="4") for _ in range(6)]
    for job in jobs:
        job.wait()
    assert load(jobs) == dict.fromkeys(devices, 2)
    first = next(job for job in jobs if job.sees() == devices[:1])
    first.end()
    assert start(devices, PATCHVAE_RUNS_PER_GPU="4").wait() == devices[:1]


def test_the_lease_of_a_killed_job_is_free_at_once(devices: list[str], start: Start) -> None:
    holder = start(devices[:1])
    holder.wait()
    waiting = start(devices[:1])
    time.sleep(1.0)
    assert not waiting.sees()
    holder.process.kill()
    killed = time.monotonic()
    assert waiting.wait() == devices[:1]
    assert time.monotonic() - killed < 2.0


def test_one_killed_while_it_waits_keeps_nobody_from_a_gpu(
    devices: list[str], start: Start
) -> None:
    holder = start(devices[:1])
    holder.wait()
    waiting = [start(devices[:1]) for _ in range(3)]
    time.sleep(1.0)  # one of them has the turn
    for job in waiting[:2]:
        job.process.kill()
        job.process.wait()
    holder.end()
    assert waiting[2].wait() == devices[:1]


def test_jobs_that_need_several_gpus_get_them_in_turn(devices: list[str], start: Start) -> None:
    pair, alone = devices[:2], [start(devices[:2]) for _ in range(2)]
    for job in alone:
        job.wait()
    several = [start(pair, 2) for _ in range(2)]
    late = [start(pair) for _ in range(2)]
    for job in alone:
        job.end()
    waiting = [*several, *late]
    while waiting:
        wait_until(partial(load, waiting))
        time.sleep(0.3)
        assert max(load(waiting).values()) == 1
        for job in [job for job in waiting if job.sees()]:
            assert len(job.sees()) == (2 if job in several else 1)
            job.end()
            waiting.remove(job)


def test_each_slurm_job_has_its_own_gpu_0(devices: list[str], start: Start) -> None:
    """Slurm may call a different GPU 0 in each of its jobs."""
    jobs = [start(devices[:1], SLURM_JOB_ID=number) for number in ("7", "8")]
    assert [job.wait() for job in jobs] == [devices[:1]] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_training_with_a_lease_never_runs_on_the_cpu_unasked(
    devices: list[str], project: Path
) -> None:
    command = [sys.executable, "-m", "patchvae", "pretrain", tiny_run("beta-vae").name]
    env = {**os.environ, SHARED: ",".join(devices)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert f"given a GPU (CUDA_VISIBLE_DEVICES={devices[0]}), but PyTorch sees none" in done.stderr
    several = [*command, "--gpus", "4", "--device", "cpu"]
    done = subprocess.run(several, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "a training on 4 GPUs (gpus_per_run) does not fit here, where 3 are" in done.stderr


LISTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-aaaa-bbbb-cccc-222222222222)
  MIG 3g.20gb     Device  0: (UUID: MIG-33333333-aaaa-bbbb-cccc-444444444444)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-55555555-aaaa-bbbb-cccc-666666666666/2/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-77777777-aaaa-bbbb-cccc-888888888888)
"""


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, ["MIG-33333333-aaaa-bbbb-cccc-444444444444",
                "MIG-GPU-55555555-aaaa-bbbb-cccc-666666666666/2/0",
                "GPU-77777777-aaaa-bbbb-cccc-888888888888"]),
        ("0, 2,0", ["0", "2"]),
        ("GPU-7777", ["GPU-7777"]),
        ("", []),
        ("-1", []),
    ],
)  # fmt: skip
def test_gpus_are_those_that_cuda_may_use(
    visible: str | None, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program prints what nvidia-smi prints of one whole GPU and one cut into MIG devices."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTED}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == found
