"""What the rules share: studies, artefact names and the digests that decide what is rerun."""

import os
import sys
import threading
from functools import wraps
from pathlib import Path

from snakemake.exceptions import WorkflowError

from patchvae.errors import SuiteError
from patchvae.figures.products import document_of, page_inputs, products_of, tables_of
from patchvae.figures.targets import refuse_unknown
from patchvae.planning.jobs import parse_training
from patchvae.planning.work import gpus
from patchvae.runtime.cluster import check_slurm, requeue_preempted
from patchvae.runtime.forward import forward_sigterm
from patchvae.runtime.heads import enter
from patchvae.runtime.stop import WITH_PARENT
from patchvae.study import paths, sources
from patchvae.study.config import find_dataset, study_names
from patchvae.study.registry import PROBES
from patchvae.study.sensitivity import SENSITIVITY
from patchvae.study.table_specs import ARCHITECTURE_TABLES, RESERVED
from patchvae.study.tables import find_cell, study_cells

# Jobs run `python -m patchvae` with the interpreter that runs Snakemake, activated or not; a conda
# environment, where asked for, comes before it.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)


# A training whose Snakemake was killed saves its state and ends.
os.environ[WITH_PARENT] = "1"


# Jobs know their files by name, so a module that moves them would plan well and fail at run time.
for top in ("results/", "tables/", "figures/", "logs/"):
    if (moved := workflow.modifier.path_modifier.replace_prefix(top)) != top:
        raise WorkflowError(
            "a module of this workflow has no `prefix` or `replace_prefix`"
            f" ({top} would be {moved}): leave it out;"
            " `snakemake --directory FOLDER` puts everything below another folder"
        )

# A conda environment has what the package needs and not the package, which jobs then find in the
# folder that they run in.
if "conda" in map(str, workflow.deployment_settings.deployment_method):
    if Path.cwd() != paths.PACKAGE.parent:
        raise WorkflowError(
            f"`--sdm conda` works at the top of a checkout only, and {Path.cwd()} is none:"
            " activate an environment with the package instead"
        )


envvars:
    "PATH",


# Used with `--sdm apptainer` alone, by which jobs run in it (docs/containers.md).
container: "patchvae.sif"


if "SLURM_JOB_ID" in os.environ:
    forward_sigterm()


def in_one_line(function):
    """Our errors end Snakemake, which would add a dozen lines to them."""

    @wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except SuiteError as error:
            sys.exit(f"patchvae: error: {error}")

    return wrapped


if workflow.is_main_process:
    in_one_line(enter)()


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
        # an option of newer plugins only
        arrays = getattr(workflow.executor_settings, "array_jobs", None)
        in_one_line(check_slurm)(arrays)
        requeue_preempted()


def drop_timers():
    """End the waits of `max-jobs-per-timespan`, for which Snakemake would stay up to a minute at the end."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


onsuccess:
    drop_timers()


onerror:
    drop_timers()


def clear(function):
    """Our errors, one line each, as Snakemake's."""

    @wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except SuiteError as error:
            raise WorkflowError(str(error)) from None

    return wrapped


# Tables and figures of the paper lie at the top, those of other studies one folder down: `below` is empty or a
# slash and the study.
wildcard_constraints:
    below=r"(/[a-z0-9][a-z0-9-]*)?",
    study=r"[a-z0-9][a-z0-9-]*",
    dataset=r"[a-z0-9]+",
    model=r"[a-z0-9-]+",
    variant=r"[A-Za-z0-9_.=+-]+",
    seed=r"0|[1-9][0-9]*",
    probe=r"[a-z0-9-]+(\+[A-Za-z0-9_.=+-]+)?",
    table=rf"(?!(?:{'|'.join(RESERVED)})\.)[a-z0-9][a-z0-9-]*",
    row=r"[A-Za-z0-9_.=,+-]+",
    column=r"[a-z0-9]+-[A-Za-z0-9-]+",


def study_of(wildcards):
    """The study of a path that names it, or of a table or figure: none below is the paper's."""
    if "below" in wildcards.keys():
        return wildcards.below.removeprefix("/") or paths.MAIN_STUDY
    return wildcards.study


@clear
def config_of(wildcards):
    """The resolved configuration of a pretraining or probe."""
    stage = wildcards.get("probe", "pretrain")
    return parse_training(f"{paths.RUN.format(**wildcards)}/{stage}")


def gpus_of(wildcards):
    return gpus(config_of(wildcards))


def cells_of(study, table=None):
    """The files of every cell of a study, or of one of its tables."""
    return [str(cell.path) for cell in clear(study_cells)(study, table)]


def table_outputs(caption, name="{table}"):
    """A table's four files, the HTML one in Snakemake's report."""
    shown = report(
        f"tables{{below}}/{name}.html",
        caption=f"../report/{caption}.rst",
        category="Tables",
        subcategory=study_of,
        labels=lambda w: table_labels(w.get("table", name)),
    )
    files = [f"tables{{below}}/{name}.{suffix}" for suffix in paths.TABLE_FORMATS]
    return [*files, shown]


def table_labels(table):
    """`Table 1`; a figure space before one digit, since the report sorts labels as text."""
    number = table.removeprefix("table")
    return {"table": f"Table {number:\u2007>2}"}
