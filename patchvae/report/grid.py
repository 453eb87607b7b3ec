"""Tables as csv, Markdown and HTML: the same texts in each, LaTeX as `markup.html` reads it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from patchvae.report.markup import html
from patchvae.report.templating import environment

# of the tables that figures write
TEMPLATES = tuple(sorted(Path(__file__).parent.glob("templates/table.*.j2")))
Rows = Sequence[Sequence[str]]
# headings, and groups of rows with a rule after each
Panel = tuple[Sequence[str], Sequence[Rows]]


def csv_text(records: Iterable[Mapping[str, Any]]) -> str:
    """One line a record, empty where it has nothing to say."""
    import pandas as pd

    return str(pd.DataFrame(list(records)).to_csv(index=False, lineterminator="\n"))


def markdown_table(headings: Sequence[str], rows: Rows, words: int = 1) -> str:
    """One table with the first `words` columns to the left."""
    rule = "|" + "---|" * words + "---:|" * (len(headings) - words)
    lines = [f"| {' | '.join(line)} |" for line in (headings, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def markdown(lead: str, panels: Iterable[Panel], words: int = 1) -> str:
    """What a reader must know first, then a table for each panel, without its rules."""
    tables = (
        markdown_table(headings, [row for rows in groups for row in rows], words)
        for headings, groups in panels
    )
    return "\n\n".join([lead, *tables]) + "\n"


def page(title: str, lead: str, panels: Sequence[Panel]) -> str:
    """The same as a page without outside resources, for Snakemake's report and any browser."""
    templates = environment(autoescape=True)
    templates.filters["html"] = html
    return templates.get_template("table.html.j2").render(title=title, lead=lead, panels=panels)
