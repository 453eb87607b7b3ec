"""The suite as a wheel, away from any checkout: it is built, installed and used for real."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import REPO

from patchvae.study import sources

EVERY_DIGEST = """
from patchvae.report.page import texts
from patchvae.study import sources
from patchvae.study.digests import file_digest
from patchvae.study.registry import DATASETS, MODELS, PROBES
print(*map(sources.pretrain_source, MODELS))
print(*map(sources.probe_source, PROBES))
print(*map(sources.prepare_source, DATASETS))
print(*map(sources.report_source, ("page", "tables", "document", "compare_views")))
print(sources.paper_source(), *map(file_digest, texts()))
"""
RUN = "results/mine/runs/parts32/random/plain/seed0"


class Installed:
    """A virtual environment with the wheel, and a folder that holds nothing of ours."""

    def __init__(self, python: Path, folder: Path, data: Path) -> None:
        self.python, self.folder = python, folder
        left_out = ("PYTHONPATH", "VIRTUAL_ENV")
        self.env = {k: v for k, v in os.environ.items() if k not in left_out}
        self.env |= {"PATCHVAE_DATA": str(data), "OMP_NUM_THREADS": "1"}

    def run(self, *command: str, below: str = ".") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, *command],
            cwd=self.folder / below, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def does(self, *command: str, below: str = ".") -> str:
        done = self.run(*command, below=below)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Installed:
    """The wheel in an environment of its own, inside a git repository that is not ours.

    What the package needs comes from the tests' own environment.
    """
    folder = tmp_path_factory.mktemp("away")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    venv, pip = folder / "venv", [sys.executable, "-m", "pip", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*pip, "wheel", *options, REPO], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    (site,) = venv.glob("lib/*/site-packages")
    needed = [path for path in sys.path if path.endswith("-packages")]
    (site / "needed.pth").write_text("\n".join(needed))
    return Installed(python, folder, parts_root)


@pytest.fixture(scope="module")
def working(installed: Installed) -> str:
    """A working folder that `patchvae init` made, its study made smaller."""
    installed.does("-m", "patchvae", "init", "work")
    study = installed.folder / "work" / "config" / "mine.yaml"
    study.write_text(study.read_text().replace("train: 256, test: 200", "train: 64, test: 100"))
    return "work"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("params", "888,192"),
        ("audit", "C5"),
        ("protocol", "temperature_rate"),
        ("protocol --study fashion-quick", "study fashion-quick"),
    ],
)
def test_what_needs_no_results_is_printed_in_an_empty_folder(
    installed: Installed, command: str, said: str
) -> None:
    installed.env["COLUMNS"] = "200"
    assert said in installed.does("-m", "patchvae", *command.split())


def test_an_unknown_study_says_where_studies_were_looked_for(installed: Installed) -> None:
    done = installed.run("-m", "patchvae", "protocol", "--study", "nowhere")
    assert done.returncode == 2
    assert f"{installed.folder / 'config'} and {installed.folder / 'venv'}" in done.stderr


def test_init_overwrites_nothing(installed: Installed, working: str) -> None:
    before = {path: path.read_bytes() for path in (installed.folder / working).rglob("*.yaml")}
    (installed.folder / working / "Snakefile").rename(installed.folder / "kept")
    done = installed.run("-m", "patchvae", "init", working)
    assert done.returncode == 2
    assert "work/config/mine.yaml exists already" in done.stderr
    assert not (installed.folder / working / "Snakefile").exists()
    (installed.folder / "kept").rename(installed.folder / working / "Snakefile")
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("study", ["mine", "demo"])
def test_studies_are_planned_in_a_working_folder(
    installed: Installed, working: str, study: str
) -> None:
    planned = installed.does(
        "-m", "snakemake", "--dry-run", f"tables/{study}/table5.tex", below=working
    )
    assert "pretrain" in planned


def test_the_slurm_profile_is_found_in_a_working_folder(installed: Installed, working: str) -> None:
    """Without Slurm's commands: its executor and its default resources come from the profile."""
    planned = installed.does(
        "-m", "snakemake", "--profile", "slurm", "--dry-run", "tables/mine/table5.tex",
        below=working,
    )  # fmt: skip
    assert "slurm_partition=gpu" in planned


def test_a_job_runs_and_claims_no_commit_of_a_foreign_repository(
    installed: Installed, working: str
) -> None:
    target = f"{RUN}/pretrain/metrics.json"
    installed.does("-m", "snakemake", "--cores", "1", target, below=working)
    metrics = json.loads((installed.folder / working / target).read_text())
    assert metrics["provenance"]["git"] == {"commit": "", "dirty": False}
    assert metrics["source_digest"] == sources.pretrain_source("random")


def test_a_published_cell_is_verified_where_no_config_is(
    installed: Installed, tmp_path: Path
) -> None:
    """By the study that comes with the wheel."""
    shutil.copytree(REPO / "published", tmp_path / "published")
    away = Installed(installed.python, tmp_path, Path(installed.env["PATCHVAE_DATA"]))
    said = away.does("-m", "patchvae", "verify", "ci", "--cell", "table1/patchvae/parts32-conv5")
    assert "ci/table1/patchvae/parts32-conv5" in said
    assert not list((tmp_path / "verify").iterdir())


def test_digests_of_code_and_texts_are_those_of_the_checkout(installed: Installed) -> None:
    checkout = Installed(Path(sys.executable), REPO, REPO)
    checkout.env["PYTHONPATH"] = str(REPO)
    assert installed.does("-c", EVERY_DIGEST) == checkout.does("-c", EVERY_DIGEST)
