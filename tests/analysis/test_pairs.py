"""The differences of rows that a study asks for: paired, corrected, equivalent or not, shown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from made_results import write_numbers
from small_study import MINI, edit_study, inside, new_project

from patchvae.analysis.cells import _pack, read_cell, sample_of
from patchvae.analysis.paired import contrast
from patchvae.analysis.pairs import Difference, differences
from patchvae.analysis.stats import holm
from patchvae.errors import CheckpointError, ConfigError
from patchvae.report import pair_views
from patchvae.report.page import differences_view
from patchvae.study.tables import Table, load_table

N = 2_000
RNG = np.random.default_rng(5)
CHANCE = np.clip(0.8 + 0.3 * RNG.standard_normal(N), 0.02, 0.98)
PAIRS = "[[beta_vis=0.06, beta_vis=0.3], [beta_vis=0.6, beta_vis=0.3]]"
ASKED = MINI.replace(
    "table5: {datasets: [parts32]}",
    f"table5: {{datasets: [parts32], differences: {PAIRS}, margin: 2.5}}",
)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """Table 5 of a study that asks for two differences within 2.5 points."""
    with inside(new_project(tmp_path / "project", mini=ASKED)):
        yield load_table("mini", "table5")


def write(table: Table, rights: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Cells by row, from the images that each seed has right."""
    for cell in table.cells():
        if cell.row.key in rights:
            found = rights[cell.row.key]
            values = [round(100 * float(row.mean()), 6) for row in found]
            write_numbers(cell, values, correct=[_pack(row) for row in found], n_test=N)


def right(shift: float = 0.0) -> list[np.ndarray]:
    """Three seeds that find the same images hard."""
    return [RNG.random(N) < CHANCE + shift for _ in range(3)]


def alike(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The same answers but for about ten images a seed lost and about as many won."""
    found = [row.copy() for row in rows]
    for row in found:
        for answer in (True, False):
            row[RNG.choice(np.flatnonzero(row == answer), RNG.integers(8, 13))] ^= True
    return found


def of(found: Sequence[Difference], first: str) -> Difference:
    (one,) = [d for d in found if d.first.key == first]
    return one


def test_first_minus_second_is_paired_and_corrected(table: Table) -> None:
    base = right()
    write(table, {"beta_vis=0.06": right(-0.1), "beta_vis=0.3": base, "beta_vis=0.6": alike(base)})
    found = differences(table)
    samples = {c.row.key: sample_of(read_cell(c)) for c in table.cells()}
    estimates = []
    for difference in found:
        pair = samples[difference.first.key], samples[difference.second.key]
        by_hand = contrast([(1, pair[0]), (-1, pair[1])])
        assert by_hand is not None
        assert difference.estimate == by_hand
        estimates.append(by_hand)
    assert [d.adjusted for d in found] == list(holm([e.p() for e in estimates]))
    lower, same = of(found, "beta_vis=0.06"), of(found, "beta_vis=0.6")
    assert lower.estimate is not None
    assert lower.estimate.difference == pytest.approx(-9, abs=3)
    assert (lower.shown, lower.equivalent) == (True, False)
    assert (same.shown, same.equivalent) == (False, True)


def test_not_shown_is_not_equivalent(table: Table) -> None:
    """Two rows that scatter widely: neither a difference nor the absence of one."""
    wide = [[RNG.random(N) < p for p in ps] for ps in ((0.7, 0.8, 0.9), (0.9, 0.7, 0.8))]
    write(table, {"beta_vis=0.06": wide[0], "beta_vis=0.3": wide[1]})
    found = of(differences(table), "beta_vis=0.06")
    assert (found.shown, found.equivalent) == (False, False)


def test_a_cell_that_is_missing_or_of_another_configuration(table: Table) -> None:
    write(table, {"beta_vis=0.06": right(), "beta_vis=0.3": right()})
    found = differences(table)
    assert of(found, "beta_vis=0.6").estimate is None
    assert pair_views.rows(found)[1][1] == "-"
    assert "over the 1 of this table" in pair_views.lead(table, found)
    edit_study("epochs: 4", "epochs: 5", "mini")
    with pytest.raises(CheckpointError, match="configuration"):
        differences(load_table("mini", "table5"))


def test_the_texts_are_the_numbers(table: Table) -> None:
    base = right()
    write(table, {"beta_vis=0.06": right(-0.1), "beta_vis=0.3": base, "beta_vis=0.6": alike(base)})
    found = differences(table)
    text = pair_views.as_markdown(table, found)
    for difference, mark in zip(found, ("*", "≈"), strict=True):
        assert difference.estimate is not None
        low, high = difference.estimate.interval()
        number = f"{difference.estimate.difference:+.2f} ({low:.2f} to {high:.2f}){mark} |"
        labels = f"| {difference.first.label} − {difference.second.label} | "
        assert labels + number in text
    assert "by seed and test image" in text
    assert "less than 2.5 points" in text
    shown = differences_view(table)["differences"]
    assert [str(cell) for row in shown for cell in row[1:]] == [
        cell for row in pair_views.rows(found) for cell in row[1:]
    ]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[beta_vis=0.6, beta_vis=0.3]", "[beta_vis=6, beta_vis=0.3]", "did you mean beta_vis=0.6"),
        ("[beta_vis=0.6, beta_vis=0.3]", "[beta_vis=0.6]", "too short"),
        (f"differences: {PAIRS}, ", "", "'differences' is a dependency of 'margin'"),
        ("margin: 2.5", "margin: 0", "0"),
    ],
)
def test_a_wrong_pair_is_one_line(old: str, new: str, said: str) -> None:
    edit_study(old, new, "mini")
    with pytest.raises(ConfigError, match=r"config/mini\.yaml") as caught:
        load_table("mini", "table5")
    assert said in str(caught.value)
