"""The outcome of every claim on the paper's own numbers was worked out by hand from Tables 1-5."""

from pathlib import Path

import pytest
import yaml

from patchvae.analysis.printed import FAILS, HOLDS, UNPRINTED, as_printed
from patchvae.errors import ConfigError
from patchvae.paper.claims import load_claims
from patchvae.paper.published import accuracy
from patchvae.study.address import CellKey

RESTATED = Path(__file__).parents[2] / "patchvae" / "paper" / "restated.yaml"

# part -> (status, checks, {(first cell, second cell): difference} of those that fail)
BY_HAND = {
    "C1": (HOLDS, 12, {}),
    "C2a": (FAILS, 6, {("beta-vae-lw/cifar100-conv5", "beta-vae/cifar100-conv5"): -0.24}),
    "C2b": (FAILS, 6, {("beta-vae-gan/indoor67-conv5", "beta-vae/indoor67-conv5"): 0.0}),
    "C2c": (HOLDS, 12, {}),
    "C3a": (HOLDS, 11, {}),
    "C3b": (HOLDS, 1, {}),
    "C4a": (
        FAILS,
        8,
        {
            ("patchvae-lw/places205-conv1", "beta-vae-lw/places205-conv1"): -0.04,
            ("patchvae-gan-lw/places205-conv1", "beta-vae-gan-lw/places205-conv1"): -0.27,
        },
    ),
    "C4b": (HOLDS, 4, {}),
    "C5a": (
        FAILS,
        12,
        {
            ("patchvae/cifar100-conv5", "bigan/cifar100-conv5"): -2.86,
            ("patchvae-lw/cifar100-conv5", "bigan/cifar100-conv5"): -1.03,
        },
    ),
    "C5b": (
        FAILS,
        12,
        {
            ("patchvae/cifar100-conv5", "bigan/cifar100-conv5"): -2.86,
            ("patchvae/places205-conv5", "bigan/places205-conv5"): 0.27,
            ("patchvae-lw/cifar100-conv5", "bigan/cifar100-conv5"): -1.03,
            ("patchvae-gan/cifar100-conv5", "bigan/cifar100-conv5"): 0.16,
        },
    ),
    "C7a": (HOLDS, 81, {}),
    "C7b": (HOLDS, 8, {}),
    "C8a": (HOLDS, 4, {}),
    "C8b": (HOLDS, 4, {}),
    "C9a": (FAILS, 4, {("num_parts=32/cifar100-conv5", "num_parts=16/cifar100-conv5"): -1.16}),
    "C9b": (HOLDS, 4, {}),
    "C10": (HOLDS, 6, {}),
    "C11": (HOLDS, 4, {}),
    "C12": (HOLDS, 4, {}),
}


@pytest.fixture(scope="module")
def published():
    return {result.part.id: result for result in as_printed(load_claims(), accuracy())}


def short(check):
    return tuple(str(cell).partition("/")[2] for cell in check.cells)


@pytest.mark.parametrize("part", BY_HAND)
def test_the_claims_on_the_papers_numbers(published, part):
    result = published[part]
    status, checks, failed = BY_HAND[part]
    assert result.status == status
    assert len(result.tested) == len(result.checks) == checks
    assert {short(check): check.difference for check in result.failed} == failed


def test_bigan_wins_two_datasets_with_conv1_and_one_with_conv3(published):
    assert set(published) == {*BY_HAND, "C6"}
    conv3, conv1 = published["C6"].tallies
    assert (conv3.group, conv3.holding, conv3.holds) == ("conv3", ("cifar100",), False)
    assert (conv1.group, conv1.holding, conv1.holds) == ("conv1", ("cifar100", "places205"), True)
    assert published["C6"].status == FAILS


def test_restated_claims_ask_what_the_papers_ask_of_its_datasets(published):
    restated = {r.part.id: r for r in as_printed(load_claims(RESTATED), accuracy())}

    def held(part, dataset=""):
        checks = {**published, **restated}[part].tested
        of = [check for check in checks if check.cells[0].column.startswith(dataset)]
        return sum(check.holds for check in of), len(of)

    # Conv1: C4b is the other way round on CIFAR100
    assert held("C4x") == (held("C4a")[0] + 4 - held("C4b")[0], 8 + 4)
    assert held("C9xa", "cifar100") == held("C9a")
    assert held("C9xb", "indoor67") == held("C9b")
    wins = [t.holding for t in published["C6"].tallies]  # datasets on which BiGAN beats all four
    assert wins == [("cifar100",), ("cifar100", "places205")]
    assert held("C6x", "cifar100") == (8, 8)
    assert held("C6x", "indoor67")[0] < 8
    assert {restated[part].status for part in ("B1a", "B1b", "B1c")} == {UNPRINTED}


def test_the_margin_is_taken_from_the_second_cell(published):
    step = next(c for c in published["C9b"].checks if c.cells[0].row == "num_parts=16")
    # 12.69 % of 1,340 images: 200 sqrt(0.1269 * 0.8731 / 1340) = 1.81863; the step is +1.64
    assert step.difference == pytest.approx(1.64)
    assert step.by == pytest.approx(1.81863, abs=1e-4)
    assert step.holds


def write(tmp_path, part, name="X1"):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({name: {"where": "here", "says": "it", "parts": [part]}}))
    return path


def printed(tmp_path, part, values=None):
    values = accuracy() if values is None else values
    [result] = as_printed(load_claims(write(tmp_path, {"says": "it", **part})), values)
    return result


def cell(text):
    return CellKey.parse(text)


LOSS = "table1/patchvae{loss}/cifar100-conv5"
DATASET = "table1/patchvae/{dataset}-conv5"
A, B, C = (f"table5/beta_vis={b}/cifar100-conv5" for b in ("0.06", "0.3", "0.6"))


@pytest.mark.parametrize(
    ("part", "values", "expected"),
    [
        ({"greater": [A, B]}, (3.0, 2.0), [True]),
        ({"greater": [A, B]}, (2.0, 2.0), [False]),
        ({"greater": [A, B], "by": 1.0}, (13.06, 12.06), [False]),
        ({"greater": [A, B], "by": 1.0}, (13.07, 12.06), [True]),
        ({"greater": [A, B, C]}, (3.0, 1.0, 2.0), [True, False]),
        ({"not_greater": [A, B]}, (2.0, 2.0), [True]),
        ({"not_greater": [A, B], "by": 1.0}, (3.5, 2.0), [False]),
        ({"not_greater": [A, B, C], "by": 1.0}, (3.0, 2.0, 9.0), [True, True]),
        ({"close": [A, B, C], "by": 1.0}, (1.0, 1.9, 2.1), [True, False, True]),
        ({"close": [A, B], "by": "margin"}, (50.0, 51.0), [True]),
        ({"rising": [A, B, C]}, (1.0, 3.0, 2.0), [True, False]),
        ({"rising": [C, A, B]}, (1.0, 3.0, 2.0), [True, False]),  # by setting, however listed
        ({"falling": [A, B, C]}, (3.0, 2.0, 2.0), [True, False]),
        ({"not_rising": [A, B, C], "by": 1.0}, (1.0, 2.0, 3.5), [True, False]),
    ],
)
def test_the_predicates(tmp_path, part, values, expected):
    result = printed(tmp_path, part, dict(zip(map(cell, (A, B, C)), values, strict=False)))
    assert [check.holds for check in result.checks] == expected


def test_absent_cells_are_not_testable_and_one_counterexample_is_enough(tmp_path):
    part = {"greater": [A, B, C]}
    assert printed(tmp_path, part, {cell(A): 1.0}).status == UNPRINTED
    half = printed(tmp_path, part, {cell(A): 2.0, cell(B): 1.0})
    assert (half.status, half.score) == (HOLDS, "1 of 1, 1 absent")
    assert printed(tmp_path, part, {cell(A): 1.0, cell(B): 2.0}).status == FAILS
    whole = printed(tmp_path, part, {cell(A): 3.0, cell(B): 2.0, cell(C): 1.0})
    assert (whole.status, whole.score) == (HOLDS, "2 of 2")


def test_a_pattern_takes_the_datasets_that_exist_and_a_name_insists():
    values = {
        cell("table1/patchvae/fashionmnist-conv5"): 70.0,
        cell("table1/beta-vae/fashionmnist-conv5"): 60.0,
        cell("table1/patchvae/fashionmnist-conv1"): 80.0,
        cell("table1/beta-vae/fashionmnist-conv1"): 75.0,
    }
    results = {r.part.id: r for r in as_printed(load_claims(), values)}
    assert [c.difference for c in results["C1"].tested] == [10.0]
    assert {c.cells[0].dataset for c in results["C1"].checks} == {"fashionmnist"}
    assert results["C1"].status == HOLDS
    assert results["C4a"].status == results["C8a"].status == results["C9a"].status == UNPRINTED
    assert results["C6"].status == UNPRINTED  # two of one dataset cannot be
    assert not results["C11"].checks


def test_a_count_is_not_testable_while_a_cell_is_absent():
    values = accuracy()
    del values[cell("table1/bigan/indoor67-conv1")]
    [result] = [r for r in as_printed(load_claims(), values) if r.part.id == "C6"]
    assert [t.holds for t in result.tallies] == [False, None]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"greater": ["table9/patchvae/cifar100-conv5", A]}, "unknown table 'table9'"),
        ({"greater": ["table1/patchvea/cifar100-conv5", A]}, "unknown row 'patchvea'"),
        ({"greater": ["table5/beta_vis=0.5/cifar100-conv5", A]}, "unknown row 'beta_vis=0.5'"),
        ({"greater": ["table1/patchvae/cifar10-conv5", A]}, "unknown dataset 'cifar10'"),
        ({"greater": ["table1/patchvae/cifar100-conv4", A]}, "unknown measure 'conv4'"),
        ({"greater": ["table1/patchvae", A]}, "is not a cell"),
        ({"greater": ["table1/patchvae/{dataset}-conv5", A]}, "unknown variable 'dataset'"),
        (
            {"for": {"dataset": ["svhn*"]}, "greater": ["table1/bigan/{dataset}-conv5", A]},
            "unknown dataset 'svhn\\*'",
        ),
        ({"for": {"loss": ["-lw"]}, "greater": [A, B]}, "no cell uses the variable 'loss'"),
        (
            {
                "for": {"loss": ["-lw"]},
                "except": [{"los": "-lw"}],
                "greater": ["table1/patchvae{loss}/cifar100-conv5", A],
            },
            "unknown variable 'los'",
        ),
        ({"greater": [A]}, "X1.parts.0"),
        ({"greater": [A, B], "close": [A, B]}, "X1.parts.0"),
        ({"greater": [A, B], "by": "much"}, "X1.parts.0.by"),
        ({"larger": [A, B]}, "X1.parts.0"),
        (
            {"for": {"loss": ["-lw"]}, "average": ["los"], "greater": [LOSS, A]},
            "claim X1: unknown variable 'los': choose one of loss",
        ),
        (
            {"for": {"dataset": ["*"]}, "average": ["dataset"], "greater": [DATASET, DATASET]},
            "'dataset' cannot be averaged",
        ),
        ({"greater": [A, A.replace("cifar100", "indoor67")]}, "different images: cifar100 and in"),
        ({"rising": [A, "table1/bigan/cifar100-conv5"]}, "a sweep needs rows such as"),
        ({"rising": [A, A]}, "two settings or more of one hyper-parameter"),
        ({"falling": [A, "table4/prior_vis=0.1/cifar100-conv5"]}, "of one hyper-parameter"),
        (
            {"for": {"other": [0.06]}, "greater": ["table5/beta_vis={other}/cifar100-conv5", A]},
            "0.06",
        ),
    ],
)
def test_a_wrong_reference_is_an_error(tmp_path, part, message):
    with pytest.raises(ConfigError, match=message) as caught:
        printed(tmp_path, part)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_row_outside_the_paper_may_be_claimed_where_it_exists(tmp_path):
    part = {"greater": ["table5/beta_vis=1.2/cifar100-conv5", A]}
    values = {cell("table5/beta_vis=1.2/cifar100-conv5"): 9.0, cell(A): 8.0}
    assert printed(tmp_path, part, values).status == HOLDS


def test_a_model_of_the_registry_is_a_known_row(tmp_path):
    part = {"greater": ["table1/patchvae/cifar100-conv5", "table1/random/cifar100-conv5"]}
    assert printed(tmp_path, part).status == UNPRINTED


def test_an_unreadable_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist"):
        load_claims(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_claims(tmp_path)
    (tmp_path / "broken.yaml").write_text("C1: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml is not valid YAML"):
        load_claims(tmp_path / "broken.yaml")
    (tmp_path / "twice.yaml").write_text("C1: {says: a}\nC2: {says: b}\nC1: {says: c}\n")
    with pytest.raises(ConfigError, match=r"twice\.yaml: key 'C1' stands twice, in lines 1 and 3"):
        load_claims(tmp_path / "twice.yaml")


def test_the_documentation_has_every_part_with_its_outcome():
    text = (Path(__file__).parents[2] / "docs" / "claims.md").read_text()
    for result in as_printed(load_claims(), accuracy()):
        [line] = [x for x in text.splitlines() if x.startswith(f"| {result.part.id} |")]
        assert line.endswith(f"| {result.score} |")


def test_the_example_in_the_documentation_works(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "claims.md").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.split("```yaml\n")[-1].split("```")[0])
    [result] = as_printed(load_claims(path), accuracy())
    assert (result.part.id, result.status, result.score) == ("my-claim", HOLDS, "9 of 9")
