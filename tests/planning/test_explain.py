"""Explanations of cells, runs, printed places and parameter counts."""

from io import StringIO

import pytest
from made_results import CELL, mini_cell, write_chain, write_training
from rich.console import Console
from small_study import MINI, edit_study, write_study

from patchvae.analysis.cells import write_cell
from patchvae.errors import ConfigError
from patchvae.planning.explain import explain
from patchvae.report.terminal.explanation import show
from patchvae.study.tables import parse_cell

PAPER = "table4/prior_vis=0.05/indoor67-conv5"


def chosen(explanation):
    return {choice.key: choice for choice in explanation.choices}


@pytest.mark.parametrize(
    "text", [PAPER, f"paper/{PAPER}", f"results/paper/cells/{PAPER}.json", "table4:2:2"]
)
def test_a_cell_by_each_of_its_names(in_repo, text):
    found = explain(text)
    assert found.title == f"paper/{PAPER}"
    assert found.facts["paper"] == "14.25 % (Table 4, row 2, column 2)"
    assert len(found.jobs) == 1 + 5 + 5 + 1  # images, pretrainings, probes, cell
    assert f"snakemake --profile slurm results/paper/cells/{PAPER}.json" in found.commands


def test_the_source_of_each_value(in_repo):
    values = chosen(explain(PAPER))
    prior = values["model.prior_vis"]
    assert (prior.value, prior.source) == (
        "0.05",
        "user (config/tables/table4.yaml, row prior_vis=0.05)",
    )
    assert (values["model.num_parts"].source, values["model.num_parts"].reading) == ("paper", "A5")
    assert (values["model.beta_vis"].source, values["model.beta_vis"].reading) == ("ours", "A4")
    assert values["pretrain.flip"].source == "release"
    assert values["unlabelled images"].value == "8,920"
    assert not any(key.startswith("adversarial") for key in values)  # plain PatchVAE has none


def test_a_derived_prior_and_the_study_s_own_values(project):
    write_study("mini", MINI)
    values = chosen(explain(CELL))
    assert values["model.prior_vis"].value == "1/N = 0.25"
    assert values["model.prior_vis"].source == "paper"
    assert values["probe.epochs"].source == "user (config/mini.yaml)"
    assert values["train images"].value == "80"


def test_readings_are_those_of_the_cell(in_repo):
    ids = [reading.id for reading in explain("table1/bigan/cifar100-conv5").readings]
    assert ids == ["A10", "A11", "A12", "A13", "A17", "A19", "A22", "A24"]


def test_a_study_other_than_the_paper_has_a_number_and_no_verdict(project):
    write_study("mini", MINI)
    write_chain(mini_cell())
    facts = explain(CELL).facts
    assert facts["state"] == "done"
    assert facts["ours"].startswith("20.00 % over seeds 0 1, 95 % interval")
    assert facts["verdict"].startswith("none: only the study paper")


def test_the_verdict_of_a_cell_of_the_paper(project):
    cell = parse_cell(PAPER)
    for seed, probe in enumerate(cell.probes()):
        write_training(probe.encoder)
        write_training(probe, top1=14.25 + 0.1 * (seed - 2), n_test=1340)
    write_cell(cell)
    facts = explain(PAPER).facts
    # mean 14.25, sd 0.158: well within the margin of 2 * sqrt(.1425 * .8575 / 1340) = 1.91 points
    assert facts["verdict"].startswith("reproduced: difference +0.00 points")
    assert "margin 1.91" in facts["verdict"]


def test_a_run_by_its_path_with_the_cells_it_serves(project):
    write_study("mini", MINI)
    run = mini_cell().probes()[1].run
    found = explain(f"{run.folder}/conv5")
    assert found.title == f"{run.name}/conv5"
    assert found.facts["cells"] == "table5/beta_vis=0.3/parts32-conv5"
    assert [job.kind for job, _ in found.jobs] == ["prepare", "pretrain", "probe"]
    assert f"patchvae probe {run.name} conv5" in found.commands
    default = explain("mini/parts32/patchvae/N4-d2-prior0.25-bvis0.6-bapp1/seed0")
    assert default.facts["cells"] == "table5/beta_vis=0.6/parts32-conv5"
    other = explain("mini/parts32/patchvae/N4-d2-prior0.25-bvis0.7-bapp1/seed0")
    assert other.facts["cells"] == "none of the study's tables"
    assert chosen(other)["model.beta_vis"].source == "user (the run's name)"


def test_a_parameter_count(in_repo):
    found = explain("table6/encoder-patchvae/cifar100")
    assert found.facts["paper"].startswith("922,896 parameters (Table 6")
    assert found.facts["verdict"] == "equal"


@pytest.mark.parametrize(
    "text", ["table4:9:9", "table4/prior_vis=0.06/indoor67-conv5", "nowhere", "demo/parts32/seed0"]
)
def test_what_does_not_exist_is_an_error(in_repo, text):
    with pytest.raises(ConfigError):
        explain(text)


def test_the_page_says_why_a_cell_is_stale(project):
    write_study("mini", MINI)
    write_chain(mini_cell())
    edit_study("probe: {epochs: 4", "probe: {epochs: 5", "mini")
    console = Console(file=StringIO(), width=160)
    show(explain(CELL), console)
    text = console.file.getvalue()
    assert "stale: configuration" in text
    assert "configuration: probe.epochs 4 -> 5" in text
    assert f"snakemake results/mini/cells/{CELL.removeprefix('mini/')}.json" in text
