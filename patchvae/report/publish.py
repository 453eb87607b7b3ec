"""A finished study in the repository: its numbers under published/ and the page that shows them.

published/ repeats the layout of results/ and tables/ with what is small: cells, one line for each
job (cost and provenance), loss terms by epoch, the posteriors' table. Checkpoints stay where they
are. A page docs/results-<study>.md is prose with blocks

    <!-- published: table1 -->
    ...
    <!-- end -->

whose content is made from published/ alone, so that a test can hold it equal. `study_pages.py`
makes it.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from patchvae.analysis.cells import read_cell
from patchvae.analysis.history import read_history
from patchvae.errors import CheckpointError, ConfigError
from patchvae.report.grid import csv_text
from patchvae.report.picture import read_picture
from patchvae.report.published import BLOCK, JOBS, PUBLISHED, TERMS, blocks, page_path, skeleton
from patchvae.runtime.progress import log
from patchvae.runtime.results import read_result, write_bytes, write_text
from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.registry import ARCHITECTURES, MODELS
from patchvae.study.runs import ProbeConfig, Run
from patchvae.study.tables import Cell, study_cells

MADE = (
    "started", "ended", "device", "threads", "processes", "runs_per_gpu", "deterministic", "graphs",
    "python",
)  # fmt: skip


def publish(study: str) -> list[Path]:
    """Copy what a study's tables rest on to published/ and fill its page.

    A new page has every block. A table of which no cell was made is left for another time, and
    said so.

    CheckpointError names the first cell, run or table that is missing, altered or stale.
    """
    cells = _begun(study)
    for cell in cells:
        read_cell(cell)
    jobs, terms = list(_jobs(cells)), list(_terms(_pretrained(cells)))
    folder, posterior = PUBLISHED / paths.RESULTS / study, paths.table(study, "posterior", "csv")
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier form of the study had
    (PUBLISHED / posterior).unlink(missing_ok=True)
    written = [_copy(cell.path) for cell in cells]
    written += [_write_csv(folder / JOBS, jobs), _write_csv(folder / TERMS, terms)]
    if posterior.exists():
        written.append(_copy(posterior))
    page = page_path(study)
    content = blocks(study)
    text = page.read_text(encoding="utf-8") if page.exists() else skeleton(study, content)
    write_text(page, fill(text, content, str(page)))
    return [*written, page, *_pictures(study, page)]


def _begun(study: str) -> list[Cell]:
    """The cells of the tables that have any; those of the others are named in the log."""
    tables = {name: study_cells(study, name) for name in load_study(study).tables}
    begun = {name: any(c.path.exists() for c in cells) for name, cells in tables.items()}
    if not any(begun.values()):
        raise CheckpointError(f"study '{study}' has no cell: snakemake {study} makes them")
    for name in (name for name in tables if not begun[name]):
        log(f"{study}/{name}: no cell was made, so nothing of it is published")
    return [cell for name in tables if begun[name] for cell in tables[name]]


def fill(page: str, content: Mapping[str, str], name: str) -> str:
    """The page with the content of its blocks made anew; ConfigError for an unknown block."""

    def block(match: re.Match[str]) -> str:
        if match["name"] not in content:
            raise ConfigError(
                f"{name}: no block '{match['name']}': choose from {', '.join(content)}"
            )
        return f"{match['head']}\n{content[match['name']].strip()}\n{match['tail']}"

    return BLOCK.sub(block, page)


def _copy(path: Path) -> Path:
    target = PUBLISHED / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target


def _write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    write_text(path, csv_text(records))
    return path


def _probes(cells: Sequence[Cell]) -> list[ProbeConfig]:
    return list({probe.folder: probe for cell in cells for probe in cell.probes()}.values())


def _pretrained(cells: Sequence[Cell]) -> list[Run]:
    """The runs behind the cells that were trained, each once."""
    runs = {probe.run.name: probe.run for probe in _probes(cells)}
    return [r for r in runs.values() if ARCHITECTURES[MODELS[r.model].architecture].trained]


def _jobs(cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """One record for each pretraining and probe: time, memory and provenance."""
    stages = [(run.pretrain, "pretrain") for run in _pretrained(cells)]
    stages += [(probe.folder, "probe") for probe in _probes(cells)]
    for folder, kind in stages:
        yield job_record(folder, kind)


def job_record(folder: Path, kind: str) -> dict[str, Any]:
    """Time, memory and provenance of a finished pretraining or probe."""
    metrics = read_result(folder / paths.METRICS, kind, check_files=False)
    made = metrics["provenance"]
    return {
        "run": metrics["run"],
        "stage": folder.name,
        "seconds": metrics["wall_seconds"],
        "peak_memory_mib": made["peak_memory_mib"],
        **{name: made[name] for name in MADE},
        **{name: made["host"][name] for name in ("cpu", "cores", "system")},
        **{name: made["git"][name] for name in ("commit", "dirty")},
        **{name: made["versions"][name] for name in sorted(made["versions"])},
        "digest": metrics["digest"],
    }


def _terms(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """The loss terms of every run and epoch, to six digits."""
    for run in runs:
        history = read_history(run)
        for i, epoch in enumerate(history.epochs):
            numbers = {name: f"{values[i]:.6g}" for name, values in history.terms.items()}
            yield {"run": run.name, "epoch": f"{epoch:.0f}", **numbers}


def _pictures(study: str, page: Path) -> Iterator[Path]:
    """Each `images/<study>/<figure>.png` that the page shows, from the study's figures."""
    for name in re.findall(rf"\]\(images/{study}/([^)]+)\)", page.read_text(encoding="utf-8")):
        figure, shown = paths.output("figures", study, name), page.parent / "images" / study / name
        if not os.path.lexists(figure):
            raise ConfigError(f"{page} shows {name}, but {figure} is not drawn: snakemake {figure}")
        write_bytes(shown, read_picture(figure))
        yield shown
