"""Which cells fit a budget of device hours."""

from dataclasses import dataclass

from patchvae.planning.forecast import Forecast
from patchvae.planning.jobs import TRAINED, Job, with_needs


@dataclass(frozen=True)
class Choice:
    """A cell that fits a budget: the hours it adds and those spent so far."""

    cell: Job
    hours: float
    spent: float


def fit(result: Forecast, budget: float) -> list[Choice]:
    """Cells that fit `budget` device hours, at each point the one that adds least; runs count once.

    A cell with a training whose time is not known is left out.
    """
    trained = [job for job in result.remaining if job.kind in TRAINED]
    estimates = result.estimates
    costs = {j: estimates[j].seconds / result.gain / 3600 for j in trained if j in estimates}
    untimed = set(trained) - costs.keys()
    needed = {cell: with_needs([cell]) for cell in result.cells}
    chains = {
        c: [j for j in js if j in costs] for c, js in needed.items() if untimed.isdisjoint(js)
    }
    bought: set[Job] = set()
    spent, chosen = 0.0, []
    while chains:
        price = {c: sum(costs[j] for j in chain if j not in bought) for c, chain in chains.items()}
        cell = min(price, key=price.__getitem__)
        if spent + price[cell] > budget:
            break
        spent += price[cell]
        bought.update(chains.pop(cell))
        chosen.append(Choice(cell, price[cell], spent))
    return chosen
