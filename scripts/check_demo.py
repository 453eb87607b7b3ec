"""Whether a miniature learned, from its result tables; exit 1 names each row that did not.

python scripts/check_demo.py [STUDY]    demo unless given; after `make demo`

a. Reconstructions of every VAE explain at least half of the test images' variance.
b. The best pretrained row of each probe of Table 1 is above chance beyond its interval.
c. Every PatchVAE's parts find true parts better at the end than untrained.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

EXPLAINED = 0.5
Record = dict[str, str]
Check = tuple[bool, str]


def read(path: Path) -> list[Record]:
    """The lines of a csv file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reconstructions(folder: Path) -> Iterator[Check]:
    for record in read(folder / "posterior.csv"):
        found = float(record["explained"])
        text = f"{record['model']}: explains {found:.3f} of the variance, {EXPLAINED} wanted"
        yield found >= EXPLAINED, text


def probes(folder: Path) -> Iterator[Check]:
    columns: dict[str, list[Record]] = {}
    for record in read(folder / "table1.csv"):
        if record["row"] != "random":  # the floor learned nothing
            columns.setdefault(f"{record['dataset']} {record['probe']}", []).append(record)
    for name, records in columns.items():
        best = max(records, key=lambda record: float(record["mean"]))
        low, chance = float(best["low"]), float(best["chance"])
        text = f"Table 1, {name}: {best['row']} has {float(best['mean']):.1f} %, "
        yield low > chance, text + f"at least {low:.1f}, chance {chance:.1f}"


def discoveries(folder: Path) -> Iterator[Check]:
    runs: dict[str, dict[int, float]] = {}
    for record in read(folder / "discovery.csv"):
        if record["epoch"]:
            name = f"{record['dataset']} {record['method']}, seed {record['seed']}"
            runs.setdefault(name, {})[int(record["epoch"])] = float(record["mean"])
    for name, means in runs.items():
        last, untrained = means[max(means)], means[0]
        text = f"{name}: parts are found at {100 * last:.1f} %, untrained at {100 * untrained:.1f}"
        yield last > untrained, text


def main() -> int:
    """Print a line a check; the number of failures decides."""
    folder = Path("tables") / (sys.argv[1] if len(sys.argv) > 1 else "demo")
    failed = 0
    for checks in (reconstructions, probes, discoveries):
        found = list(checks(folder))
        assert found, f"{folder}: nothing to check ({checks.__name__})"
        for good, text in found:
            print(f"{'ok    ' if good else 'FAILED'} {text}")
            failed += not good
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
