"""The paper checked against itself and against our modules."""

from rich.console import Console

from patchvae.analysis.audit import Audit
from patchvae.analysis.printed import HOLDS
from patchvae.report.terminal.style import Grid


def show(result: Audit, console: Console) -> None:
    """Counts, claims and noise; the Markdown has every cell behind them."""
    equal, n = sum(check.equal for check in result.parameters), len(result.parameters)
    table = Grid("number", "published", "ours", title=f"Parameters: {equal} of {n} equal")
    for check in result.parameters:
        table.add_row(str(check.key), f"{check.published:,}", f"{check.ours:,}")
        for line in check.lines:
            table.add_row(f"  {line}", style="red")
    console.print(table)
    _show_claims(result, console)
    _show_noise(result, console)


def _show_claims(result: Audit, console: Console) -> None:
    headings = ("claim", "says", "status", "differences so", "above test noise")
    table = Grid(*headings, title="Claims on the paper's own numbers, one run each")
    for claim in result.claims:
        style = "" if claim.status == HOLDS else "yellow"
        counts = (claim.score, result.above_noise(claim.part.id))
        table.add_row(claim.part.id, claim.part.says, claim.status, *counts, style=style)
        for line in claim.counterexamples:
            table.add_row("", f"  {line}")
    console.print(table)


def _show_noise(result: Audit, console: Console) -> None:
    keys = [f"{key.table} {key.row}" for key in result.twins[0].cells]
    table = Grid("dataset", *keys, "spread", title="Numbers that should agree, and their spread")
    for twins in result.twins:
        numbers = [*twins.cells.values(), twins.spread]
        table.add_row(twins.dataset, *(f"{number:.2f}" for number in numbers))
    console.print(table)
    distinct = result.distinct_differences
    floor, noise = (sum(getattr(d, n) for d in distinct) for n in ("below_floor", "below_noise"))
    console.print(
        f"Of {len(distinct)} differences that the claims rest on, {floor} are within that spread"
        f" and {noise} within test-set noise.\n"
        f"Default {result.verdict_on_beta_vis} that have the default"
        " (distance in standard errors over both datasets)."
    )
