"""A comparison as csv, Markdown and HTML: the same words and digits everywhere."""

from collections.abc import Sequence
from pathlib import Path

from patchvae.analysis.compare import Comparison, Row
from patchvae.analysis.frame import accuracies
from patchvae.analysis.printed import points
from patchvae.report.claim_views import CONTRAST, ONE_SEED, PART, contrast_records, part_record
from patchvae.report.grid import csv_text
from patchvae.report.templating import environment
from patchvae.runtime.results import write_bytes, write_text
from patchvae.study import paths
from patchvae.study.readings import Reading, readings

FORMATS = ("csv", "md", "html")
# csv column -> heading for people
COLUMNS = {
    "table": "table",
    "row": "row",
    "column": "column",
    "ours": "ours",
    "sd": "sd",
    "low": "low",
    "high": "high",
    "interval": "interval",
    "seeds": "seeds",
    "n_test": "test images",
    "paper": "paper",
    "difference": "difference",
    "consistent_within": "consistent within",
    "margin": "margin",
    "verdict": "verdict",
    "failed": "failed seeds",
    "readings": "our readings",
}
PUBLISHED = ("paper", "difference", "consistent_within", "margin")
# what the templates of claims need
CLAIM_TEXTS = {
    "one_seed": ONE_SEED,
    "part_columns": PART,
    "contrast_columns": CONTRAST,
    "part_record": part_record,
    "contrast_records": contrast_records,
}


def write(comparison: Comparison, root: Path = Path()) -> list[Path]:
    """Write `results/<study>/comparison.{csv,md,html}` and `accuracies.{csv,parquet}` under `root`.

    The same bytes for the same cells.
    """
    folder = root / paths.RESULTS / comparison.study.name
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
    return csv_text(map(record, comparison.rows))


def as_markdown(comparison: Comparison) -> str:
    """Cells, rankings, claims and the readings behind them."""
    return render("comparison.md.j2", comparison)


def as_html(comparison: Comparison) -> str:
    """The same as one page without outside resources."""
    return render("comparison.html.j2", comparison)


def shown_columns(comparison: Comparison) -> dict[str, str]:
    """Columns with their headings, without the paper's where nothing is judged."""
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
            columns=shown_columns(comparison),
            records=[record(row) for row in comparison.rows],
            readings=_used(comparison),
            **CLAIM_TEXTS,
        )
    )


def record(row: Row) -> dict[str, str]:
    """A cell as text, two decimals."""
    low, high = row.interval or (None, None)
    judged = row.verdict
    return {
        **row.key._asdict(),
        "ours": digits(row.mean),
        "sd": digits(row.sd),
        "low": digits(low),
        "high": digits(high),
        "interval": row.interval_kind,
        "seeds": " ".join(map(str, row.values)),
        "n_test": str(row.n_test or ""),
        "paper": digits(row.paper),
        "difference": points(judged.difference) if judged else "",
        "consistent_within": digits(judged.consistent_within) if judged else "",
        "margin": digits(judged.margin) if judged else "",
        "verdict": row.word,
        "failed": "; ".join(f"{seed}: {error}" for seed, error in row.failed.items()),
        "readings": " ".join(row.readings),
    }


def digits(number: float | None) -> str:
    """Two decimals; empty where there is no number."""
    return "" if number is None else f"{number:.2f}"
