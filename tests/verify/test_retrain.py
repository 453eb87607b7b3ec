"""Published cells computed again by real jobs: the words, the exit codes, what is left on disk."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_study import edit_study, inside, new_project, table1_of, train_table1

from patchvae.analysis.verification import IDENTICAL
from patchvae.cli import cli
from patchvae.errors import CheckpointError, ConfigError, DataError, LockedError, SuiteError
from patchvae.report.publish import publish
from patchvae.runtime.lock import locked
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result, write_result
from patchvae.runtime.stage import lock_of
from patchvae.study.tables import Cell, parse_cell

# one model of Table 1, two seeds, three probes
STUDY = table1_of("beta-vae")
CELL = "table1/beta-vae/parts32-conv5"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Path:
    """A folder with config/, and in published/ the whole study; results/ is empty again."""
    folder = new_project(tmp_path_factory.mktemp("verify") / "project", tiny=STUDY)
    options = Options(device="cpu", data=parts_root)
    with inside(folder):
        train_table1(options)
        publish("tiny")
        shutil.rmtree("results")
    return folder


@pytest.fixture(scope="module")
def trained(published: Path, parts_root: Path) -> tuple[Path, Result]:
    """The same folder after `CELL` was trained again and kept, and what was said."""
    with inside(published):
        said = run("--cell", CELL, "--keep", "--ledger", data=parts_root)
    return published, said


@pytest.fixture
def project(trained: tuple[Path, Result], tmp_path: Path) -> Iterator[Path]:
    """A copy of it, with what was trained, as the current folder."""
    folder = shutil.copytree(trained[0], tmp_path / "project")
    with inside(folder):
        yield folder


def run(*arguments: str, data: Path) -> Result:
    columns = {"COLUMNS": "200"}
    return CliRunner().invoke(cli, ["verify", "tiny", "--data", str(data), *arguments], env=columns)


def falsify(cell: Cell, **changes: Any) -> None:
    path = Path("published") / cell.path
    write_result(path, "cell", read_result(path, "cell") | changes)


def test_the_same_machine_gives_the_same_bytes_and_says_so(trained: tuple[Path, Result]) -> None:
    folder, said = trained
    assert said.exit_code == 0, said.output
    assert "identical" in said.output
    assert f"tiny/{CELL}: another answer for 0 of its test images." in said.output
    assert "were to be expected" not in said.output
    with (folder / "published" / "verified.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["cell"], line["verdict"], line["seeds"]) == (f"tiny/{CELL}", IDENTICAL, "0")
    assert line["published"] == line["again"]
    assert (line["device"], line["threads"], line["images"]) == ("cpu", "1", "0")
    assert not (folder / "results").exists()
    trained_again = [path.parent.name for path in (folder / "verify").rglob("metrics.json")]
    assert sorted(trained_again) == ["conv5", "pretrain"]  # one seed, one probe, nothing else


def test_a_false_value_differs(project: Path, parts_root: Path) -> None:
    cell = parse_cell(f"tiny/{CELL}")
    document = read_result(Path("published") / cell.path, "cell")
    falsify(cell, values=[value + 60 for value in document["values"]])
    said = run("--cell", CELL, data=parts_root)
    assert isinstance(said.exception, SuiteError)
    assert said.exception.exit_code == 1
    assert "differs" in said.output
    assert "were to be expected" in said.output  # the machines are the same
    assert (project / "verify" / "tiny").exists()  # to look at


def test_what_agrees_leaves_nothing(project: Path, parts_root: Path) -> None:
    said = run("--cell", CELL, "--ledger", data=parts_root)
    assert said.exit_code == 0
    assert not (project / "verify" / "tiny").exists()
    assert (project / "published" / "verified.csv").read_text().count(CELL) == 2


def test_another_number_of_threads_is_named(project: Path, parts_root: Path) -> None:
    shutil.rmtree("verify")
    said = run("--cell", CELL, "--threads", "2", data=parts_root)
    assert said.exit_code == 0, said.output
    assert "threads 1 -> 2" in said.output


@pytest.mark.usefixtures("project")
def test_what_cannot_be_verified_is_refused(parts_root: Path) -> None:
    cell = parse_cell(f"tiny/{CELL}")
    with pytest.raises(ConfigError, match="row of table1"):
        raise run("--cell", "table1/none/parts32-conv5", data=parts_root).exception
    falsify(cell, data_digest="other images")
    with pytest.raises(DataError, match="published with other images of parts32"):
        raise run("--cell", CELL, data=parts_root).exception
    edit_study("epochs: 4", "epochs: 5")
    with pytest.raises(CheckpointError, match="made with another configuration"):
        raise run("--cell", CELL, data=parts_root).exception
    shutil.rmtree("published")
    with pytest.raises(ConfigError, match="has no cells: name a published study"):
        raise run(data=parts_root).exception


@pytest.mark.usefixtures("project")
def test_a_job_that_fails_ends_with_its_own_code_and_line(parts_root: Path) -> None:
    shutil.rmtree("verify/tiny/results/tiny")
    before = parse_cell(f"tiny/{CELL}").probes()[0].encoder
    with locked((Path("verify/tiny") / lock_of(before)).resolve()):
        said = run("--cell", CELL, data=parts_root)
    assert isinstance(said.exception, LockedError)
    assert str(said.exception).startswith(f"{before.run.name}: ")
    assert str(said.exception).endswith("/pretrain.log)")
