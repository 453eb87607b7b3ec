"""Kill trainings and head processes at random until a small DAG is done; its bytes must not change.

    python tests/soak/soak.py [--kills 50] [--seed 0]

The seed fixes the sequence of victims, signals and pauses; where in its work a process is hit
depends on the machine's speed as well. Exit status 1 when a file differs from the undisturbed
run's.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import Checkout, copy_project

TARGET = "tables/tiny/table5.tex"
COMPARED = ("tables/tiny/*", "results/tiny/runs/**/*.safetensors", "results/tiny/runs/**/*.npz")
MADE = ("results/tiny", "tables/tiny", "logs", ".snakemake")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
OPTIONS = ("--retries", "20", "--rerun-incomplete", "--quiet", "all")
LIMIT = 3600.0  # seconds until the soak gives up


def make(folder: Path, data: Path) -> Checkout:
    """A checkout whose trainings take some seconds and save their state every tenth of one."""
    folder.mkdir()
    copy_project(folder)
    checkout = Checkout(folder, data)
    checkout.edit(
        "patchvae/training/commands.py",
        '"--save-every", default=300.0',
        '"--save-every", default=0.1',
    )
    checkout.edit("config/tiny.yaml", "pretrain: {epochs: 1,", "pretrain: {epochs: 40,")
    checkout.edit("config/tiny.yaml", "probe: {epochs: 1,", "probe: {epochs: 200,")
    return checkout


def contents(folder: Path) -> dict[str, bytes]:
    """The compared files, by name."""
    found = [path for pattern in COMPARED for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def trainings(folder: Path) -> list[psutil.Process]:
    """The running trainings of the checkout, also those whose head process was killed."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if words[1:3] == ["-m", "patchvae"] and process.cwd() == str(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
    return found


class Soak:
    """One disturbed checkout, killed at until it has seen `kills` kills and is done."""

    def __init__(self, checkout: Checkout, kills: int, seed: int) -> None:
        self.checkout, self.folder, self.kills = checkout, checkout.folder, kills
        self.draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.midway = self.heads = self.rounds = 0

    @property
    def done(self) -> int:
        return self.counts.total()

    def round(self) -> dict[str, bytes]:
        """From nothing to the finished table, disturbed; the compared files."""
        self.rounds += 1
        for name in MADE:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        while not self._life():
            self.checkout.run("snakemake", "--unlock")
        return contents(self.folder)

    def _life(self) -> bool:
        """One head process, disturbed until it ends; whether everything is done."""
        self.heads += 1
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *OPTIONS, "--", TARGET]
        with (self.folder / "head.log").open("a") as log:
            head = subprocess.Popen(
                command, cwd=self.folder, env=self.checkout.env, stdout=log, stderr=log
            )
        while self.done < self.kills:
            try:
                return head.wait(self.draw.uniform(0.5, 6.0)) == 0
            except subprocess.TimeoutExpired:
                self._kill(head)
        return head.wait(LIMIT) == 0

    def _kill(self, head: subprocess.Popen[bytes]) -> None:
        """A random signal to a random training, or in one of eight cases to the head process."""
        number = self.draw.choice(SIGNALS)
        at_head, place = self.draw.random() < 1 / 8, self.draw.random()
        victims = [head.pid] if at_head else [process.pid for process in trainings(self.folder)]
        if not victims or (at_head and head.poll() is not None):
            return
        try:
            os.kill(victims[int(place * len(victims))], number)
        except ProcessLookupError:
            return
        kind = "head" if at_head else "training"
        self.counts[f"{kind} {number.name}"] += 1
        self.midway += not at_head and any(self.folder.glob("results/tiny/state/**/*.pt"))
        print(f"{self.done:3d} {kind} {number.name}", flush=True)


def soak(folder: Path, kills: int, seed: int) -> bool:
    """Whether every disturbed round gave the undisturbed run's bytes; prints a summary."""
    begun = time.monotonic()
    undisturbed = make(folder / "undisturbed", folder / "data")
    done = undisturbed.snakemake("--", TARGET)
    if done.returncode != 0:
        sys.exit(f"the undisturbed run failed:\n{done.stdout}{done.stderr}")
    wanted = contents(undisturbed.folder)
    assert len(wanted) == 3 + 3 * 3, sorted(wanted)
    test = Soak(make(folder / "disturbed", folder / "data"), kills, seed)
    differing: list[str] = []
    while not differing and test.done < kills:
        found = test.round()
        differing = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    for name, count in sorted(test.counts.items()):
        print(f"{count:4d} {name}")
    verdict = f"all {len(wanted)} files byte-identical"
    if differing:
        verdict = f"{len(differing)} of {len(wanted)} files differ: {differing}"
    print(
        f"{test.done} kills, {test.midway} of trainings with saved states,"
        f" {test.heads} head processes, {test.rounds} rounds,"
        f" {time.monotonic() - begun:.0f} s: {verdict}"
    )
    return not differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.alarm(int(LIMIT))
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        sys.exit(not soak(Path(folder).resolve(), options.kills, options.seed))


if __name__ == "__main__":
    main()
