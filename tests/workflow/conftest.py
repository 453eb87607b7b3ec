"""Checkouts in which nothing or everything of a tiny study has run."""

import shutil
from pathlib import Path

import pytest
from checkout import Checkout, copy_project


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def fresh(tmp_path: Path, data_root: Path) -> Checkout:
    """A checkout in which nothing has run."""
    copy_project(tmp_path)
    return Checkout(tmp_path, data_root)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Checkout:
    """A checkout in which the tiny study's tables have been made."""
    folder = tmp_path_factory.mktemp("finished")
    copy_project(folder)
    checkout = Checkout(folder, data_root)
    done = checkout.snakemake("tables/tiny/table1.tex", "tables/tiny/table5.tex")
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


@pytest.fixture
def edited(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished checkout, times kept, to edit."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy", Path(finished.env["PATCHVAE_DATA"]))
