"""A lack of memory, for real: main memory under a limit, and a GPU's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_study import REPO, edit_study, tiny_run

from patchvae.runtime.failures import failure_of
from patchvae.study.runs import Run, resolve_run

# the command, in a process that may take 256 MiB of the GPU
SHARE = """
import sys, torch
total = torch.cuda.get_device_properties(0).total_memory
torch.cuda.set_per_process_memory_fraction((256 << 20) / total)
from patchvae.cli import main
main()
"""


def large(latent_dim: int) -> Run:
    """A beta-VAE of the tiny study whose head and decoder take 12 kB for each latent."""
    edit_study("latent_dim: 8", f"latent_dim: {latent_dim}")
    return tiny_run("beta-vae")


def check_failure(run: Run, *command: str, kind: str) -> None:
    """Exit code 7, one line with batch size and peak, the same in the record, and no result."""
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    line = done.stderr.splitlines()[-1]
    assert f"{run.name}/pretrain: out of {kind} memory with batches of 8, " in line
    assert "MiB at the peak" in line
    assert "Traceback" not in done.stderr
    assert not run.pretrain.exists()
    record = failure_of(resolve_run(run))
    assert record is not None
    assert record["exit_code"] == 7
    assert record["message"] in line


def test_too_little_memory_exits_7_with_batch_size_and_peak(
    project: Path, parts_root: Path
) -> None:
    """The process may map 20 GB, the model wants 200."""
    run = large(20_000_000)
    job = f"{sys.executable} -m patchvae pretrain {run.name} --data {parts_root}"
    command = f"ulimit -v 20000000; exec {job}"
    check_failure(run, "bash", "-c", command, kind="main")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
def test_a_full_gpu_exits_7_with_batch_size_and_peak(project: Path, parts_root: Path) -> None:
    """The weights take 120 of the 256 MiB; gradients and moments do not fit beside them."""
    run = large(10_000)
    command = (sys.executable, "-c", SHARE, "pretrain", run.name, "--data", str(parts_root))
    check_failure(run, *command, "--device", "cuda", kind="GPU")
