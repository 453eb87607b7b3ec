"""The workflow as a module of another project, from a folder of that project's own."""

import pytest
from checkout import REPO, TINY, Checkout

PROJECT = """
from patchvae.study.paths import shipped


module vae:
    snakefile:
        shipped("workflow/Snakefile")
    # here


use rule * from vae as vae_*


rule mine:
    default_target: True
    input:
        "tables/tiny/table6.csv",
    output:
        "mine.txt",
    shell:
        "wc -l < {input} > {output}"
"""


@pytest.fixture
def other(tmp_path, data_root):
    """A project that has the package, and nothing of the checkout, with a study of its own."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tiny.yaml").write_text(TINY)
    (tmp_path / "Snakefile").write_text(PROJECT)
    project = Checkout(tmp_path, data_root)
    project.env["PYTHONPATH"] = str(REPO)
    return project


def test_another_project_uses_its_rules_and_its_own_study(other):
    done = other.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    csv = (other.folder / "tables/tiny/table6.csv").read_text()
    assert int((other.folder / "mine.txt").read_text()) == csv.count("\n")
    assert other.planned("tables/tiny/table5.tex") == {
        "vae_prepare": 1, "vae_pretrain": 3, "vae_probe": 3, "vae_cell": 3, "vae_table": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        ('prefix: "sub"', "results/ would be sub/results/"),
        ('replace_prefix: {"tables/": "sub/"}', "tables/ would be sub/"),
    ],
)
def test_a_module_that_moves_files_is_refused_at_once(other, line, moved):
    other.edit("Snakefile", "# here", line)
    planned = other.snakemake("--dry-run")
    assert planned.returncode == 1
    assert "a module of this workflow has no `prefix`" in planned.stdout
    assert moved in planned.stdout


def test_conda_away_from_a_checkout_is_refused_at_once(other):
    planned = other.snakemake("--dry-run", "--sdm", "conda")
    assert planned.returncode == 1
    assert "works at the top of a checkout only" in planned.stdout
