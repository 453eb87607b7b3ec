"""Every accuracy of a study as one tidy table: a row for each table, row, column and seed."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from patchvae.study.registry import ARCHITECTURES, MODELS
from patchvae.study.variants import name_without, parse_variant

if TYPE_CHECKING:
    import pandas as pd

PLACE = ("study", "table", "row", "column", "dataset", "model")
HYPER = tuple(dict.fromkeys(key for a in ARCHITECTURES.values() for key in a.variant))
MEASURE = ("probe", "metric", "seed", "value", "paper", "n_test")
DIGESTS = ("config_digest", "data_digest", "source_digest")  # of the cell, its images, its probes


def accuracies(cells: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """From cells' contents, values in percent; a hyper-parameter that a model lacks is empty."""
    import pandas as pd

    records = [record for cell in cells for record in _records(cell)]
    frame = pd.DataFrame(records, columns=[*PLACE, *HYPER, *MEASURE, *DIGESTS])
    numbers = [*HYPER, "value", "paper"]
    return frame.astype(dict.fromkeys(numbers, float) | {"seed": int, "n_test": int})


def _records(cell: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    architecture = ARCHITECTURES[MODELS[cell["model"]].architecture]
    hyper = {} if architecture.named else parse_variant(architecture, name_without(cell["variant"]))
    shared = {name: cell[name] for name in (*PLACE, "probe", "metric", "paper", "n_test")}
    digests = {name: cell.get(name) for name in DIGESTS}
    for seed, value in zip(cell["seeds"], cell["values"], strict=True):
        yield shared | hyper | {"seed": seed, "value": value} | digests
