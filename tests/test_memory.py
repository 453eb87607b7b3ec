"""A lack of memory, for real: the process may map 20 GB, the model wants 200."""

import os
import subprocess
import sys
from pathlib import Path

from small_study import REPO

from patchvae.config import load_study
from patchvae.failures import failure_of
from patchvae.runs import Run, resolve_run, variant_of


def test_too_little_memory_exits_7_with_batch_size_and_peak(
    project: Path, parts_root: Path
) -> None:
    study = project / "config" / "tiny.yaml"
    study.write_text(study.read_text().replace("latent_dim: 8", "latent_dim: 20000000"))
    run = Run("tiny", "parts32", "beta-vae", variant_of(load_study("tiny"), "parts32", "beta-vae", {}), 0)  # fmt: skip
    command = f"ulimit -v 20000000; exec {sys.executable} -m patchvae pretrain {run.name} --data {parts_root}"  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    line = done.stderr.splitlines()[-1]
    assert f"{run.name}/pretrain: out of main memory with batches of 8, " in line
    assert "MiB at the peak" in line
    assert "Traceback" not in done.stderr
    assert not run.pretrain.exists()
    record = failure_of(resolve_run(run))
    assert record is not None
    assert record["exit_code"] == 7
    assert record["message"] in line
