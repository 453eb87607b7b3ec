"""Tables as LaTeX, Markdown, HTML and csv, from cells (1-5) or from modules (6-10)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.analysis.cells import read_cell, refuse_mixtures, summarise
from patchvae.analysis.standings import BEST, CLOSE, standings
from patchvae.errors import SuiteError
from patchvae.paper.readings import readings_of
from patchvae.report.architecture import architecture_texts
from patchvae.report.grid import Panel, csv_text, markdown, page
from patchvae.report.markup import DAGGER
from patchvae.report.templating import tex
from patchvae.runtime.results import write_text
from patchvae.study import paths
from patchvae.study.config import Study
from patchvae.study.registry import DATASETS
from patchvae.study.rows import BEYOND, Column, Row
from patchvae.study.runs import ProbeConfig
from patchvae.study.table_specs import ARCHITECTURE_TABLES
from patchvae.study.tables import Cell, Table, load_table

CHANCE = "Chance"  # the label of the last line of each panel
# how Markdown sets a mean apart
SHAPES = {BEST: "**{}**", CLOSE: "<u>{}</u>"}


@dataclass(frozen=True)
class Entry:
    """What is printed for one cell: strings, already rounded; `note` says why there is no number.

    `standing` is BEST, CLOSE or empty.
    """

    mean: str
    half_width: str
    paper: str
    standing: str
    note: str

    def __str__(self) -> str:
        mean = SHAPES.get(self.standing, "{}").format(self.mean)
        note = f"({self.note})" if self.mean and self.note else self.note
        number = f"{mean} ± {self.half_width}" if self.mean else ""
        return " ".join(filter(None, (number, note, self.paper and f"(paper {self.paper})")))


def write_table(study: str, name: str, partial: bool = False) -> list[Path]:
    """Write a table's .tex, .csv, .md and .html; with `partial` also when cells are missing."""
    written = []
    for suffix, text in table_texts(study, name, partial).items():
        path = paths.table(study, name, suffix)
        write_text(path, text)
        written.append(path)
    return written


def table_texts(
    study: str, name: str, partial: bool = False, root: Path = Path()
) -> dict[str, str]:
    """A table by suffix, from the cells below `root`."""
    if name in ARCHITECTURE_TABLES:
        return architecture_texts(name)
    table = load_table(study, name)
    return _accuracy(table, _documents(table, partial, root))


def _documents(table: Table, partial: bool, root: Path) -> dict[str, dict[str, Any]]:
    """The cells' contents by key.

    A partial table takes what its probes have, which are here only.
    """
    found: dict[str, dict[str, Any]] = {}
    probes: list[ProbeConfig] | None = None if root == Path() else []
    for cell in table.cells():
        try:
            found[cell.key] = read_cell(cell, root)
        except SuiteError:
            if not partial:
                raise
            found[cell.key] = summarise(cell, True, probes)
    numbers = {c.path: found[c.key] for c in table.cells() if found[c.key]["values"]}
    refuse_mixtures(numbers)
    return found


def chance(dataset: str, column: Column) -> float:
    """Percent of images that guesses get right: one class of all, or k of them for top-k."""
    return 100 * int(column.metric.removeprefix("top")) / DATASETS[dataset].classes


def _chances(table: Table) -> list[str]:
    return [f"{chance(d, column):.2f}" for d in table.datasets for column in table.columns]


def _entry(document: dict[str, Any], standing: str, seeds: int) -> Entry:
    paper = "" if document["paper"] is None else f"{document['paper']:.2f}"
    failed = len(document["failed"])
    if document["mean"] is None:
        return Entry("", "", paper, "", "failed" if failed else "not run")
    low, high = document["interval"]
    missing = seeds - failed - len(document["values"])
    absent = [(failed, "failed"), (missing, "not run")]
    return Entry(
        mean=f"{document['mean']:.2f}",
        half_width=f"{(high - low) / 2:.2f}",
        paper=paper,
        standing=standing,
        note=", ".join(f"{n} of {seeds} seeds {what}" for n, what in absent if n),
    )


def _protocol(table: Table) -> str:
    """One clause a dataset: epochs and images."""
    study, clauses = table.study, []
    for dataset in table.datasets:
        facts = DATASETS[dataset]
        train = study.limit(dataset, "train") or facts.train
        test = study.limit(dataset, "test") or facts.test
        epochs = [study.value(f"{stage}.epochs", dataset).value for stage in ("pretrain", "probe")]
        labelled = study.value("probe.images", dataset).value
        fewer = f" ({labelled:,} of them with labels)" if labelled else ""
        clauses.append(
            f"{facts.title}: {train:,} training{fewer} and {test:,} test images,"
            f" {epochs[0]} + {epochs[1]} epochs"
        )
    return "; ".join(clauses)


def half_width(study: Study) -> str:
    """What stands after the ± of a mean, and what that covers."""
    kind = "Wilson, over test images" if len(study.seeds) == 1 else "over seeds and test images"
    return f"half-width of the 95% interval ({kind})"


def _note(table: Table, documents: dict[str, dict[str, Any]], bases: set[str]) -> str:
    """What a reader must know beside the numbers: study, seeds, interval, protocol."""
    study, seeds = table.study, len(table.study.seeds)
    if study.is_the_papers:
        comparison = "The paper's value follows in parentheses."
    else:
        comparison = "Not the paper's protocol: these numbers cannot be compared with the paper's."
    close = (
        f"; underlined: not distinguishable from it, the paired 95% interval of the difference"
        f" ({', '.join(sorted(f'over {basis}' for basis in bases))}) includes zero"
        if bases
        else ""
    )
    incomplete = sum(len(d["values"]) < seeds for d in documents.values())
    failed = sum(bool(d["failed"]) for d in documents.values())
    missing = (
        f" Incomplete: {incomplete} of {len(documents)} cells lack seeds, {failed} of them because"
        " jobs failed."
        if incomplete
        else ""
    )
    beyond = f" {table.beyond}" if table.beyond else ""
    return (
        f"Study {study.name} ({study.title}), {seeds} seed{'s' if seeds > 1 else ''}:"
        f" mean ± {half_width(study)}."
        f" {_protocol(table)} (pretraining + probe). {comparison}"
        f" Bold: the highest mean of a column{close}.{missing}{beyond}"
    )


def _our_readings(cell: Cell) -> set[str]:
    """The readings behind a cell that are ours, not the paper's (docs/readings.md)."""
    return set(readings_of(cell.probes()[0], "ours"))


def _by_number(readings: set[str]) -> list[str]:
    return sorted(readings, key=lambda name: int(name[1:]))


def _marks(table: Table) -> tuple[list[str], dict[str, list[str]]]:
    """Our readings that every cell depends on, and by row the further ones, which mark it."""
    cells = table.cells()
    common = set.intersection(*(_our_readings(cell) for cell in cells))
    rows: dict[str, set[str]] = {cell.row.key: set() for cell in cells}
    for cell in cells:
        rows[cell.row.key] |= _our_readings(cell) - common
    return _by_number(common), {row: _by_number(found) for row, found in rows.items()}


def _accuracy(table: Table, documents: dict[str, dict[str, Any]]) -> dict[str, str]:
    (found, bases), seeds = standings(table, documents), len(table.study.seeds)
    entries: dict[str, list[Entry]] = {row.key: [] for row in table.rows()}
    for cell in table.cells():
        entry = _entry(documents[cell.key], found.get(cell.key, ""), seeds)
        entries[cell.row.key].append(entry)
    common, marks = _marks(table)
    readings = (
        f" Our readings of what the paper leaves open: {', '.join(common)} behind every number,"
        " others marked at their rows."
    )
    note = _note(table, documents, bases) + readings
    context = {
        "table": table,
        "note": note,
        "marks": marks,
        "datasets": [DATASETS[name].title for name in table.datasets],
        "entries": entries,
        "chance": CHANCE,
        "chances": _chances(table),
        "columns": len(table.datasets) * len(table.columns),
        "widths": _column_groups(table),
        "tex_headings": [c.heading.replace(BEYOND, DAGGER) for c in table.columns],
    }
    chances = [[CHANCE, *_chances(table)]]
    panels = [(words, [*groups, chances]) for words, groups in _panels(table, entries, marks)]
    caption = table.caption.replace(r"\%", "%")
    lead = f"**{caption}.** {note}"
    title = f"Table {table.name.removeprefix('table')}, study {table.study.name}"
    return {
        "tex": tex("accuracy.tex.j2", context),
        "md": markdown(lead, panels),
        "html": page(title, lead, panels),
        "csv": csv_text(_records(table, documents)),
    }


def _panels(
    table: Table, entries: dict[str, list[Entry]], marks: dict[str, list[str]]
) -> list[Panel]:
    """The rows for Markdown and HTML, labels with the readings that mark them."""
    headings = [
        f"{DATASETS[dataset].title} {column.heading}".strip()
        for dataset in table.datasets
        for column in table.columns
    ]

    def texts(row: Row) -> list[str]:
        label = row.label + (f" <sup>{' '.join(marks[row.key])}</sup>" if marks[row.key] else "")
        return [label, *map(str, entries[row.key])]

    return [
        ((panel.header, *headings), [[texts(row) for row in group] for group in panel.groups])
        for panel in table.panels
    ]


def _column_groups(table: Table) -> list[tuple[str, int, int]]:
    """(dataset, first column, last column) for the rules below the datasets' names."""
    k = len(table.columns)
    return [(DATASETS[d].title, 2 + i * k, 1 + (i + 1) * k) for i, d in enumerate(table.datasets)]


def _records(table: Table, documents: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The csv's rows: one a cell, unrounded."""
    records = []
    for cell in table.cells():
        document = documents[cell.key]
        low, high = document["interval"] or (None, None)
        records.append(
            {name: document[name] for name in ("table", "row", "dataset", "probe", "metric")}
            | {"seeds": len(document["values"]), "n_test": document["n_test"]}
            | {"mean": document["mean"], "sd": document["sd"], "low": low, "high": high}
            | {"chance": chance(cell.dataset, cell.column)}
            | {"paper": document["paper"], "values": " ".join(map(str, document["values"]))}
            | {"our_readings": " ".join(_by_number(_our_readings(cell)))}
            | {"beyond_the_paper": cell.column.beyond}
        )
    return records
