"""Shared fixtures: a small study in a folder of its own, and a prepared dataset to train on."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# before anything imports torch: tests share the machine, and sums depend on the number of threads
os.environ.setdefault("OMP_NUM_THREADS", "1")

from small_study import REPO, TINY, forget_configs, new_project

# what tests want besides Python, and the Debian package that has it
PACKAGES = {
    "/usr/share/datasets/fashion-mnist": "dataset-fashion-mnist",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "pdflatex": "texlive-latex-recommended",
    "pdftotext": "poppler-utils",
    "sacct": "slurm-wlm",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses a browser needs one; before `-m needs` chooses."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs("chromium", "chromedriver"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs(what, ...)` where that is missing, and say how to get it."""
    wanted = [what for mark in item.iter_markers("needs") for what in mark.args]
    missing = [what for what in wanted if not (shutil.which(what) or Path(what).is_dir())]
    if missing:
        packages = " ".join(PACKAGES[what] for what in missing)
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install {packages}")


@pytest.fixture
def in_repo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The repository as the current folder, its own studies read afresh."""
    monkeypatch.chdir(REPO)
    forget_configs()
    yield REPO
    forget_configs()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder with config/ and the study `tiny`, as the current folder."""
    folder = new_project(tmp_path / "project", tiny=TINY)
    monkeypatch.chdir(folder)
    yield folder
    forget_configs()


@pytest.fixture(scope="session")
def parts_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the real Parts-32 prepared."""
    from patchvae.data.store import prepare

    root = tmp_path_factory.mktemp("parts")
    prepare("parts32", root=root)
    return root


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`tmpfs("size=64k")` is a folder with a file system of its own; skips where none may be."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("cannot mount a tmpfs here (not root, or in a container that forbids it)")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)
