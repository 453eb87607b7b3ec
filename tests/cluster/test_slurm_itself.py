"""The one-machine Slurm behaves like a cluster where the other cluster tests rely on it."""

import sys
from pathlib import Path

import pytest
from slurm_commands import Slurm

pytestmark = pytest.mark.slurm

GPU_JOB = ("--gpus=1", "--mem=100")


def test_two_gpu_jobs_get_different_devices_and_a_third_waits(slurm: Slurm, tmp_path: Path) -> None:
    script = 'echo "device=$CUDA_VISIBLE_DEVICES."; sleep 120'
    logs = [tmp_path / f"{name}.log" for name in ("first", "second")]
    first, second = (slurm.submit(script, log, *GPU_JOB) for log in logs)
    seen = {slurm.wait_for_text(log, ".\n").strip() for log in logs}
    assert seen == {"device=0.", "device=1."}

    third_log = tmp_path / "third.log"
    third = slurm.submit(script, third_log, *GPU_JOB)
    slurm.wait_for_reason(third, "Resources")
    slurm.command("scancel", second)
    slurm.wait_for_text(third_log, ".\n")
    assert slurm.job(first).state == "RUNNING"


def test_gres_is_an_equal_way_to_ask_for_a_gpu(slurm: Slurm, tmp_path: Path) -> None:
    log = tmp_path / "gres.log"
    slurm.submit('echo "device=$CUDA_VISIBLE_DEVICES."', log, "--gres=gpu:1", "--mem=100")
    assert slurm.wait_for_text(log, ".\n").strip() in {"device=0.", "device=1."}


def test_requeue_starts_the_job_again_under_its_id(slurm: Slurm, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    script = 'echo "life ${SLURM_RESTART_COUNT:-0}."; [ -n "$SLURM_RESTART_COUNT" ] || sleep 120'
    job = slurm.submit(script, log, "--requeue", "--open-mode=append", *GPU_JOB)
    slurm.wait_for_text(log, "life 0.")
    slurm.command("scontrol", "requeue", job)
    assert slurm.wait(job, "COMPLETED").restarts == 1
    assert "life 1." in log.read_text()


TWO_LIVES = """
import os, signal, sys, time
print("start", flush=True)
if "SLURM_RESTART_COUNT" in os.environ:
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM", flush=True))
for _ in range(1200):
    time.sleep(0.1)
"""


def test_a_preempted_step_sees_sigterm_and_its_job_runs_again(slurm: Slurm, tmp_path: Path) -> None:
    program, log = tmp_path / "two_lives.py", tmp_path / "low.log"
    program.write_text(TWO_LIVES)
    low = slurm.submit(
        f"exec srun --ntasks=1 {sys.executable} {program}",
        log,
        *("--partition=preempt", "--requeue", "--open-mode=append", *GPU_JOB),
    )
    slurm.wait_for_text(log, "start\n")
    high_log = tmp_path / "high.log"
    slurm.submit("echo preempted; sleep 1", high_log, "--partition=gpu", "--gpus=2", "--mem=100")

    slurm.wait_for_text(log, "SIGTERM\n", seconds=30)
    assert not high_log.exists(), "the preempting job must wait for the grace time"
    # Slurm looks for expired grace times every 30 s.
    slurm.wait_for_text(high_log, "preempted", seconds=90)
    assert slurm.wait(low, "COMPLETED", seconds=90).restarts == 1
    assert log.read_text().count("start\n") == 2
