"""The notebook does what it shows."""

import os
from pathlib import Path

import nbformat
import pytest
from checkout import copy_project
from nbclient import NotebookClient
from nbformat import NotebookNode
from small_study import REPO

PATH = Path("docs/notebooks/parts.ipynb")


def outputs(notebook: NotebookNode) -> list[list[str]]:
    """Of each cell what it evaluates to, as text, and the kinds of pictures that it shows."""
    return [
        [
            kind if kind.startswith("image/") else content
            for output in cell.get("outputs", [])
            for kind, content in sorted(output.get("data", {}).items())
        ]
        for cell in notebook.cells
    ]


def test_the_notebook_runs_and_gives_what_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_project(tmp_path)
    (tmp_path / PATH.parent).mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PATCHVAE_DATA", str(tmp_path / "data"))
    committed = nbformat.read(REPO / PATH, as_version=4)
    fresh = nbformat.read(REPO / PATH, as_version=4)
    for cell in fresh.cells:
        cell.pop("outputs", None)
    resources = {"metadata": {"path": str(tmp_path / PATH.parent)}}
    NotebookClient(fresh, timeout=300, kernel_name="python3", resources=resources).execute()
    assert outputs(fresh) == outputs(committed)
    assert sum("image/png" in shown for shown in outputs(fresh)) == 3
