"""Targets of Snakemake that nothing can make, and those that must pass."""

import pytest

from patchvae.errors import ConfigError
from patchvae.figures.catalogue import FIGURES
from patchvae.figures.products import document_of, page_inputs, products_of
from patchvae.figures.targets import check_target, refuse_unknown

RULES = ("all", "demo", "fashion_quick")
RUN = "runs/parts32/bigan/z96/seed0"


@pytest.mark.parametrize("study", ["demo", "paper"])
def test_what_the_workflow_makes_passes(in_repo, study):
    folder = "" if study == "paper" else f"{study}/"
    further = [
        f"tables/{folder}discovery.html", f"figures/{folder}figure2.csv",
        f"results/{study}/comparison.md", f"results/{study}/accuracies.parquet",
    ]  # fmt: skip
    for target in (*products_of(study), *page_inputs(study), document_of(study), *further):
        check_target(target, RULES)


@pytest.mark.parametrize(
    "target",
    [
        "all", "fashion_quick", "README.md", f"results/demo/{RUN}/pretrain/metrics.json",
        f"figures/demo/{RUN}/figure2.png", "figures/demo/datasets/parts32/figure3.pdf",
        "results/datasets/parts32.json", "elsewhere/file.txt", "some.file",
    ],
)  # fmt: skip
def test_what_exists_or_is_not_ours_passes(in_repo, target):
    assert FIGURES["figure2"].of_run
    check_target(target, RULES)


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("tables/dmeo/table1.tex", "unknown study 'dmeo': did you mean demo?"),
        ("tables/demo/table11.tex", "unknown table of study 'demo' 'table11': did you mean table"),
        ("tables/demo/table1.txe", "unknown format of a table 'txe': did you mean tex?"),
        ("figures/demo/figure9.pdf", "is no figure of study 'demo': did you mean figure"),
        ("results/demoo/report.html", "unknown study 'demoo': did you mean demo?"),
        ("results/demo/" + RUN.replace("bigan", "bigann") + "/pretrain/metrics.json",
         "unknown model 'bigann': did you mean bigan?"),
        ("results/demo/cells/table1/bigan/parts32-conv2.json", "did you mean parts32-conv"),
        ("results/datasets/cifar10.json", "unknown dataset 'cifar10': did you mean cifar100?"),
        ("fasion_quick", "unknown rule 'fasion_quick': did you mean fashion_quick?"),
    ],
)  # fmt: skip
def test_a_wrong_target_names_what_is_near(in_repo, target, line):
    with pytest.raises(ConfigError) as error:
        check_target(target, RULES)
    assert line in str(error.value)


def test_values_of_options_are_no_targets(in_repo):
    options = ["--cores", "2", "--until", "nothing", "--set-resources", "x:y=1", "-n"]
    refuse_unknown(["bin/snakemake", *options], RULES)
    refuse_unknown(["bin/snakemake", "--target-jobs", "nothing:", "nothing"], RULES)
    # another program that loads the Snakefile
    refuse_unknown(["bin/pytest", "-q", "tests/study"], RULES)
    for program in ("bin/snakemake", "lib/snakemake/__main__.py"):
        with pytest.raises(ConfigError, match="unknown rule 'nothing'"):
            refuse_unknown([program, "--cores", "2", "nothing"], RULES)
