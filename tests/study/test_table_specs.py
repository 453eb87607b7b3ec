"""Table specifications: the paper's cells exactly, and clear refusals of all others."""

from pathlib import Path

import pytest
from small_study import TINY, write_study

from patchvae.analysis.compare import compare_study
from patchvae.errors import ConfigError
from patchvae.figures.inputs import table1_cells
from patchvae.paper.published import accuracy
from patchvae.study.config import load_study, study_names
from patchvae.study.registry import PROBES
from patchvae.study.tables import find_cell, load_table, parse_cell


def test_the_paper_study_has_exactly_the_published_cells(in_repo: Path) -> None:
    study = load_study("paper")
    keys = [cell.key for name in study.tables for cell in load_table("paper", name).cells()]
    assert len(keys) == 128
    assert sorted(keys) == sorted(str(key) for key in accuracy())


def test_every_cell_of_every_study_resolves_and_has_an_address_of_its_own(in_repo: Path) -> None:
    for study in study_names():
        cells = [c for name in load_study(study).tables for c in load_table(study, name).cells()]
        assert len({cell.path for cell in cells}) == len(cells)
        for cell in cells:
            probes = cell.probes()
            assert [p.run.seed for p in probes] == list(load_study(study).seeds)
            found = parse_cell(str(cell.path))
            assert (found.key, found.path) == (cell.key, cell.path)
            assert parse_cell(f"{study}/{cell.key}") == found


def test_a_bare_address_is_the_papers(in_repo: Path) -> None:
    cell = parse_cell("table4/prior_vis=0.05/indoor67-conv5")
    assert cell.study.name == "paper"
    assert str(cell.path) == "results/paper/cells/table4/prior_vis=0.05/indoor67-conv5.json"
    variants = {probe.run.variant for probe in cell.probes()}
    assert variants == {"N16-d6-prior0.05-bvis0.6-bapp1"}


def test_runs_shared_by_tables_are_the_same_path(in_repo: Path) -> None:
    """The default PatchVAE of Tables 1, 3 (twice) and 5 is trained once."""
    cells = (
        "table1/patchvae/cifar100-conv5",
        "table3/num_parts=16/cifar100-conv5",
        "table3/part_dim=6/cifar100-conv5",
        "table5/beta_vis=0.6/cifar100-conv5",
    )
    assert len({parse_cell(name).probes()[0].folder for name in cells}) == 1


def test_sweeps_over_n_move_the_prior_with_it(in_repo: Path) -> None:
    probe = parse_cell("table3/num_parts=4/cifar100-conv5").probes()[0]
    assert probe.run.variant == "N4-d6-prior0.25-bvis0.6-bapp1"


@pytest.mark.usefixtures("in_repo")
@pytest.mark.parametrize(("study", "dataset"), [("paper", "ImageNet"), ("demo", "Parts-Net")])
def test_a_table_is_called_after_the_dataset_it_is_made_of(study: str, dataset: str) -> None:
    table = load_table(study, "table2")
    labels = {row.key: row.label for row in table.rows()}
    assert labels["imagenet-supervised"] == f"{dataset} supervised"
    assert table.caption.startswith(f"{dataset} classification with ResNet18")


def test_supervised_imagenet_trains_everything_from_scratch(in_repo: Path) -> None:
    probes = [
        parse_cell(f"table2/imagenet-supervised/imagenet-{m}").probes()[0] for m in ("top1", "top5")
    ]
    assert probes[0] == probes[1]
    assert (probes[0].frozen, probes[0].run.model) == (None, "random")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("table1/patchvae/cifar100-conv2", "unknown column of table1 in study 'paper'"),
        ("table1/patchvea/cifar100-conv5", "unknown row of table1 in study 'paper'"),
        ("table9/patchvae/cifar100-conv5", "unknown table of study 'paper'"),
        ("papers/table1/patchvae/cifar100-conv5", "unknown study 'papers'"),
        ("table1/patchvae", "names no cell"),
        ("results/paper/runs/table1/patchvae/cifar100-conv5.json", "names no cell"),
        ("../table1/patchvae/cifar100-conv5", "unknown study"),
        ("table1/../cifar100-conv5", "unknown row"),
        ("table1/patchvae/$(ls)", "unknown column"),
        ("table1/patch\nvae/cifar100-conv5", "unknown row"),
        ("", "names no cell"),
    ],
)  # fmt: skip
def test_unknown_addresses_are_refused(in_repo: Path, address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_cell(address)


def write(table1: str) -> None:
    text = TINY.split("tables:")[0] + f"tables:\n  table1: {{datasets: [parts32], {table1}}}\n"
    write_study("tiny", text)


def test_a_study_can_leave_out_rows_and_add_some(project: Path) -> None:
    write("without: [bigan, beta-vae], extra: [{model: random, reference: true}]")
    rows = [row.key for row in load_table("tiny", "table1").rows()]
    assert "bigan" not in rows
    assert rows[-1] == "random"
    assert len(rows) == 9
    assert find_cell("tiny", "table1", "random", "parts32-conv3").row.reference


def test_a_study_can_add_columns_that_the_paper_does_not_have(project: Path) -> None:
    further = [name for name, probe in PROBES.items() if probe.about]
    before = load_table("tiny", "table1")
    write(f"without: [imagenet-pretrained], columns: [{', '.join(further)}]")
    table = load_table("tiny", "table1")
    assert table.columns[: len(before.columns)] == before.columns
    assert [column.probe for column in table.columns[3:]] == further
    assert [bool(column.beyond) for column in table.columns] == [False] * 3 + [True] * len(further)
    for cell in table.cells():
        key = cell.address
        assert (key.dataset, key.measure) == ("parts32", cell.column.key)
        assert parse_cell(str(cell.path)) == cell
    shown = {cell.column.key for cell in table1_cells("tiny")}
    assert shown == {column.key for column in before.columns}
    rows = [row for row in compare_study("tiny").rows if row.key.measure in further]
    assert {row.paper for row in rows} == {None}


@pytest.mark.parametrize(
    ("table1", "message"),
    [
        ("without: [bigann]", "'without' names 'bigann'"),
        ("extra: [{model: vae}]", "unknown model 'vae'"),
        ("extra: [{model: patchvae}]", "two rows are called 'patchvae'"),
        ("extra: [{model: patchvae, probe: conv2}]", "conv2"),
        ("extra: [{model: patchvae, set: {beta_vis: 1e-4}}]", "beta_vis"),
        ("extra: [{model: patchvae, set: {beta_vis: -1}}]", "beta_vis"),
        ("extra: [{model: patchvae, set: {prior_vis: 1.5}}]", "prior_vis"),
        ("extra: [{model: patchvae, set: {depth: 3}}]", "depth"),
        ("extra: [{model: patchvae, key: ../x}]", "x"),
        ("extra: [{model: patchvae, key: 'a;b'}]", "a;b"),
        ("extra: [{model: patchvae, colour: red}]", "colour"),
        ("columns: [conv2]", r"'conv2' is not one of \['conv5-standardised', 'knn'\]"),
        ("columns: [conv5]", "'conv5' is not one of"),
        ("columns: [knn, knn]", "non-unique"),
        ("columns: knn", "is not of type 'array'"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused(project: Path, table1: str, message: str) -> None:
    write(table1)
    with pytest.raises(ConfigError, match=message) as caught:
        load_table("tiny", "table1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("probe: conv5}", "probe: conv6}", "conv6"),
        ("model: patchvae}", "model: patchvea}", "unknown model 'patchvea'"),
        ("table: table1", "table: table2", "table is 'table2'"),
        ("caption:", "captions:", "captions"),
    ],
)
def test_bad_specifications_are_refused(project: Path, old: str, new: str, message: str) -> None:
    path = project / "config" / "tables" / "table1.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_table("tiny", "table1")


def test_a_table_without_specification_is_refused(project: Path) -> None:
    write_study("tiny", TINY + "  table77: {datasets: [parts32]}\n")
    with pytest.raises(ConfigError, match=r"config/tables/table77\.yaml does not exist"):
        load_table("tiny", "table77")
