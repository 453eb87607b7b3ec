"""The Slurm commands that the cluster tests use."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What Slurm says of one job; `state` is GONE once Slurm has forgotten it."""

    state: str
    reason: str
    restarts: int


class Slurm:
    """The few Slurm commands that the tests use; every wait has a limit."""

    def __init__(self) -> None:
        self.submitted: list[str] = []

    def command(self, *args: str) -> str:
        """Run a Slurm command, return its output, fail the test with its error otherwise."""
        done = subprocess.run(args, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(args)}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, script: str, log: Path, *options: str) -> str:
        """Submit a bash script; return its job id."""
        body = log.with_suffix(".sh")
        body.write_text(f"#!/bin/bash\n{script}\n")
        jobid = self.command("sbatch", "--parsable", f"--output={log}", *options, str(body))
        self.submitted.append(jobid)
        return jobid

    def job(self, jobid: str) -> Job:
        """The job as `scontrol` shows it."""
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", jobid],
            capture_output=True,
            text=True,
            timeout=60,
        )
        facts = dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
        if not facts:
            return Job("GONE", "", 0)
        return Job(facts["JobState"], facts["Reason"], int(facts["Restarts"]))

    def wait(self, jobid: str, *states: str, seconds: float = 60) -> Job:
        """Wait until the job is in one of these states; fail the test after the limit."""
        end = time.monotonic() + seconds
        while (job := self.job(jobid)).state not in states:
            assert time.monotonic() < end, f"job {jobid} is {job} after {seconds} s, not {states}"
            time.sleep(0.3)
        return job

    def wait_for_reason(self, jobid: str, reason: str, seconds: float = 30) -> None:
        """Wait until the job is pending for this reason."""
        end = time.monotonic() + seconds
        while (job := self.job(jobid)) != Job("PENDING", reason, job.restarts):
            assert time.monotonic() < end, f"job {jobid} is {job} after {seconds} s, not {reason}"
            time.sleep(0.3)

    def wait_for_text(self, path: Path, text: str, seconds: float = 60) -> str:
        """Wait until the file contains the text; return all of it."""
        end = time.monotonic() + seconds
        while text not in (found := path.read_text() if path.exists() else ""):
            assert time.monotonic() < end, f"{path.name} lacks {text!r} after {seconds} s: {found}"
            time.sleep(0.2)
        return found

    def cancel_all(self) -> None:
        """Cancel what this test submitted and wait until the GPUs are free again."""
        if self.submitted:
            self.command("scancel", *self.submitted)
        for jobid in self.submitted:
            self.wait(jobid, "CANCELLED", "COMPLETED", "FAILED", "TIMEOUT", "GONE")
        self.submitted.clear()
