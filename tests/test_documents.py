"""Files that must tell the same story as the code."""

import re
import runpy
import tomllib

import pytest
import yaml

from patchvae import __version__
from patchvae.cli import cli
from patchvae.errors import SuiteError
from patchvae.report.protocol import render_markdown
from patchvae.study.runs import Run, resolve_run
from patchvae.study.sources import PACKAGE
from patchvae.study.tables import parse_cell

REPO = PACKAGE.parent
PAGES = [p for folder in (".", "docs", "config", "workflow") for p in (REPO / folder).glob("*.md")]
ARCHITECTURE = (REPO / "docs" / "architecture.md").read_text()
# names that differ between the Python and the conda index
CONDA = {"pytorch": "torch", "snakemake-minimal": "snakemake"}


def requirement(text: str) -> tuple[str, str]:
    name, version = re.fullmatch(r"([A-Za-z0-9-]+)(.*)", text).groups()
    return CONDA.get(name, name), version


def test_the_conda_environment_has_the_same_dependencies():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    wanted = dict(
        requirement(text)
        for text in (*project["dependencies"], *project["optional-dependencies"]["slurm"])
    )
    conda = yaml.safe_load((REPO / "environment.yml").read_text())["dependencies"]
    found = dict(requirement(text) for text in conda)
    assert found.pop("python") == project["requires-python"]
    found.pop("pip")
    assert found == wanted


def test_every_dependency_says_why():
    text = (REPO / "pyproject.toml").read_text()
    block = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    lines = [line for line in block.splitlines() if line.startswith('  "')]
    silent = [line for line in lines if "#" not in line]
    # pytest needs no word; type stubs share the one of the first of them
    assert silent == ['  "pytest>=8.0",', '  "types-PyYAML",', '  "types-jsonschema",']


def test_constraints_pin_every_direct_dependency():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (REPO / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    extras = project["optional-dependencies"].values()
    direct = [*project["dependencies"], *(text for extra in extras for text in extra)]
    missing = {re.split(r"[<>=]", text)[0].lower() for text in direct} - pinned
    assert not missing


def test_one_version_everywhere():
    cited = yaml.safe_load((REPO / "CITATION.cff").read_text())
    newest = re.search(r"^## (.*)$", (REPO / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert cited["version"] == __version__
    assert newest == f"{__version__} ({cited['date-released']})"


def test_the_protocol_page_is_made_from_the_protocol():
    assert (REPO / "docs" / "protocol.md").read_text() == render_markdown()


def test_the_rule_graph_is_the_workflows():
    script = runpy.run_path(str(REPO / "scripts" / "rule_graph.py"))
    assert script["PAGE"].read_text() == script["page"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_architecture_page_has_every_folder_in_the_order_of_imports():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in project["contracts"] if c["type"] == "layers")
    picture = ARCHITECTURE.split("```")[1]
    drawn = re.findall(r"^ (__main__, cli|[a-z]+)/? ", picture, re.MULTILINE)
    assert [name for line in drawn for name in line.split(", ")] == [
        layer.removeprefix("patchvae.") for layer in layers
    ]
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert folders == set(drawn) - {"__main__, cli", "errors"}


def test_what_the_architecture_page_names_exists():
    """Paths, perhaps with the name of a test; `<...>` stands for any name."""
    for span in re.findall(r"`([a-z_]+/[^` ]*)`", ARCHITECTURE):
        path, _, name = span.partition("::")
        found = list(REPO.glob(re.sub("<[a-z]+>", "*", path).rstrip("/")))
        assert found, path
        assert not name or f"def {name}(" in found[0].read_text(), span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_on_a_page_exist(page):
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (REPO / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    named = re.findall(r"(?:^|`)(?:python -m )?patchvae ([a-z][a-z-]+)", text, re.MULTILINE)
    assert set(named) <= set(cli.commands)


def test_exit_codes_are_documented():
    page = (REPO / "docs" / "results.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert documented == {0, *(kind.exit_code for kind in SuiteError.__subclasses__()), 1}


RUN = r"\b(?:demo|paper|fashion|ci)/(?:runs/)?[a-z0-9]+/[a-z-]+/[\w.+=-]+/seed\d+"
CELL = r"\b(?:demo|paper|fashion|ci)/(?:cells/)?(table\d+/[\w.=,+-]+/[a-z0-9]+-[a-z0-9-]+)"


def test_every_cell_that_a_page_names_exists(in_repo):
    named = {found[0] for page in PAGES for found in re.finditer(CELL, page.read_text())}
    own = {cell for cell in named if "my-encoder" not in cell}  # a reader's own row
    assert len(own) > 5
    for cell in own:
        parse_cell(cell.replace("/cells/", "/"))


def test_every_run_that_a_page_names_exists(in_repo):
    named = {found[0] for page in PAGES for found in re.finditer(RUN, page.read_text())}
    assert len(named) > 5
    for run in named:
        resolve_run(Run.parse(run.replace("/runs/", "/")))
