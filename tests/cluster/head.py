"""A head process, `snakemake --profile slurm TARGET`, that tests watch while its jobs run."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from checkout import Checkout, copy_project
from small_study import REPO

PATIENCE = 300.0  # seconds until a test gives a head process up
LONG = """
study: long
title: a test with time for interruptions
seeds: [0]
datasets: {parts32: {train: 64, test: 100}}
protocol:
  pretrain: {epochs: 24, batch_size: 8}
tables: {}
"""


def make_checkout(folder: Path, data: Path) -> Checkout:
    """A copy of the project with the users' profile, and trainings that save every half second."""
    folder.mkdir(exist_ok=True)
    copy_project(folder)
    shutil.copytree(REPO / "slurm", folder / "slurm")
    (folder / "config" / "long.yaml").write_text(LONG)
    checkout = Checkout(folder, data)
    checkout.env["PATCHVAE_POLL"] = "3"
    checkout.env["PATCHVAE_DEVICE"] = "cpu"  # its GPUs are pretended: auto would refuse
    checkout.edit(
        "patchvae/training/commands.py",
        '"--save-every", default=300.0',
        '"--save-every", default=0.5',
    )
    fewer = "{datasets: [parts32], without: [beta_vis=0.3]}"
    checkout.edit("config/tiny.yaml", "{datasets: [parts32]}", fewer)
    return checkout


class Head:
    """The head process of some targets; its output gathers in a file."""

    def __init__(self, checkout: Checkout, *arguments: str, **env: str) -> None:
        self.output = checkout.folder / "head.log"
        command = (sys.executable, "-m", "snakemake", "--profile", "slurm", "--verbose", *arguments)
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=checkout.folder, env={**checkout.env, **env},
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def text(self) -> str:
        return self.output.read_text()

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """End it as Ctrl-C does, which cancels its jobs; nothing if it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)

    def job_ids(self) -> list[str]:
        """Slurm's ids of the jobs submitted so far."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.text())

    def asked(self) -> list[dict[str, str]]:
        """The options of every sbatch call so far, by name."""
        return [_options(call) for call in re.findall(r"^sbatch call: (.*)$", self.text(), re.M)]

    def wait_for_job(self, number: int = 1) -> str:
        """The id of the job that is submitted as the `number`th, once it is."""
        end = time.monotonic() + PATIENCE
        while len(ids := self.job_ids()) < number:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.2)
        return ids[number - 1]


def _options(call: str) -> dict[str, str]:
    """`--mem 8000 --gpus=1 -t 60` as {"--mem": "8000", "--gpus": "1", "-t": "60"}."""
    words = shlex.split(call)[1:]
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("-"):
            name, _, value = word.partition("=")
            found[name] = value or ("" if following.startswith("-") else following)
    return found


def wait_for_states(folder: Path, at_least: int = 1) -> None:
    """Wait until a training in the folder has saved a state after so many steps."""
    end = time.monotonic() + PATIENCE
    states = "results/*/state/**/*.pt"
    while max((int(p.name[:10]) for p in folder.glob(states)), default=0) < at_least:
        assert time.monotonic() < end, f"no state after {PATIENCE} s in {os.listdir(folder)}"
        time.sleep(0.1)
