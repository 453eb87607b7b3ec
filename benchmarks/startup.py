"""Claim: a tiny pretraining costs 2.2 CPU seconds, a probe 1.7, a cell 0.2; Snakemake 9 ms a job.

    python benchmarks/startup.py

CPU seconds (user and system) of whole processes and their children, one thread, all by turns:
Python alone, importing torch, the smallest pretraining and probe that the suite can run (one step
on 64 images of Parts-32), one cell of a table, and Snakemake with the project's own profile running
1 and 41 jobs that do nothing, whose difference is what a job costs it. Figures, hardware and n:
docs/cost.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from common import head, row, spread

from patchvae.data.store import prepare

REPO = Path(__file__).resolve().parent.parent
STUDY = """\
study: startup
title: the smallest jobs there are
seeds: [0]
datasets:
  parts32: {train: 64, test: 20}
protocol:
  pretrain: {epochs: 1, batch_size: 64}
  probe: {epochs: 1, batch_size: 64}
tables:
  table5: {datasets: [parts32]}
"""
RUN = "startup/parts32/patchvae/N16-d6-prior0.0625-bvis0.6-bapp1/seed0"
CELL = "startup/table5/beta_vis=0.6/parts32-conv5"
MANY = 40
NOTHING = """\
rule all:
    input:
        [f"done/{k}" for k in range(int(config["jobs"]))],


rule nothing:
    output:
        "done/{k}",
    shell:
        "touch {output}"
"""


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system time of a command and its children; ends here where it fails."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{log.read().decode()}")
    return used.ru_utime + used.ru_stime


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, in an order in which each finds what it needs."""
    python, suite = [sys.executable], [sys.executable, "-m", "patchvae"]
    data = ["--data", str(folder / "data")]
    snakemake = [sys.executable, "-m", "snakemake", "--profile", str(REPO / "profiles/default")]
    snakemake += ["--max-jobs-per-timespan", "1000/1s"]  # the Snakefile here does not end its waits
    return {
        "python": [*python, "-c", "pass"],
        "import torch": [*python, "-c", "import torch"],
        "pretrain": [*suite, "pretrain", RUN, *data],
        "probe": [*suite, "probe", RUN, "conv5", *data],
        "cell": [*suite, "cell", CELL],
        "snakemake, 1 job": [*snakemake, "--config", "jobs=1"],
        f"snakemake, {1 + MANY} jobs": [*snakemake, "--config", f"jobs={1 + MANY}"],
    }


def set_up(folder: Path) -> None:
    """A working folder with a study, its images, and a workflow that does nothing."""
    shutil.copytree(REPO / "config", folder / "config")
    (folder / "config" / "startup.yaml").write_text(STUDY)
    (folder / "Snakefile").write_text(NOTHING)
    prepare("parts32", root=folder / "data")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder)
        measured = commands(folder)
        found: dict[str, list[float]] = {what: [] for what in measured}
        for _ in range(chosen.rounds):
            for what, command in measured.items():
                shutil.rmtree(folder / "done", ignore_errors=True)
                found[what].append(cpu_seconds(command, folder))
    row("CPU seconds")
    for what, seconds in found.items():
        row(what, spread(seconds, ".2f"))
    one, many = (median(found[what]) for what in list(found)[-2:])
    row("snakemake, a job more", f"{(many - one) / MANY:.3f}")


if __name__ == "__main__":
    main()
