"""A comparison as csv, Markdown, HTML and on a terminal: the same words and digits everywhere."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from patchvae.analysis.compare import COLUMNS, Comparison, record
from patchvae.analysis.frame import accuracies
from patchvae.paper.readings import Reading, readings
from patchvae.report.claim_views import CONTRAST, PART, contrast_records, part_record
from patchvae.report.claim_views import show as show_claims
from patchvae.report.templating import environment
from patchvae.runtime.results import write_bytes, write_text
from patchvae.study import paths

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("csv", "md", "html")
PUBLISHED = ("paper", "difference", "consistent_within", "margin")
# what the templates of claims need
CLAIM_TEXTS = {
    "part_columns": PART,
    "contrast_columns": CONTRAST,
    "part_record": part_record,
    "contrast_records": contrast_records,
}
STYLES = {
    "reproduced": "bold green",
    "consistent": "green",
    "differs": "red",
    "inconclusive": "yellow",
    "failed": "bold red",
}


def write(comparison: Comparison, root: Path = Path()) -> list[Path]:
    """Write `results/<study>/comparison.{csv,md,html}` and `accuracies.{csv,parquet}` under `root`.

    The same bytes for the same cells.
    """
    folder = root / paths.RESULTS / comparison.study
    texts = (as_csv(comparison), as_markdown(comparison), as_html(comparison))
    written = [folder / f"comparison.{suffix}" for suffix in FORMATS]
    for path, text in zip(written, texts, strict=True):
        write_text(path, text)
    frame = accuracies(comparison.documents)
    tidy = {
        "csv": frame.to_csv(index=False, lineterminator="\n").encode(),
        "parquet": frame.to_parquet(index=False),
    }
    for suffix, content in tidy.items():
        written.append(folder / f"accuracies.{suffix}")
        write_bytes(written[-1], content)
    return written


def as_csv(comparison: Comparison) -> str:
    """One line a cell, empty where there is nothing to say."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(record(row) for row in comparison.rows)
    return stream.getvalue()


def as_markdown(comparison: Comparison) -> str:
    """Cells, rankings, claims and the readings behind them."""
    return render("comparison.md.j2", comparison)


def as_html(comparison: Comparison) -> str:
    """The same as one page without outside resources."""
    return render("comparison.html.j2", comparison)


def _digits(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"


def _columns(comparison: Comparison) -> dict[str, str]:
    hidden = () if comparison.judged else PUBLISHED
    return {name: heading for name, heading in COLUMNS.items() if name not in hidden}


def _used(comparison: Comparison) -> Sequence[Reading]:
    used = {name for row in comparison.rows for name in row.readings}
    return [reading for reading in readings().values() if reading.id in used]


def render(template: str, comparison: Comparison) -> str:
    return (
        environment(autoescape=".html" in template)
        .get_template(template)
        .render(
            comparison=comparison,
            columns=_columns(comparison),
            records=[record(row) for row in comparison.rows],
            readings=_used(comparison),
            **CLAIM_TEXTS,
        )
    )


def show(comparison: Comparison, console: "Console") -> None:
    """The comparison on a terminal; the files have thresholds and readings besides."""
    from rich.table import Table

    shown = ["ours", "low", "high", "seeds", "paper", "difference"]
    names = [name for name in shown if name in _columns(comparison)]
    table = Table("cell", *(COLUMNS[name] for name in names), "verdict", title=_title(comparison))
    for row in comparison.rows:
        texts = record(row)
        word = row.word + (f" ({len(row.failed)} failed)" if row.failed and row.values else "")
        cells = [str(row.key), *(texts[name] for name in names), word]
        table.add_row(*cells, style=STYLES.get(row.word, ""))
    console.print(table)
    if comparison.judged:
        _show_rankings(comparison, console)
    if comparison.noise:
        _show_noise(comparison, console)
    show_claims(comparison.claims, console)


def _title(comparison: Comparison) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in comparison.counts.items())
    return f"Study {comparison.study}: {counts}"


def _show_rankings(comparison: Comparison, console: "Console") -> None:
    from rich.table import Table

    table = Table("column", "rows", "Kendall tau", title="The paper's order of rows against ours")
    for ranking in comparison.rankings:
        name = " ".join(filter(None, (ranking.table, ranking.axis, ranking.column)))
        table.add_row(name, str(ranking.rows), _digits(ranking.tau))
    console.print(table)


def _show_noise(comparison: Comparison, console: "Console") -> None:
    from rich.table import Table

    headings = (
        "column",
        "architecture",
        "probe",
        "rows",
        "seeds",
        "sd",
        "least significant difference",
    )
    table = Table(*headings, title="Noise between seeds")
    for noise in comparison.noise:
        name, numbers = f"{noise.table} {noise.column}", (noise.sd, noise.difference)
        counts = (noise.architecture, noise.probe, str(noise.rows), str(noise.seeds))
        table.add_row(name, *counts, *map(_digits, numbers))
    console.print(table)
