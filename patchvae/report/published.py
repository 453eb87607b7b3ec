"""The blocks of a published study's page, made from published/ alone."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from patchvae.analysis.compare import compare_study
from patchvae.analysis.pairs import differences
from patchvae.report import editions
from patchvae.report.compare_views import render
from patchvae.report.grid import markdown_table
from patchvae.report.pair_views import as_markdown
from patchvae.report.posterior import posterior_sheet
from patchvae.report.tables import table_texts
from patchvae.study import paths
from patchvae.study.config import Study, load_study
from patchvae.study.registry import DATASETS, MODELS
from patchvae.study.tables import load_table

PUBLISHED = paths.PUBLISHED
RESTATED = Path(__file__).parents[1] / "paper" / "restated.yaml"
JOBS, TERMS = "jobs.csv", paths.TERMS
BLOCK = re.compile(
    r"(?P<head><!-- published: (?P<name>[\w-]+) -->)\n.*?(?P<tail><!-- end -->)", re.DOTALL
)
SHOWN_EPOCHS = 6


def page_path(study: str) -> Path:
    """The page of a study's results."""
    return Path("docs") / f"results-{study}.md"


def folder_of(study: str) -> Path:
    """Where a study's cells are: its results, or what is published where it was not run here."""
    own = paths.RESULTS / study
    return own if (own / "cells").exists() else PUBLISHED / own


def skeleton(study: str, names: Iterable[str]) -> str:
    """A page with these blocks, still empty, to write around."""
    empty = "\n\n".join(f"<!-- published: {name} -->\n<!-- end -->" for name in names)
    return f"# {load_study(study).title}\n\n{empty}\n"


def blocks(study: str) -> dict[str, str]:
    """Every block by name, as Markdown."""
    comparison = compare_study(study, root=PUBLISHED)
    folder = PUBLISHED / paths.RESULTS / study / "cells"
    found = {
        name: table_texts(study, name, partial=True, root=PUBLISHED)["md"]
        for name in comparison.study.tables
        if (folder / name).exists()
    }
    for name in list(found):
        table = load_table(study, name)
        if table.pairs:
            found[f"{name}-differences"] = as_markdown(table, differences(table, PUBLISHED))
    found["claims"] = render("claims.md.j2", comparison)
    restated = compare_study(study, RESTATED, root=PUBLISHED)
    found["restated"] = render("claims.md.j2", restated)
    found["noise"] = render("noise.md.j2", comparison)
    shown = _runs_of_first_table(comparison.study)
    terms = [t for t in _read(paths.RESULTS / study / TERMS) if t["run"] in shown]
    found["training"] = _training(terms)
    jobs = _read(paths.RESULTS / study / JOBS)
    found["cost"], found["provenance"] = _cost(jobs), _provenance(jobs)
    if editions.editions(study):
        found["editions"] = editions.as_markdown(study)
    posterior = paths.table(study, "posterior", "csv")
    if (PUBLISHED / posterior).exists():
        sheet = posterior_sheet([_numbers(record) for record in _read(posterior)])
        found["posterior"] = sheet.files(study)[paths.table(study, "posterior", "md")]
    return found


def read_jobs(study: str, root: Path = PUBLISHED) -> dict[tuple[str, str], dict[str, str]]:
    """The published jobs of a study by run and stage."""
    jobs = _read(paths.RESULTS / study / JOBS, root)
    return {(job["run"], job["stage"]): job for job in jobs}


def _read(path: Path, root: Path = PUBLISHED) -> list[dict[str, str]]:
    with (root / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _numbers(record: Mapping[str, str]) -> dict[str, Any]:
    """A csv record with its numbers as such and without what is empty."""
    words = ("dataset", "model")
    return {k: v if k in words else float(v) for k, v in record.items() if v}


def _runs_of_first_table(study: Study) -> set[str]:
    cells = load_table(study.name, next(iter(study.tables))).cells()
    return {probe.run.name for cell in cells for probe in cell.probes()}


def _training(terms: Sequence[Mapping[str, str]]) -> str:
    """Each loss term of the first table's runs by epoch, means over seeds; of many epochs some."""
    runs: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for record in terms:
        _, dataset, model, _, _ = record["run"].split("/")
        for name, text in record.items():
            if name not in ("run", "epoch", "images_per_second") and text:
                by_epoch = runs.setdefault((DATASETS[dataset].title, MODELS[model].title, name), {})
                by_epoch.setdefault(record["epoch"], []).append(float(text))
    epochs = list(dict.fromkeys(record["epoch"] for record in terms))
    step = (len(epochs) - 1) / (SHOWN_EPOCHS - 1)
    chosen = list(dict.fromkeys(epochs[round(i * step)] for i in range(SHOWN_EPOCHS)))
    rows = [
        [*words, *(_short(by_epoch.get(epoch, [])) for epoch in chosen)]
        for words, by_epoch in runs.items()
    ]
    return markdown_table(
        ["dataset", "model", "term", *(f"epoch {epoch}" for epoch in chosen)], rows, 3
    )


def _short(values: Sequence[float]) -> str:
    mean = fmean(values) if values else None
    return "" if mean is None else f"{mean:,.0f}" if abs(mean) >= 1000 else f"{mean:.3g}"


def _cost(jobs: Sequence[Mapping[str, str]]) -> str:
    """Jobs, seconds a job and hours in all: pretraining by model, and each probe."""
    groups: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for job in jobs:
        model = MODELS[job["run"].split("/")[2]].title if job["stage"] == "pretrain" else "any"
        groups.setdefault((job["stage"], model), []).append(job)
    rows = [[*group, *_sums(found)] for group, found in groups.items()]
    headings = ["stage", "model", "jobs", "seconds a job", "hours", "peak memory (MiB)"]
    return markdown_table(headings, [*rows, ["all", "", *_sums(jobs)]], 2)


def _sums(jobs: Sequence[Mapping[str, str]]) -> list[str]:
    seconds = [float(job["seconds"]) for job in jobs]
    memory = max(int(job["peak_memory_mib"]) for job in jobs)
    return [str(len(jobs)), f"{fmean(seconds):.0f}", f"{sum(seconds) / 3600:.2f}", str(memory)]


def _provenance(jobs: Sequence[Mapping[str, str]]) -> str:
    """When and with what all jobs ran.

    Every value of every column that is the same for many jobs.
    """
    starts, ends = (sorted(job[name] for job in jobs) for name in ("started", "ended"))
    wall = datetime.fromisoformat(ends[-1]) - datetime.fromisoformat(starts[0])
    minutes = wall.total_seconds() / 60
    own = ("run", "stage", "seconds", "peak_memory_mib", "started", "ended", "digest")
    rows = [["first start", starts[0]], ["last end", f"{ends[-1]}, {minutes:.0f} minutes later"]]
    for name in (name for name in jobs[0] if name not in own):
        rows.append([name, ", ".join(sorted({job[name] for job in jobs if job[name]}))])
    return markdown_table(["what", "value"], rows, 2)
