"""Benchmarks run and print what they promise; a CPU minute. Their figures are not tested."""

import re
import subprocess
import sys

import pytest
from column import EPOCHS, Speed, column
from common import Timing, rate, ratios, spread
from small_study import REPO

SHORT = ("--rounds", "1", "--seconds", "0.05")
SCRIPTS = {
    "pretraining.py": (("patchvae-lw", "--workers", "0", *SHORT), r"patchvae-lw .*\d \(.*%"),
    "probing.py": (("conv3", "--images", "1500", "--alone", *SHORT), r"conv3 fill .* s for 50,000"),
    "streaming.py": (("--sizes", "64", "--images", "300", *SHORT), r"64 x 64 read, cold .*MB/s"),
    "inference.py": (("--studies", "20"), r"all alike +5 +\d+\.\d % "),
    "false_claims.py": (("--studies", "3"), r"seeds +5 +seeds and images +\d+\.\d\d % "),
    "startup.py": (("--rounds", "1"), r"snakemake, a job more +-?0\.\d"),
    "planning.py": (
        ("--rounds", "1", "--seeds", "1", "--cells", "4"),
        r"plan, 1 seeds +\d+\.\d[^$]+forecast, 4 cells +\d+\.\d",
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_runs(script: str) -> None:
    options, expected = SCRIPTS[script]
    command = [sys.executable, f"benchmarks/{script}", *options]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Claim: ")
    assert re.search(expected, done.stdout), done.stdout
    assert re.search(r"^\d+ cores of", done.stdout, re.M)


def test_a_rate_is_images_over_the_time_of_whole_steps() -> None:
    now = 0.0

    def step() -> int:
        nonlocal now
        now += 0.4
        return 10

    assert rate(step, 1.0, lambda: now) == pytest.approx(30 / 1.2)


def test_sides_take_turns_and_the_first_turn_does_not_count() -> None:
    calls: list[tuple[str, float]] = []

    class Told:
        """In place of processes."""

        def __init__(self, name: str) -> None:
            self.name = name

        def rate(self, step: str, seconds: float) -> float:
            calls.append((self.name, seconds))
            return float(len(calls))

    found = Timing(2, 3.0).interleave({"ours": Told("a"), "plain": Told("b")}, "train")
    assert calls == [("a", 1), ("b", 1), ("a", 3), ("b", 3), ("a", 3), ("b", 3)]
    assert found == {"ours": [3, 5], "plain": [4, 6]}
    assert ratios(**found) == [3 / 4, 5 / 6]
    assert spread([1, 4, 2], ".1f") == "2.0 (1.0-4.0)"


def test_a_column_adds_up() -> None:
    """90 epochs of 50,000 and of 10,000 images, and a cache of 110,000."""
    cached, plain = Speed(1000.0, 500.0, 220.0), Speed(100.0, 500.0)
    found = column(1000.0, {"conv5": cached, "conv1": plain})
    assert EPOCHS == 90
    assert found["pretrain"] == 4500
    assert found["conv5"] == 90 * (50 + 20) + 500
    assert found["conv1"] == 90 * (500 + 20)
    assert found["column"] == 4500 + 6800 + 46800
