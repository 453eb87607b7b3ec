"""Tests that need a real Slurm; `PATCHVAE_TEST_SLURM=1` starts one on this machine (as root)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_commands import Slurm

# A job may ask for more than this machine has: the node claims enough for any of them.
CLAIM = {"PATCHVAE_SLURM_CPUS": "16", "PATCHVAE_SLURM_MEM_MB": "64000"}
SCRIPT = Path(__file__).parents[2] / "scripts" / "slurm-one-machine.sh"


def _answers() -> bool:
    return subprocess.run([SCRIPT, "status"], capture_output=True, timeout=60).returncode == 0


@pytest.fixture(scope="session")
def one_machine_slurm() -> Iterator[None]:
    """A running one-machine Slurm; stopped afterwards only if this session started it."""
    started = False
    if os.environ.get("PATCHVAE_TEST_SLURM") == "1" and not (shutil.which("sinfo") and _answers()):
        env = {**CLAIM, **os.environ}
        up = subprocess.run([SCRIPT, "up"], env=env, capture_output=True, text=True, timeout=600)
        assert up.returncode == 0, up.stderr
        started = True
    if shutil.which("sinfo") is None:
        pytest.skip("Slurm is not installed: PATCHVAE_TEST_SLURM=1 installs and starts it (root)")
    if not _answers():
        pytest.skip("Slurm is not up: run scripts/slurm-one-machine.sh up (root)")
    yield
    if started:
        subprocess.run([SCRIPT, "down"], check=True, timeout=120)


@pytest.fixture
def slurm(one_machine_slurm: None) -> Iterator[Slurm]:
    """The one-machine Slurm with both GPUs free; the test's jobs are cancelled after it."""
    helper = Slurm()
    yield helper
    helper.cancel_all()
