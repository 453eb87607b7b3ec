"""Tables as LaTeX, Markdown, HTML and csv, from cells (1-5) or from modules (6-10)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.analysis.cells import read_cell, refuse_mixtures, sample_of, summarise
from patchvae.analysis.paired import contrast
from patchvae.errors import SuiteError
from patchvae.paper.readings import readings_of
from patchvae.report.table_pages import accuracy_page, architecture_page
from patchvae.report.templating import environment
from patchvae.runtime.results import write_text
from patchvae.study import paths
from patchvae.study.registry import DATASETS
from patchvae.study.runs import ProbeConfig
from patchvae.study.tables import ARCHITECTURE_TABLES, BEYOND, Cell, Row, Table, load_table

DAGGER = r"$^\dagger$"
BEST, CLOSE = "best", "close"


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
        return _architecture(name)
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


def _columns(table: Table, documents: dict[str, dict[str, Any]]) -> Iterator[list[Cell]]:
    """The cells with numbers of each column of each panel; references left out."""
    for panel in table.panels:
        rows = {row.key for group in panel.groups for row in group if not row.reference}
        columns: dict[str, list[Cell]] = {}
        for cell in table.cells():
            if cell.row.key in rows and documents[cell.key]["mean"] is not None:
                columns.setdefault(cell.address.column, []).append(cell)
        yield from columns.values()


def _standings(
    table: Table, documents: dict[str, dict[str, Any]]
) -> tuple[dict[str, str], set[str]]:
    """By cell BEST (the highest mean of a column, as printed) or CLOSE, and what CLOSE rests on.

    A row is close when the 95 % interval of its difference from the best includes zero.
    """
    standings: dict[str, str] = {}
    bases: set[str] = set()
    for cells in _columns(table, documents):
        means = {cell.key: documents[cell.key]["mean"] for cell in cells}
        samples = {key: sample_of(documents[key]) for key in means}
        top = max(means, key=lambda key: means[key])
        for key, mean in means.items():
            if round(mean, 2) == round(means[top], 2):
                standings[key] = BEST
            elif estimate := contrast([(1, samples[top]), (-1, samples[key])]):
                bases.add(estimate.basis)
                if not estimate.excludes():
                    standings[key] = CLOSE
    return standings, bases


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
        clauses.append(
            f"{facts.title}: {train:,} training and {test:,} test images,"
            f" {epochs[0]} + {epochs[1]} epochs"
        )
    return "; ".join(clauses)


def _note(table: Table, documents: dict[str, dict[str, Any]], bases: set[str]) -> str:
    """What a reader must know beside the numbers: study, seeds, interval, protocol."""
    study, seeds = table.study, len(table.study.seeds)
    kind = "Wilson, over test images" if seeds == 1 else "over seeds and test images"
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
        f" mean ± half-width of the 95% interval ({kind})."
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
    (standings, bases), seeds = _standings(table, documents), len(table.study.seeds)
    entries = {
        cell.key: _entry(documents[cell.key], standings.get(cell.key, ""), seeds)
        for cell in table.cells()
    }

    def of(row: Row) -> list[Entry]:
        return [entries[cell.key] for cell in table.cells() if cell.row.key == row.key]

    common, marks = _marks(table)
    readings = (
        f" Our readings of what the paper leaves open: {', '.join(common)} behind every number,"
        " others marked at their rows."
    )
    context = {
        "table": table,
        "note": _note(table, documents, bases) + readings,
        "marks": marks,
        "datasets": [DATASETS[name].title for name in table.datasets],
        "entries": of,
        "columns": len(table.datasets) * len(table.columns),
        "widths": _column_groups(table),
        "tex_headings": [c.heading.replace(BEYOND, DAGGER) for c in table.columns],
    }
    return {
        "tex": _render("accuracy.tex.j2", context),
        "md": _render("accuracy.md.j2", context),
        "html": accuracy_page(context),
        "csv": _csv(table, documents),
    }


def _column_groups(table: Table) -> list[tuple[str, int, int]]:
    """(dataset, first column, last column) for the rules below the datasets' names."""
    k = len(table.columns)
    return [(DATASETS[d].title, 2 + i * k, 1 + (i + 1) * k) for i, d in enumerate(table.datasets)]


def _csv(table: Table, documents: dict[str, dict[str, Any]]) -> str:
    import pandas as pd

    records = []
    for cell in table.cells():
        document = documents[cell.key]
        low, high = document["interval"] or (None, None)
        records.append(
            {name: document[name] for name in ("table", "row", "dataset", "probe", "metric")}
            | {"seeds": len(document["values"]), "n_test": document["n_test"]}
            | {"mean": document["mean"], "sd": document["sd"], "low": low, "high": high}
            | {"paper": document["paper"], "values": " ".join(map(str, document["values"]))}
            | {"our_readings": " ".join(_by_number(_our_readings(cell)))}
            | {"beyond_the_paper": cell.column.beyond}
        )
    return str(pd.DataFrame(records).to_csv(index=False, lineterminator="\n"))


def _architecture(name: str) -> dict[str, str]:
    import pandas as pd

    from patchvae.analysis.parameters import heading, networks
    from patchvae.paper.published import parameters

    columns = [network for network in networks() if network.key.table == name]
    published = parameters()
    context = {
        "name": name,
        "caption": ARCHITECTURE_TABLES[name],
        "headings": [heading(network) for network in columns],
        "parts": [(part, [c.parts[part] for c in columns]) for part in columns[0].parts],
        "ours": [network.parameters for network in columns],
        "paper": [published[network.key] for network in columns],
    }
    records = [
        {"key": str(c.key), "paper": published[c.key], "ours": c.parameters,
         "equal": c.parameters == published[c.key]}
        for c in columns
    ]  # fmt: skip
    return {
        "tex": _render("architecture.tex.j2", context),
        "md": _render("architecture.md.j2", context),
        "html": architecture_page(context),
        "csv": str(pd.DataFrame(records).to_csv(index=False, lineterminator="\n")),
    }


def latex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    for character in "&%$#_{}":
        text = text.replace(character, f"\\{character}")
    return text.replace("±", r"$\pm$").replace(BEYOND, DAGGER)


def _render(template: str, context: dict[str, Any]) -> str:
    templates = environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    templates.filters["latex"] = latex
    return templates.get_template(template).render(context)
