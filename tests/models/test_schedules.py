"""Schedules are closed forms of the step or the epoch."""

import itertools
import math

import pytest

from patchvae.models.schedules import compounding_temperature, step_lr, temperature

PAPER = (1.0, 3e-5, 0.1)


def test_temperature_is_the_closed_form() -> None:
    assert temperature(0, *PAPER) == 1.0
    assert round(temperature(11_700, *PAPER), 3) == 0.704
    assert temperature(11_700, *PAPER) == pytest.approx(math.exp(-0.351))
    assert temperature(5, 2.0, 0.1, 0.1) == pytest.approx(2 * math.exp(-0.5))


def test_temperature_reaches_its_floor_at_step_76753_and_stays() -> None:
    assert temperature(76_752, *PAPER) > 0.1
    assert temperature(76_753, *PAPER) == 0.1
    assert temperature(10**9, *PAPER) == 0.1


def test_temperature_never_compounds() -> None:
    """The same step gives the same value however often and in whatever order it is asked for."""
    once = [temperature(step, *PAPER) for step in range(0, 12_000, 1_000)]
    again = [temperature(step, *PAPER) for step in reversed(range(0, 12_000, 1_000))]
    assert once == again[::-1]
    ratios = [b / a for a, b in itertools.pairwise(once)]
    assert ratios == pytest.approx([math.exp(-0.03)] * len(ratios))


def test_compounding_is_the_product_of_every_thousandth_step() -> None:
    """The release's: 0.138 after 11,700 steps, the floor from step 12,000 on."""
    product = math.prod(math.exp(-3e-5 * step) for step in range(1_000, 11_700, 1_000))
    assert compounding_temperature(11_700, *PAPER) == pytest.approx(product, rel=1e-12)
    assert round(product, 3) == 0.138
    assert compounding_temperature(999, *PAPER) == 1.0
    assert compounding_temperature(11_999, *PAPER) > 0.1
    assert compounding_temperature(12_000, *PAPER) == 0.1


def test_without_a_step_the_rate_stays() -> None:
    assert [step_lr(epoch, 1e-4, 0, 10.0) for epoch in (0, 30, 89)] == [1e-4] * 3


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 1e-2), (29, 1e-2), (30, 1e-3), (59, 1e-3), (60, 1e-4), (89, 1e-4)]
)
def test_learning_rate_is_divided_by_ten_every_thirty_epochs(epoch: int, expected: float) -> None:
    assert step_lr(epoch, 1e-2, 30, 10.0) == pytest.approx(expected, rel=1e-12)
