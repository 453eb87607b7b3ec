"""The name of every artefact. The Snakefile imports these too, so no path is written twice.

All are relative to the folder the suite is run in. The paper's own tables and figures lie at the
top (`tables/table1.tex`), those of other studies one folder down (`tables/demo/table1.tex`).
"""

from pathlib import Path

CONFIG = Path("config")
RESULTS = Path("results")
LOGS = Path("logs")
PUBLISHED = Path("published")  # results of finished studies, in the layout of here
SCHEMAS = Path(__file__).resolve().parents[2] / "workflow" / "schemas"

MAIN_STUDY = "paper"
TABLE_FORMATS = ("tex", "csv", "md")

RUN = "results/{study}/runs/{dataset}/{model}/{variant}/seed{seed}"
CELL = "results/{study}/cells/{table}/{row}/{column}.json"
ENCODER, MODEL, METRICS = "encoder.safetensors", "model.safetensors", "metrics.json"
RESOLVED, HISTORY, PREDICTIONS = "config.yaml", "history.csv", "predictions.npz"
SNAPSHOTS = "snapshots.safetensors"
PRETRAIN_FILES = (ENCODER, MODEL, RESOLVED, METRICS, HISTORY, SNAPSHOTS)
PROBE_FILES = (METRICS, PREDICTIONS, RESOLVED, HISTORY)


def study(name: str, folder: Path = CONFIG) -> Path:
    """Where a study is written."""
    return folder / f"{name}.yaml"


def prepared(dataset: str) -> Path:
    """The copy of a dataset's manifest that tells the DAG that it is prepared."""
    return RESULTS / "datasets" / f"{dataset}.json"


def state(run: str, stage: str, key: str) -> Path:
    """Where the unfinished stage of a run with this digest keeps its states; no rule's output.

    The folder above gathers the stage's states with other configurations, code or images.
    """
    study, rest = run.split("/", 1)
    return RESULTS / study / "state" / rest / stage / key[:32]


def lock(study: str, name: str) -> Path:
    """The lock of one run's stage."""
    return RESULTS / study / "locks" / f"{name.replace('/', ':')}.lock"


def table(study: str, name: str, suffix: str) -> Path:
    """`tables/table1.tex` for the paper's study, `tables/<study>/table1.tex` for the others."""
    return output("tables", study, f"{name}.{suffix}")


def output(folder: str, study: str, name: str) -> Path:
    """A file in `tables/` or `figures/`, below the study's name unless it is the paper's."""
    return Path(folder) / name if study == MAIN_STUDY else Path(folder) / study / name
