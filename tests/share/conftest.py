"""A small finished study, its crate, and folders that take it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout
from small_study import REPO, inside, new_project, table1_of, train_table1

from patchvae.runtime.machine import Options
from patchvae.runtime.results import write_result
from patchvae.study import paths

# one model of Table 1, two seeds, three probes
STUDY = table1_of("beta-vae")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Path:
    """A project in which every training and cell of the study was made."""
    from patchvae.data.store import open_dataset

    folder = new_project(tmp_path_factory.mktemp("share") / "project", tiny=STUDY)
    options = Options(device="cpu", data=parts_root)
    with inside(folder):
        manifest = open_dataset("parts32", parts_root).manifest
        write_result(paths.prepared("parts32"), "dataset", {"manifest": manifest})
        train_table1(options)
    return folder


@pytest.fixture(scope="session")
def crate(finished: Path) -> Path:
    """Its crate, as a folder."""
    pytest.importorskip("rocrate", reason="needs rocrate: make venv")
    from patchvae.share.crate import export

    with inside(finished):
        export("tiny", finished.parent / "crate")
    return finished.parent / "crate"


@pytest.fixture
def altered(crate: Path, tmp_path: Path) -> Path:
    """A copy of the crate, to alter."""
    return shutil.copytree(crate, tmp_path / "altered")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Checkout]:
    """A project with the study, in which nothing was run and no data is, as the current folder."""
    folder = new_project(tmp_path / "fresh", tiny=STUDY)
    shutil.copy(REPO / "patchvae" / "study" / "starter" / "Snakefile", folder)
    project = Checkout(folder, tmp_path / "nothing")
    project.env["PYTHONPATH"] = str(REPO)
    with inside(folder):
        yield project
