"""A copy of the project with a study small enough to run for real."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from small_study import REPO

PARTS = ("Snakefile", "workflow", "config", "profiles", "patchvae")
TINY = """
study: tiny
title: a test
seeds: [0]
datasets: {parts32: {train: 64, test: 100}}
protocol:
  pretrain: {epochs: 1, batch_size: 32}
  probe: {epochs: 1, batch_size: 32, lr_step: 1}
tables:
  table1:
    datasets: [parts32]
    without: [beta-vae-lw, beta-vae-gan, beta-vae-gan-lw, patchvae-lw, patchvae-gan,
      patchvae-gan-lw, imagenet-pretrained]
  table5: {datasets: [parts32]}
"""


class Checkout:
    """A copy of the project in which tests edit files and run Snakemake and the command line."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "PYTHONPATH": str(folder), "PATCHVAE_DATA": str(data)}
        self.env["OMP_NUM_THREADS"] = "1"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("snakemake", "--cores", "2", *arguments)

    def planned(self, *targets: str) -> dict[str, int]:
        """Jobs that a dry run lists, by rule."""
        done = self.snakemake("--dry-run", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout + done.stderr
        stats = re.search(r"Job stats:\n.*?\n-+.*?\n(.*?)\ntotal", text, re.DOTALL)
        if stats is None:
            assert "Nothing to be done" in text, text
            return {}
        return {line.split()[0]: int(line.split()[1]) for line in stats[1].splitlines()}

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path}"
        file.write_text(text.replace(old, new))


def copy_project(folder: Path) -> None:
    for name in PARTS:
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "config" / "tiny.yaml").write_text(TINY)
