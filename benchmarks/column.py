"""Claim: CIFAR100's column of Table 1 costs at most 1 / 2.2 of the plain baseline's time, for one model.

    python benchmarks/column.py [--model MODEL]

Computed, not run: 90 epochs of pretraining on 50,000 images, then probes conv1, conv3 and conv5 of 90 epochs
each, with 10,000 test images classified after every epoch and, on our side, the caches filled, from rates
that benchmarks/pretraining.py and benchmarks/probing.py measure anew (A and B by turns, both cores busy
on either side: ours with the jobs of two models or seeds). Figures, hardware and n: docs/cost.md.
"""

import time
from collections.abc import Mapping
from statistics import median

import pretraining
import probing
from common import arguments, head, ratios, row, spread

from patchvae.registry import DATASETS

EPOCHS = 90
FACTS = DATASETS["cifar100"]
TARGET = 2.2


def column(
    pretrain: float, probes: Mapping[str, tuple[float, float, float | None]]
) -> dict[str, float]:
    """Seconds of two cores for each part, from images a second.

    Of each probe the rates of training, evaluating and, unless nothing is cached, filling.
    """
    found = {"pretrain": EPOCHS * FACTS.train / pretrain}
    for probe, (train, evaluate, fill) in probes.items():
        cached = 2 * FACTS.train + FACTS.test
        found[probe] = EPOCHS * (FACTS.train / train + FACTS.test / evaluate) + (
            cached / fill if fill else 0
        )
    return found


def main() -> None:
    parser = arguments(seconds=3.0, rounds=5)
    parser.add_argument("--model", default="patchvae")
    parser.add_argument("--workers", type=int, default=2, help="of the baseline's loader [2]")
    parser.add_argument("--images", type=int, default=FACTS.train, help="in the cache")
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    begun, timing = time.monotonic(), (chosen.rounds, chosen.seconds)
    row("images/s", "ours", "plain", "ratio")
    trained = pretraining.measure(chosen.model, chosen.workers, *timing)
    row("pretrain", *map(spread, trained.values()), spread(ratios(**trained), ".2f"))
    probes = {}
    for probe in probing.TARGETS:
        probes[probe] = probing.measure(probe, chosen.images, *timing)
        probing.show(probe, probes[probe])
    seconds = {}
    for side in ("ours", "plain"):
        rates = {
            probe: (
                median(found.train[side]),
                median(found.evaluate[side]),
                median(found.fill) if side == "ours" else None,
            )
            for probe, found in probes.items()
        }
        seconds[side] = column(median(trained[side]), rates)
    row("hours, computed", "ours", "plain", "ratio")
    for part, ours in seconds["ours"].items():
        plain = seconds["plain"][part]
        row(part, f"{ours / 3600:.2f}", f"{plain / 3600:.2f}", f"{plain / ours:.2f}")
    ours, plain = (sum(seconds[side].values()) for side in ("ours", "plain"))
    row("column", f"{ours / 3600:.2f}", f"{plain / 3600:.2f}", f"{plain / ours:.2f}")
    print(f"target {TARGET}; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
