"""Slurm beside its plugin: is it there, what did killed heads leave, who was preempted."""

import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress

from patchvae.errors import ConfigError, LockedError, ResourceError
from patchvae.runtime.heads import others_live
from patchvae.runtime.progress import log

PATIENCE = 60.0  # seconds until a controller that says nothing counts as down
PREFIX = "patchvae_"  # of the names of our jobs: `slurm-jobname-prefix` in slurm/config.yaml
LOOK = 30.0  # seconds between two looks for preempted jobs


def check_slurm(arrays: str | None) -> None:
    """ResourceError in one line where Slurm is not installed or its controller does not answer.

    Otherwise each job would fail by itself, and be tried again. LockedError where jobs of a head
    that was killed are still there: they would meet ours at the locks of the runs. ConfigError
    where rules are named whose jobs shall be `arrays`, which lose results.
    """
    if arrays:
        raise ConfigError(
            "--slurm-array-jobs loses results: Slurm's plugin for Snakemake lets a task that fails"
            " delete what the first of its array has made: start without it; where the cluster"
            " wants few jobs, scripts/slurm-packed.sh has many trainings in one"
        )
    if missing := [name for name in ("sbatch", "squeue") if shutil.which(name) is None]:
        raise ResourceError(
            f"Slurm's {' and '.join(missing)} not found on this machine: start on a login node of"
            " the cluster, or without --profile slurm"
        )
    if (earlier := our_jobs()) and not others_live():
        raise LockedError(
            "jobs of an earlier start in this folder are still in Slurm's queue: start again when"
            f" they have ended (squeue --jobs {','.join(earlier)}), or end them first, which saves"
            f" the state of their trainings: scancel {' '.join(earlier)}"
        )


def our_jobs(*options: str) -> list[str]:
    """The ids of this folder's jobs that squeue lists with these options, of any head.

    ResourceError where it does not answer.
    """
    asked = ["squeue", "--me", "--noheader", "--format=%i|%j|%Z", *options]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE, check=False)
        said = done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        said = [f"no answer within {PATIENCE:.0f} s"]
    else:
        if done.returncode == 0:
            jobs = [line.strip().split("|", 2) for line in done.stdout.splitlines()]
            here = os.getcwd()
            return [job for job, name, folder in jobs if name.startswith(PREFIX) and folder == here]
    raise ResourceError(
        f"Slurm does not answer ({' '.join(said[-1:])}): no job was submitted; start again when"
        " `squeue --me` works"
    )


def requeue_preempted() -> None:
    """Put this folder's preempted jobs back into Slurm's queue, from a thread.

    With PreemptMode=CANCEL Slurm does not, and the plugin waits for ever: it takes `PREEMPTED` for
    a job that Slurm will start again. Such a job goes on under its id, from its saved state.
    """
    threading.Thread(target=_requeue_preempted, daemon=True).start()


def _requeue_preempted() -> None:
    refused: set[str] = set()
    while True:
        time.sleep(LOOK)
        with suppress(ResourceError):  # the plugin asks too, and says so
            for job in set(our_jobs("--states=PREEMPTED")) - refused:
                asked = ["scontrol", "requeue", job]
                done = subprocess.run(asked, capture_output=True, text=True, check=False)
                if done.returncode == 0:
                    log(f"Slurm job {job} was preempted: queued again")
                    continue
                refused.add(job)
                log(
                    f"Slurm job {job} was preempted and cannot be queued again"
                    f" ({done.stderr.strip()}): end this head with Ctrl-C and start it again"
                )
