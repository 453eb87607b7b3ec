"""Two studies cell by cell."""

from statistics import fmean

from rich.console import Console

from patchvae.analysis.between import Between, Pair
from patchvae.analysis.printed import points
from patchvae.report.claim_views import covers_text, interval_text, probability
from patchvae.report.terminal.style import Grid, say, style_of


def show(found: Between, names: tuple[str, str], console: Console) -> None:
    """A line for each shared cell, then how many only one of the two has."""
    table = Grid(
        "cell", *names, "seeds", "difference", "95 % interval", "p",
        "covers", "word", title=f"{names[1]} minus {names[0]}, paired; words after Holm",
    )  # fmt: skip
    for pair in found.pairs:
        table.add_row(*_texts(pair), style=style_of(pair.word))
    console.print(table)
    counts = zip(found.alone, names, strict=True)
    say(console, [f"{count} more cells of {name} only." for count, name in counts if count])


def _texts(pair: Pair) -> list[str]:
    means = [f"{fmean(sample.values.values()):.2f}" for sample in pair.samples]
    estimate = pair.estimate
    if estimate is None:
        return [str(pair.key), *means, "", "", "", "", "", pair.word]
    covers = covers_text(estimate)
    return [
        str(pair.key), *means, str(estimate.seeds), points(estimate.difference),
        interval_text(estimate), probability(estimate.p()),
        covers if pair.same_images else f"{covers}; other test images", pair.word,
    ]  # fmt: skip
