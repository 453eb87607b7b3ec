"""The site builds without a warning, has what the code has, and fetches nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import REPO

from patchvae.cli import cli


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text()


def test_no_page_fetches_anything(site: Path) -> None:
    fetched = re.compile(r'(?:\ssrc="|<link[^>]*\shref="|url\()(https?:)?//')
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 25
    assert not [path for path in pages if fetched.search(path.read_text())]


def test_commands_and_docstrings_are_those_of_the_code(site: Path) -> None:
    commands = page(site, "cli")
    assert all(f'<h2 id="{name}">' in commands for name in cli.commands)
    assert "&lt;study&gt;/&lt;dataset&gt;/&lt;model&gt;" in commands
    assert "P(part n is visible in a cell)" in page(site, "python")


def test_tex_is_drawn_as_mathematics(site: Path) -> None:
    table = page(site, "results-fashion")
    assert "<msub><mi>L</mi><mi>w</mi></msub>" in table
    assert not re.findall(r"\$\\?[a-zA-Z_{}]+\$", table)


def test_links_lead_out_of_docs_and_to_the_notebook(site: Path) -> None:
    assert 'href="../source/config/fashion.yaml"' in page(site, "results-fashion")
    copy = site / "source" / "config" / "fashion.yaml"
    assert copy.read_bytes() == (REPO / "config" / "fashion.yaml").read_bytes()
    assert 'href="../notebooks/parts/"' in page(site, "python")
    assert (site / "notebooks" / "parts-files").is_dir()
