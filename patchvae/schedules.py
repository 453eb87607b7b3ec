"""Schedules as pure functions of the step or the epoch."""

import math


def temperature(step: int, start: float, rate: float, floor: float) -> float:
    """tau(step) = max(floor, start * exp(-rate * step)), section 4 with reading A9.

    `step` counts optimiser steps from 0. With the paper's 1.0 and 3e-5 the floor 0.1 is reached
    after 76,753 steps; the temperature never compounds.
    """
    return max(floor, start * math.exp(-rate * step))


def step_lr(epoch: int, lr: float, every: int, factor: float) -> float:
    """lr / factor^(epoch // every): 'reduce it by a factor of 10 every 30 epochs' (section 4).

    `epoch` counts from 0.
    """
    return lr / factor ** (epoch // every)
