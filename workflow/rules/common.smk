"""What the rules share: studies, artefact names and the digests that decide what is rerun."""

import os
import signal
import sys
import threading
from functools import wraps
from pathlib import Path

import psutil
from snakemake.exceptions import WorkflowError

from patchvae.study import paths, sources
from patchvae.study.config import load_study
from patchvae.errors import SuiteError
from patchvae.study.registry import PROBES
from patchvae.study.tables import ARCHITECTURE_TABLES, RESERVED, table_names
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.tables import find_cell, load_table

# Jobs run `python -m patchvae` with the interpreter that runs Snakemake, activated or not; a conda
# environment, where asked for, comes before it.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)


envvars:
    "PATH",


def forward_sigterm():
    """Pass SIGTERM on to the training: with proctrack/cgroup Slurm signals the first process only."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)

    def forward():
        while number := os.read(read, 1):
            if number[0] == signal.SIGTERM:
                for child in psutil.Process().children(recursive=True):
                    child.send_signal(signal.SIGTERM)

    threading.Thread(target=forward, daemon=True).start()


if "SLURM_JOB_ID" in os.environ:
    forward_sigterm()


def check_folders():
    """Refuse names that the Slurm plugin's shell line, in double quotes, would execute or lose."""
    named = {
        "the project's folder": os.getcwd(),
        "the Snakefile's folder": workflow.basedir,
        "the interpreter": sys.executable,
        "PATH": os.environ["PATH"],
    }
    for what, name in named.items():
        if found := sorted(set(str(name)) & set('$`"\\\n')):
            raise WorkflowError(
                f"{what} {str(name)!r} contains {' '.join(map(repr, found))}, which is not safe in a Slurm job:"
                " move the project to a folder without it (without Slurm it runs here too)"
            )


onstart:
    if workflow.executor_plugin.name == "slurm":
        check_folders()


def drop_timers():
    """End the waits of `max-jobs-per-timespan`, for which Snakemake would stay up to a minute at the end."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


onsuccess:
    drop_timers()


onerror:
    drop_timers()


# Datasets of image files, decoded by every core that the job may run on.
DECODED = ("indoor67", "places205", "imagenet")


def clear(function):
    """Our errors, one line each, as Snakemake's."""

    @wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except SuiteError as error:
            raise WorkflowError(str(error)) from None

    return wrapped


wildcard_constraints:
    study=r"[a-z0-9][a-z0-9-]*",
    dataset=r"[a-z0-9]+",
    model=r"[a-z0-9-]+",
    variant=r"[A-Za-z0-9.-]+",
    seed=r"0|[1-9][0-9]*",
    probe=r"[a-z0-9-]+",
    table=rf"(?!(?:{'|'.join(RESERVED)})\.)[a-z0-9][a-z0-9-]*",
    row=r"[A-Za-z0-9_.=,+-]+",
    column=r"[a-z0-9]+-[A-Za-z0-9-]+",


def study_of(wildcards):
    return wildcards.get("study", paths.MAIN_STUDY)


@clear
def run_of(wildcards):
    return resolve_run(
        Run(
            wildcards.study,
            wildcards.dataset,
            wildcards.model,
            wildcards.variant,
            int(wildcards.seed),
        )
    )


@clear
def probe_of(wildcards):
    return resolve_probe(run_of(wildcards).run, wildcards.probe)


@clear
def gpus_of(wildcards):
    """GPUs, and with each a process and a core, that share a training."""
    if wildcards.get("probe") is None and run_of(wildcards).pretrain is None:
        return 1
    return load_study(wildcards.study).gpus(wildcards.dataset)


@clear
def tables_of(study):
    """The .tex of every table of a study."""
    names = table_names(study)
    return [str(paths.table(study, name, "tex")) for name in names]


@clear
def cell_of(wildcards):
    return find_cell(wildcards.study, wildcards.table, wildcards.row, wildcards.column)


@clear
def table_cells(wildcards):
    """Every cell of an accuracy table."""
    return [
        str(cell.path)
        for cell in load_table(study_of(wildcards), wildcards.table).cells()
    ]


@clear
def study_cells(wildcards):
    """Every cell of a study."""
    return [
        str(cell.path)
        for name in load_study(wildcards.study).tables
        for cell in load_table(wildcards.study, name).cells()
    ]


@clear
def document_of(study):
    """The PDF of all tables of a study."""
    load_study(study)
    return str(paths.output("tables", study, "tables.pdf"))


@clear
def page_inputs(wildcards):
    """Every number and picture of a study."""
    study = wildcards.study
    tables = load_study(study).tables
    cells = [cell.path for table in tables for cell in load_table(study, table).cells()]
    counts = [paths.table(study, name, "csv") for name in page.COUNTED]
    figures = [Target(study, FIGURES[name]).path("png") for name in figure_names(study)]
    return [str(path) for path in (*cells, *counts, *figures)]


def products_of(study):
    """Every table and figure of a study, its comparison, and the page that shows them all."""
    return [
        *tables_of(study),
        *figures_of(study),
        f"{paths.RESULTS}/{study}/comparison.html",
        f"{paths.RESULTS}/{study}/report.html",
    ]


def table_outputs(study, caption):
    """A table's four files, the HTML one in Snakemake's report; no study means the paper's."""
    base = f"tables/{study}/{{table}}" if study else "tables/{table}"
    shown = report(
        f"{base}.html",
        caption=f"../report/{caption}.rst",
        category="Tables",
        subcategory=study or paths.MAIN_STUDY,
        labels=table_labels,
    )
    return [f"{base}.{suffix}" for suffix in paths.TABLE_FORMATS] + [shown]


def table_labels(wildcards):
    """`Table 1`; a figure space before one digit, since the report sorts labels as text."""
    number = wildcards.table.removeprefix("table")
    return {"table": f"Table {number:\u2007>2}"}
