"""Claim: PatchVAE's CIFAR100 numbers of Table 1 cost 2.0 times less than with the plain baseline.

    python benchmarks/column.py [--model MODEL]

Computed, not run: 90 epochs of pretraining on 50,000 images, then probes conv1, conv3 and conv5 of
90 epochs each, with 10,000 test images classified after every epoch and, on our side, the caches
filled; from rates that are measured as benchmarks/pretraining.py and benchmarks/probing.py do (A
and B by turns, both cores busy on either side: on ours with the jobs of two models or seeds).
Figures, hardware and n: docs/cost.md. The aim was 2.2.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import pretraining
import probing
from common import Timing, arguments, head, ratios, row, spread

from patchvae.study.registry import DATASETS

EPOCHS = 90
FACTS = DATASETS["cifar100"]


@dataclass(frozen=True)
class Speed:
    """Images a second of a probe; `fill` None where nothing is cached."""

    train: float
    evaluate: float
    fill: float | None = None

    @classmethod
    def of(cls, found: probing.Measured, side: str) -> "Speed":
        fill = median(found.fill) if side == "ours" else None
        return cls(median(found.train[side]), median(found.evaluate[side]), fill)


def column(pretrain: float, probes: Mapping[str, Speed]) -> dict[str, float]:
    """Seconds of two cores for each part and for all."""
    found = {"pretrain": EPOCHS * FACTS.train / pretrain}
    for probe, speed in probes.items():
        found[probe] = EPOCHS * (FACTS.train / speed.train + FACTS.test / speed.evaluate)
        if speed.fill is not None:  # training images are cached as they are and mirrored
            found[probe] += (2 * FACTS.train + FACTS.test) / speed.fill
    return found | {"column": sum(found.values())}


def measure(model: str, workers: int, images: int, timing: Timing) -> dict[str, dict[str, float]]:
    """Both sides' columns, from rates measured and shown on the way."""
    row("images/s", "ours", "plain", "ratio")
    trained = pretraining.measure(model, workers, timing)
    row(f"{model} pretrain", *map(spread, trained.values()), spread(ratios(**trained), ".2f"))
    probes = {}
    for probe in probing.ORDER:
        probes[probe] = probing.measure(probe, images, timing)
        probing.show(probe, probes[probe])
    return {
        side: column(
            median(rates), {probe: Speed.of(found, side) for probe, found in probes.items()}
        )
        for side, rates in trained.items()
    }


def main() -> None:
    parser = arguments(seconds=3.0)
    parser.add_argument("--model", default="patchvae")
    parser.add_argument("--workers", type=int, default=2, help="of the baseline's loader [2]")
    parser.add_argument("--images", type=int, default=FACTS.train, help="in the caches")
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    begun = time.monotonic()
    sides = measure(chosen.model, chosen.workers, chosen.images, Timing.chosen(chosen))
    row("hours, computed", "ours", "plain", "ratio")
    for part, ours in sides["ours"].items():
        plain = sides["plain"][part]
        row(part, f"{ours / 3600:.2f}", f"{plain / 3600:.2f}", f"{plain / ours:.2f}")
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
