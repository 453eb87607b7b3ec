"""A tiny dataset of parts, prepared once, and a writer into an empty folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mini import MINI

from patchvae.data import store
from patchvae.data.writer import Writer
from patchvae.study.registry import Dataset


@pytest.fixture(scope="session")
def mini_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mini")
    store.prepare(MINI, root=root)
    return root


@pytest.fixture
def mini_root(mini_once: Path, tmp_path: Path) -> Path:
    """A data root of one's own to damage, with `MINI` prepared."""
    root = tmp_path / "root"
    shutil.copytree(mini_once, root)
    return root


@pytest.fixture
def writer_for(tmp_path: Path) -> Callable[[Dataset], Writer]:
    """Makes a writer into an empty folder, with a downloads folder to fill."""

    def make(facts: Dataset) -> Writer:
        folder, downloads = tmp_path / "root/partial", tmp_path / "root/downloads" / facts.name
        folder.mkdir(parents=True, exist_ok=True)
        downloads.mkdir(parents=True, exist_ok=True)
        return Writer(facts, folder, downloads, lambda line: None)

    return make
