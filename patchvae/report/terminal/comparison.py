"""A study's cells beside the paper's numbers."""

from rich.console import Console

from patchvae.analysis.compare import Comparison
from patchvae.report.compare_views import COLUMNS, digits, record, shown_columns
from patchvae.report.terminal.claims import show as show_claims
from patchvae.report.terminal.style import Grid, style_of


def show(comparison: Comparison, console: Console) -> None:
    """Cells, rankings, noise and claims; the files have thresholds and readings besides."""
    shown = ["ours", "low", "high", "seeds", "paper", "difference"]
    names = [name for name in shown if name in shown_columns(comparison)]
    table = Grid("cell", *(COLUMNS[name] for name in names), "verdict", title=_title(comparison))
    for row in comparison.rows:
        texts = record(row)
        word = row.word + (f" ({len(row.failed)} failed)" if row.failed and row.values else "")
        cells = [str(row.key), *(texts[name] for name in names), word]
        table.add_row(*cells, style=style_of(row.word))
    console.print(table)
    if comparison.judged:
        _show_rankings(comparison, console)
    if comparison.noise:
        _show_noise(comparison, console)
    show_claims(comparison.claims, console)


def _title(comparison: Comparison) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in comparison.counts.items())
    return f"Study {comparison.study.name}: {counts}"


def _show_rankings(comparison: Comparison, console: Console) -> None:
    table = Grid("column", "rows", "Kendall tau", title="The paper's order of rows against ours")
    for ranking in comparison.rankings:
        name = " ".join(filter(None, (ranking.table, ranking.axis, ranking.column)))
        table.add_row(name, str(ranking.rows), digits(ranking.tau))
    console.print(table)


def _show_noise(comparison: Comparison, console: Console) -> None:
    headings = ("column", "architecture", "probe", "rows", "seeds", "sd")
    table = Grid(*headings, "least significant difference", title="Noise between seeds")
    for noise in comparison.noise:
        name, numbers = f"{noise.table} {noise.column}", (noise.sd, noise.difference)
        counts = (noise.architecture, noise.probe, str(noise.rows), str(noise.seeds))
        table.add_row(name, *counts, *map(digits, numbers))
    console.print(table)
