"""What part discovery measured, as a table."""

from collections.abc import Iterator

import numpy as np

from patchvae.analysis.precision import Discovery
from patchvae.data.parts import VOCABULARY
from patchvae.report.grid import Rows
from patchvae.report.sheets import Sheet

NOTE = (
    "Average precision in percent of the latent part matched to each true part over the cells of "
    "the"
    " test images, and the mean that the same maps reach with the places of other images (chance);"
    " means over seeds. 0 epochs: untrained."
)


def discovery_sheet(data: Discovery) -> Sheet:
    """A row for each method and epoch; the csv has every seed and part."""
    records = [
        {"dataset": s.dataset, "method": s.method, "epoch": epoch_text(s.epoch),
         "seed": s.seed, "kind": kind, "part": part + 1,
         "ap": round(ap, 6), "mean": round(s.mean, 6), "chance": round(s.chance, 6)}
        for s in data.scores
        for kind, part, ap in zip(VOCABULARY, s.part, s.ap, strict=True)
    ]  # fmt: skip
    return Sheet(
        name="discovery",
        title="Part discovery",
        caption="Part discovery on {dataset}, study {study} (beyond the paper)",
        note=NOTE,
        headings=("method", "epochs", *VOCABULARY, "mean", "chance"),
        groups={dataset: list(_rows(data, dataset)) for dataset in data.datasets},
        records=records,
    )


def epoch_text(epoch: float | None) -> str:
    """Without needless decimals: 3, 0.4, or nothing for a method that has none."""
    return "" if epoch is None else f"{epoch:.2f}".rstrip("0").rstrip(".")


def _rows(data: Discovery, dataset: str) -> Iterator[Rows]:
    """A method's rows, one an epoch: AP of each kind, mean and chance in percent, over seeds."""
    for method, epochs in data.of(dataset).items():
        rows = []
        for epoch, scores in epochs.items():
            table = np.array([[*score.ap, score.mean, score.chance] for score in scores])
            numbers = [f"{100 * value:.1f}" for value in table.mean(0)]
            rows.append([method, epoch_text(epoch), *numbers])
        yield rows
