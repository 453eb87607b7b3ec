"""`--profile slurm` that cannot work, without Slurm, its controller, or as arrays: one line."""

import shutil
import sys
from pathlib import Path

import pytest
from small_study import REPO

TARGET = "tables/tiny/table6.tex"


def start(fresh, bin_folder, *options):
    """A head process whose PATH has a Python, a shell, and what is in a folder."""
    shutil.copytree(REPO / "slurm", fresh.folder / "slurm")
    fresh.env["PATH"] = str(bin_folder)
    command = ("snakemake", "--profile", "slurm", "--workflow-profile", "none")
    return fresh.run(*command, TARGET, *options)


def folder_with(tmp_path, *commands):
    """A folder with the programs that Snakemake itself needs, and these."""
    found = tmp_path / "bin"
    found.mkdir()
    for name in ("bash", "sh", "env", "which", *commands):
        (found / name).symlink_to(shutil.which(name))
    (found / "python").symlink_to(sys.executable)
    return found


def assert_one_line(done, line):
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("patchvae: error: ")
    assert line in last
    assert len(done.stderr.splitlines()) < 50  # with what Snakemake says of every start
    assert "Traceback" not in done.stderr


def test_without_slurm_it_says_so(fresh, tmp_path):
    done = start(fresh, folder_with(tmp_path))
    assert_one_line(done, "Slurm's sbatch and squeue not found on this machine")
    assert not list(Path(fresh.folder, ".snakemake", "locks").glob("*"))


def test_job_arrays_are_refused(fresh, tmp_path):
    """What they would lose: tests/cluster/test_profile.py."""
    done = start(fresh, folder_with(tmp_path), "--slurm-array-jobs", "probe")
    assert_one_line(done, "--slurm-array-jobs loses results")


@pytest.mark.skipif(shutil.which("squeue") is None, reason="Slurm is not installed")
def test_with_a_controller_that_is_down_it_says_so(fresh, tmp_path):
    """The real commands, with a configuration that names a port at which nobody listens."""
    conf = tmp_path / "slurm.conf"
    conf.write_text(
        "ClusterName=down\nSlurmctldHost=localhost\nSlurmctldPort=9\nSlurmctldTimeout=5\n"
        "MessageTimeout=5\nAuthType=auth/munge\nNodeName=localhost\n"
        "PartitionName=gpu Nodes=localhost\n"
    )
    fresh.env["SLURM_CONF"] = str(conf)
    done = start(fresh, folder_with(tmp_path, "sbatch", "squeue"))
    assert_one_line(done, "Slurm does not answer (")
