"""One self-contained HTML page for a study: numbers, figures, claims, protocol and provenance.

No network, no date of its own: the same results give the same bytes. What is missing is said.
"""

import base64
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.analysis.compare import Comparison, Row, compare_study
from patchvae.analysis.pairs import differences
from patchvae.report import pair_views
from patchvae.report.compare_views import CLAIM_TEXTS
from patchvae.report.markup import html
from patchvae.report.picture import read_picture
from patchvae.report.provenance import provenance
from patchvae.report.tables import CHANCE, chance, half_width
from patchvae.report.templating import environment
from patchvae.runtime.results import write_text
from patchvae.study import paths
from patchvae.study.address import CellKey
from patchvae.study.config import Study
from patchvae.study.protocol import show
from patchvae.study.readings import readings
from patchvae.study.registry import DATASETS
from patchvae.study.tables import Cell, Table, load_table, study_cells

CAPTIONS = paths.shipped("workflow/report")
# verdict -> a mark, so that colour is never needed alone
MARKS = {
    "reproduced": "✓",
    "consistent": "≈",
    "inconclusive": "?",
    "differs": "≠",
    "failed": "✗",
    "not run": "–",
}


@dataclass(frozen=True)
class Illustration:
    """A figure for the page: its name, title and files, which may not be drawn yet."""

    name: str
    title: str
    png: Path
    pdf: Path

    @property
    def caption(self) -> str:
        """The text of `workflow/report/<name>.rst`, which Snakemake's report shows too."""
        return " ".join((CAPTIONS / f"{self.name}.rst").read_text(encoding="utf-8").split())

    @property
    def alternative(self) -> str:
        """What the picture shows, for those who do not see it: the caption's first sentence."""
        return f"{self.title}. {re.split(r'(?<=[.]) ', self.caption)[0]}"

    @property
    def source(self) -> str:
        """The PNG as a data URI, empty when it is not drawn."""
        if not os.path.lexists(self.png):
            return ""
        return f"data:image/png;base64,{base64.b64encode(read_picture(self.png)).decode()}"


def texts() -> list[Path]:
    """The templates and captions behind the page, for the workflow."""
    templates = Path(__file__).with_name("templates")
    return [*sorted(templates.glob("report*.j2")), *sorted(CAPTIONS.glob("*.rst"))]


def write_page(study: str, illustrations: Sequence[Illustration]) -> Path:
    """Write `results/<study>/report.html`; missing cells, runs and figures are named as such.

    Beside it `report-numbers.html`, without the figures: browsers show nothing of a page above 2 MB
    inside Snakemake's report, which has the figures anyway. CheckpointError for a result that was
    altered or is of another configuration.
    """
    values = context(study, illustrations)
    folder = paths.RESULTS / study
    write_text(folder / "report-numbers.html", render(values | {"illustrations": []}))
    write_text(folder / "report.html", render(values))
    return folder / "report.html"


def context(study_name: str, illustrations: Sequence[Illustration]) -> dict[str, Any]:
    """Everything that the template shows."""
    comparison = compare_study(study_name)
    study = comparison.study
    rows = {row.key: row for row in comparison.rows}
    cells = study_cells(study_name)
    details = {cell.key: detail(cell, rows[cell.address]) for cell in cells}
    return {
        "study": study,
        "comparison": comparison,
        "headline": headline(comparison),
        "half_width": half_width(study),
        "tables": [table_view(load_table(study_name, name), rows) for name in study.tables],
        "counts": list(parameter_counts()),
        "details": json.dumps(details, ensure_ascii=False).replace("<", "\\u003c"),
        "illustrations": illustrations,
        "protocol": list(protocol_rows(study)),
        "readings": list(readings().values()),
        "provenance": provenance(cells),
        "marks": MARKS,
        "datasets": DATASETS,
        "chance": CHANCE,
    } | CLAIM_TEXTS


def headline(comparison: Comparison) -> str:
    """The one sentence to take away; of the claims only what rests on two seeds or more."""
    done = sum(bool(row.values) for row in comparison.rows)
    said = [f"{done} of {len(comparison.rows)} cells have numbers"]
    if comparison.judged:
        published = [row for row in comparison.rows if row.paper is not None]
        agreeing = sum(row.word in ("reproduced", "consistent") for row in published)
        of = f"{agreeing} of {len(published)} published accuracies"
        said.append(f"{of} are reproduced or consistent")
    words = [judged.word for judged in comparison.claims if judged.seeds > 1]
    if words:
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        said.append(f"of {len(words)} statements of the paper that can be tested here {counts}")
    return f"{'; '.join(said)}."


def table_view(table: Table, rows: dict[CellKey, Row]) -> dict[str, Any]:
    """A table's caption, heading and panels; each line has a label and its comparison rows."""
    cells = table.cells()
    panels = [
        {
            "header": html(panel.header),
            "groups": [
                [
                    (html(row.label), [rows[c.address] for c in cells if c.row == row])
                    for row in group
                ]
                for group in panel.groups
            ],
        }
        for panel in table.panels
    ]
    columns = [
        (DATASETS[d].title, column.heading) for d in table.datasets for column in table.columns
    ]
    chances = [chance(d, column) for d in table.datasets for column in table.columns]
    return {
        "name": table.name,
        "title": f"Table {table.name.removeprefix('table')}",
        "caption": html(table.caption),
        "beyond": table.beyond,
        "panels": panels,
        "columns": columns,
        "chances": chances,
        **differences_view(table),
    }


def differences_view(table: Table) -> dict[str, Any]:
    """The differences that the study asks for, none where it asks for none."""
    if not table.pairs:
        return {"differences": []}
    found = differences(table)
    return {
        "differences": [[html(text) for text in row] for row in pair_views.rows(found)],
        "differences_headings": pair_views.headings(table),
        "differences_lead": pair_views.lead(table, found),
    }


def detail(cell: Cell, row: Row) -> dict[str, Any]:
    """What a click on a cell shows: label and text, in order, then its readings and commands."""
    probes = cell.probes()
    facts = {
        "Cell": cell.name,
        "Model": f"{cell.row.model}, {probes[0].run.variant}",
        "Dataset, probe": (
            f"{DATASETS[cell.dataset].title}, {probes[0].stage} ({cell.column.metric})"
        ),
        "Result": row.word,
    }
    if row.mean is not None and row.interval is not None:
        low, high = row.interval
        facts["Mean"] = f"{row.mean:.2f} % over {len(row.values)} of {len(probes)} seeds"
        facts["95 % interval"] = f"{low:.2f} to {high:.2f} ({row.interval_kind})"
        facts["By seed"] = ", ".join(f"{seed}: {value:.2f}" for seed, value in row.values.items())
        facts["Test images"] = f"{row.n_test:,}"
    if row.paper is not None:
        facts["Paper"] = f"{row.paper:.2f} %"
    if row.verdict is not None:
        judged = row.verdict
        facts["Difference"] = f"{judged.difference:+.2f} points"
        facts["Consistent within"] = f"{judged.consistent_within:.2f} points"
        facts["Margin"] = f"{judged.margin:.2f} points"
    for seed, error in row.failed.items():
        facts[f"Seed {seed} failed"] = error
    facts["Files"] = " ".join(str(probe.folder) for probe in probes)
    used = [f"{name}: {readings()[name].reading}" for name in row.readings]
    return {"facts": facts, "readings": used, "commands": commands(cell)}


def commands(cell: Cell) -> dict[str, str]:
    """What to type to get the cell: what is missing only, or all trained anew."""
    return {
        "make what is missing": f"snakemake {cell.path}",
        "train again": f"snakemake {cell.path} --forcerun pretrain probe",
    }


def parameter_counts() -> Iterator[dict[str, Any]]:
    """The paper's parameter counts beside those of our modules, which are counted now."""
    from patchvae.analysis.parameters import compare_counts

    for key, paper, ours in compare_counts():
        yield {"key": str(key), "paper": paper, "ours": ours, "equal": ours == paper}


def protocol_rows(study: Study) -> Iterator[dict[str, Any]]:
    """Each protocol key with its value for each of the study's datasets and who chose it."""
    for key, entry in study.defaults.items():
        values = [study.value(key, dataset) for dataset in study.datasets]
        yield {
            "key": key,
            "values": [show(value.value) for value in values],
            "source": ", ".join(dict.fromkeys(value.source for value in values)),
            "reading": entry.reading or "",
            "about": entry.about,
        }


def render(values: dict[str, Any]) -> str:
    """The page from its context."""
    return environment(autoescape=True).get_template("report.html.j2").render(values)
