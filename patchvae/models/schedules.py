"""Schedules as pure functions of the step or the epoch."""

import math
from dataclasses import dataclass


def temperature(step: int, start: float, rate: float, floor: float) -> float:
    """tau(step) = max(floor, start * exp(-rate * step)), section 4 with reading A9.

    `step` counts optimiser steps from 0. With the paper's 1.0 and 3e-5 the floor 0.1 is reached
    after 76,753 steps; the temperature never compounds.
    """
    return max(floor, start * math.exp(-rate * step))


def compounding_temperature(step: int, start: float, rate: float, floor: float) -> float:
    """As the authors' release anneals: multiplied by exp(-rate * step) every 1,000 steps.

    max(floor, start * exp(-rate * 1000 * m (m + 1) / 2)) with m = step // 1000.
    """
    m = step // 1000
    return max(floor, start * math.exp(-rate * 1000 * m * (m + 1) / 2))


TEMPERATURES = {"closed": temperature, "compounding": compounding_temperature}


@dataclass(frozen=True)
class Temperature:
    """tau(step) by one of the `TEMPERATURES`; the defaults are the protocol's."""

    law: str = "closed"
    start: float = 1.0
    rate: float = 3e-5
    floor: float = 0.1

    def __call__(self, step: int) -> float:
        return TEMPERATURES[self.law](step, self.start, self.rate, self.floor)


def step_lr(epoch: int, lr: float, every: int, factor: float) -> float:
    """lr / factor^(epoch // every): 'reduce it by a factor of 10 every 30 epochs' (section 4).

    `epoch` counts from 0; `every` = 0 keeps the rate constant (reading A22).
    """
    return lr / factor ** (epoch // every) if every else lr
