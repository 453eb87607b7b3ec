"""What is published is what was computed, and a page shows what is published."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest
from small_study import REPO, inside, new_project, table1_of, train_table1

from patchvae.errors import CheckpointError, ConfigError
from patchvae.figures.write import write_figure
from patchvae.report.publish import fill, publish
from patchvae.report.published import BLOCK, PUBLISHED, blocks, page_path
from patchvae.report.tables import write_table
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.tables import load_table

DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.]*\d)")
# Table 1 with two rows: three probes of two models and two seeds
STUDY = table1_of("beta-vae", "patchvae")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Path:
    """A folder with everything that the study's cells rest on, computed."""
    folder = new_project(tmp_path_factory.mktemp("publish") / "project", tiny=STUDY)
    options = Options(device="cpu", data=parts_root)
    with inside(folder):
        train_table1(options)
        write_figure("tiny", "posterior", options)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it as the current folder."""
    folder = shutil.copytree(finished, tmp_path / "project")
    with inside(folder):
        yield folder


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("page", sorted(REPO.glob("docs/results-*.md")), ids=lambda p: p.stem)
def test_every_page_shows_what_is_published(page: Path) -> None:
    text = page.read_text()
    if BLOCK.search(text) is None:
        pytest.skip("written by hand")
    with inside(REPO):
        assert text == fill(text, blocks(page.stem.removeprefix("results-")), page.name)


# what a page's prose may say with decimals beside its blocks: settings, and measurements of others
ELSEWHERE = {
    "results-fashion": {
        "0.05", "0.5",  # levels, margins and thresholds
        "82.1", "82.3",  # pixels alone, by benchmarks/difficulty.py
        "83.5", "92.6", "94.9",  # listed by the maintainers of the data set
    },
}  # fmt: skip


@pytest.mark.parametrize("page", sorted(REPO.glob("docs/results-*.md")), ids=lambda p: p.stem)
def test_prose_quotes_what_its_blocks_say(page: Path) -> None:
    """Every number with decimals; versions, links and code are no statements."""
    text = page.read_text()
    if BLOCK.search(text) is None:
        pytest.skip("written by hand")
    shown = set(DECIMAL.findall(" ".join(match[0] for match in BLOCK.finditer(text))))
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)|\b\d+\.\d+\.\d+\b", " ", BLOCK.sub(" ", text))
    said = set(DECIMAL.findall(prose)) - ELSEWHERE.get(page.stem, set())
    assert said <= shown, f"no block of {page.name} says {', '.join(sorted(said - shown))}"


@pytest.mark.usefixtures("project")
def test_cells_jobs_and_terms_are_those_of_the_results() -> None:
    publish("tiny")
    cells = load_table("tiny", "table1").cells()
    for cell in cells:
        assert (PUBLISHED / cell.path).read_bytes() == cell.path.read_bytes()
    folder = PUBLISHED / "results" / "tiny"
    jobs = {(job["run"], job["stage"]): job for job in records(folder / "jobs.csv")}
    assert len(jobs) == 4 + 12  # two models, two seeds, three probes
    for config in [p for cell in cells for p in cell.probes()]:
        metrics = read_result(config.folder / paths.METRICS, "probe")
        job = jobs[config.run.name, config.name]
        assert float(job["seconds"]) == metrics["wall_seconds"]
        assert job["digest"] == metrics["digest"]
        assert job["torch"] == metrics["provenance"]["versions"]["torch"]
        assert (config.run.name, "pretrain") in jobs
    terms = records(folder / "terms.csv")
    assert len(terms) == 4 * 2  # two epochs
    assert {bool(t["kl"]) for t in terms if "/beta-vae/" in t["run"]} == {True}
    assert {bool(t["kl_vis"]) for t in terms if "/beta-vae/" in t["run"]} == {False}


@pytest.mark.usefixtures("project")
def test_a_page_is_made_and_then_only_its_blocks_are_filled() -> None:
    publish("tiny")
    page = page_path("tiny")
    made = page.read_text()
    names = [match["name"] for match in BLOCK.finditer(made)]
    assert names == [
        "table1",
        "claims",
        "restated",
        "noise",
        "training",
        "cost",
        "provenance",
        "posterior",
    ]
    spoiled = made.replace("| PatchVAE |", "| Better |").replace("# a test", "# My words")
    assert spoiled.count("Better") >= 2
    page.write_text(spoiled)
    publish("tiny")
    assert page.read_text() == made.replace("# a test", "# My words")


@pytest.mark.usefixtures("project")
def test_blocks_are_made_from_what_is_published_alone() -> None:
    publish("tiny")
    before = blocks("tiny")
    write_table("tiny", "table1")
    assert before["table1"] == paths.table("tiny", "table1", "md").read_text()
    assert before["posterior"] == paths.table("tiny", "posterior", "md").read_text()
    shutil.rmtree("results")
    shutil.rmtree("tables")
    assert blocks("tiny") == before


@pytest.mark.usefixtures("project")
def test_the_training_block_has_means_over_seeds_and_the_cost_block_sums() -> None:
    publish("tiny")
    found = blocks("tiny")
    runs = [p.run for p in load_table("tiny", "table1").cells()[0].probes()]
    kl = [float(records(run.pretrain / paths.HISTORY)[1]["kl"]) for run in runs]
    (row,) = [line for line in found["training"].splitlines() if "| kl |" in line]
    assert row.startswith("| Parts-32 | $\\beta$-VAE | kl |")
    assert row.endswith(f" {fmean(kl):.3g} |")
    jobs = records(PUBLISHED / "results" / "tiny" / "jobs.csv")
    hours = sum(float(job["seconds"]) for job in jobs) / 3600
    (total,) = [line for line in found["cost"].splitlines() if line.startswith("| all |")]
    assert total.split(" | ")[2] == "16"
    assert total.split(" | ")[4] == f"{hours:.2f}"


@pytest.mark.usefixtures("project")
def test_what_the_study_no_longer_has_is_no_longer_published() -> None:
    publish("tiny")
    cell = load_table("tiny", "table1").cells()[0]
    old = PUBLISHED / cell.path.parent.parent / "left-out" / cell.path.name
    old.parent.mkdir()
    shutil.copyfile(cell.path, old)
    paths.table("tiny", "posterior", "csv").unlink()
    with pytest.raises(ConfigError, match="no block 'posterior'"):
        publish("tiny")  # the page still shows it
    page_path("tiny").unlink()
    publish("tiny")
    assert not old.exists()
    assert (PUBLISHED / cell.path).exists()
    assert not (PUBLISHED / paths.table("tiny", "posterior", "csv")).exists()


def test_an_unfinished_study_leaves_nothing(project: Path) -> None:
    cell = load_table("tiny", "table1").cells()[-1]
    cell.path.unlink()
    with pytest.raises(CheckpointError, match=str(cell.path)):
        publish("tiny")
    assert not (project / "published").exists()
    assert not (project / "docs").exists()


def test_an_unknown_block_is_named() -> None:
    page = "words\n<!-- published: table9 -->\nold\n<!-- end -->\n"
    with pytest.raises(ConfigError, match="no block 'table9': choose from table1, claims"):
        fill(page, {"table1": "", "claims": ""}, "docs/results-x.md")


def test_pictures_are_copied_from_the_figures(project: Path) -> None:
    page = page_path("tiny")
    page.parent.mkdir()
    page.write_text("![codes](images/tiny/posterior.png)\n![other](images/report.png)\n")
    publish("tiny")
    copied = page.parent / "images" / "tiny" / "posterior.png"
    assert copied.read_bytes() == (project / "figures/tiny/posterior.png").read_bytes()
    page.write_text("![not drawn](images/tiny/heatmap.png)\n")
    with pytest.raises(ConfigError, match=r"snakemake figures/tiny/heatmap\.png"):
        publish("tiny")
