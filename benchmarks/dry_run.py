"""Claim: planning the paper study, five seeds and 1,022 jobs, takes 4.8 CPU seconds, 4.9 in all.

Medians, n = 3, one core of an AMD EPYC with other work beside it, Python 3.11.7, snakemake 9.27.1,
2026-11-22:

    python benchmarks/dry_run.py

Each is a process of its own, `snakemake --dry-run --forceall all` from the repository's root, so
that it does not matter what is on disk. Wall time is longer where other work fills the cores.
"""

import argparse
import re
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from statistics import median

from patchvae.runtime.machine import provenance

COMMAND = ("snakemake", "--dry-run", "--forceall", "--quiet", "rules", "--")


def dry_run(target: str) -> tuple[int, float, float]:
    """Jobs planned, CPU seconds and wall seconds of one dry run."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *COMMAND, target], capture_output=True, text=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    totals = re.findall(r"^total +(\d+)$", done.stdout + done.stderr, re.M)
    if done.returncode or not totals:
        sys.exit(f"{' '.join(COMMAND)} {target} failed:\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(totals[-1]), cpu, wall


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", default="all")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    found = [dry_run(options.target) for _ in range(options.repeat)]
    jobs = found[0][0]
    cpu, wall = (median(run[which] for run in found) for which in (1, 2))
    host = provenance("")["host"]
    print(f"# {host['cpu']}, snakemake {version('snakemake')}, n = {options.repeat}")
    print(f"{options.target}: {jobs} jobs planned in {cpu:.1f} s CPU, {wall:.1f} s wall (medians)")


if __name__ == "__main__":
    main()
