"""docs/readings.md is made from the readings, and is the one that they make now."""

from patchvae.report.readings import numbers_behind, render_markdown
from patchvae.study.readings import readings


def test_the_page_is_current(in_repo):
    assert (in_repo / "docs" / "readings.md").read_text() == render_markdown()


def test_numbers_behind_a_reading_by_hand(in_repo):
    # A8: 4 adversarial rows x 3 data sets x 3 probes in Table 1; A14: Table 2; A15: none
    counts = {name: numbers_behind(reading).total() for name, reading in readings().items()}
    assert (counts["A8"], counts["A14"], counts["A15"], counts["A12"]) == (36, 10, 0, 128)
