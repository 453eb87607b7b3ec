"""What became of published cells, on a terminal."""

from collections.abc import Sequence

from rich.console import Console

from patchvae.analysis.printed import points
from patchvae.analysis.stats import DIFFERS
from patchvae.analysis.verification import IDENTICAL
from patchvae.report.terminal.style import Grid, say, style_of
from patchvae.verify.retrain import Again


def show(cells: Sequence[Again], console: Console) -> None:
    """A line for each seed that was trained again, then what the machines differ in."""
    table = Grid(
        "cell", "seed", "published", "again", "difference of means",
        "expected within", "verdict", title="Published cells, computed again",
    )  # fmt: skip
    for again in cells:
        found = again.found
        old, new = found.means
        for i, (seed, value) in enumerate(found.again.values.items()):
            digits = (f"{found.published.values[seed]:.2f}", f"{value:.2f}")
            whole = (points(new - old), f"{found.within:.2f}", found.word) if i == 0 else ()
            name = again.cell.name if i == 0 else ""
            table.add_row(name, str(seed), *digits, *whole, style=style_of(found.word))
    console.print(table)
    say(console, dict.fromkeys(line for again in cells for line in lines(again)))


def lines(again: Again) -> list[str]:
    """How exact the agreement is, and what the machines and the code differ in."""
    found, said = again.found, []
    if found.images is not None:
        said.append(f"{again.cell.name}: another answer for {found.images} of its test images.")
    elif found.word == IDENTICAL:
        said.append(f"{again.cell.name}: published without predictions; accuracies are equal.")
    if found.word == DIFFERS and abs(found.means[1] - found.means[0]) <= found.within:
        said.append(
            f"{again.cell.name}: the published accuracies of these seeds are not what the other"
            " published ones and the new ones predict."
        )
    if again.differences:
        changes = (f"{name} {old} -> {new}" for name, (old, new) in again.differences.items())
        said.append(f"Then and now: {', '.join(changes)}.")
    if not again.same_code:
        said.append("The code behind the probes is another than the published one's.")
    if again.alike and found.word != IDENTICAL:
        said.append(
            f"{again.cell.name}: nothing that is known to decide digits differs between the two"
            " machines, so the same bytes were to be expected."
        )
    return said
