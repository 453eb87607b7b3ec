"""Whether Slurm can take jobs, asked once before any is submitted."""

import shutil
import subprocess

from patchvae.errors import ResourceError

PATIENCE = 60.0  # seconds until a controller that says nothing counts as down


def check_slurm() -> None:
    """ResourceError in one line where Slurm is not installed or its controller does not answer.

    Otherwise each job would fail by itself, and be tried again.
    """
    if missing := [name for name in ("sbatch", "squeue") if shutil.which(name) is None]:
        raise ResourceError(
            f"Slurm's {' and '.join(missing)} not found on this machine: start on a login node of"
            " the cluster, or without --profile slurm"
        )
    try:
        asked = ["squeue", "--me", "--noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE, check=False)
        said = done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        said = [f"no answer within {PATIENCE:.0f} s"]
    else:
        if done.returncode == 0:
            return
    raise ResourceError(
        f"Slurm does not answer ({' '.join(said[-1:])}): no job was submitted; start again when"
        " `squeue --me` works"
    )
