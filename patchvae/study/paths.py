"""The name of every artefact. The Snakefile imports these too, so no path is written twice.

All are relative to the folder the suite is run in. The paper's own tables and figures lie at the
top (`tables/table1.tex`), those of other studies one folder down (`tables/demo/table1.tex`). What
comes with the suite, studies and workflow above all, lies in `SHIPPED`.
"""

from pathlib import Path

from patchvae.errors import ConfigError

PACKAGE = Path(__file__).resolve().parents[1]
# a wheel has the folders of the repository's top inside the package, a checkout beside it
SHIPPED = next(folder for folder in (PACKAGE / "shipped", PACKAGE.parent) if folder.is_dir())

CONFIG = Path("config")
RESULTS = Path("results")
LOGS = Path("logs")
PUBLISHED = Path("published")  # repeats the layout of this folder

MAIN_STUDY = "paper"
TABLE_FORMATS = ("tex", "csv", "md")

RUN = "results/{study}/runs/{dataset}/{model}/{variant}/seed{seed}"
CELL = "results/{study}/cells/{table}/{row}/{column}.json"
ENCODER, MODEL, METRICS = "encoder.safetensors", "model.safetensors", "metrics.json"
RESOLVED, HISTORY, PREDICTIONS = "config.yaml", "history.csv", "predictions.npz"
TERMS = "terms.csv"  # of a published study
SNAPSHOTS = "snapshots.safetensors"
PRETRAIN_FILES = (ENCODER, MODEL, RESOLVED, METRICS, HISTORY, SNAPSHOTS)
PROBE_FILES = (METRICS, PREDICTIONS, RESOLVED, HISTORY)


def shipped(name: str) -> Path:
    """A file or folder that comes with the suite, `workflow/Snakefile` for example."""
    return SHIPPED / name


def config_folders() -> list[Path]:
    """Where configuration is looked for: the working folder's `config/`, then the shipped one."""
    same = CONFIG.resolve() == shipped("config").resolve()
    return [CONFIG] if same else [CONFIG, shipped("config")]


def config(name: str) -> Path:
    """`config/<name>` of the working folder, else the shipped one.

    ConfigError names the folders when neither is there.
    """
    for folder in config_folders():
        if (folder / name).exists():
            return folder / name
    raise ConfigError(f"{CONFIG / name} does not exist: looked in {looked_in()}")


def looked_in() -> str:
    """The folders of configuration, for errors."""
    return " and ".join(str(folder.resolve()) for folder in config_folders())


def prepared(dataset: str) -> Path:
    """The copy of a dataset's manifest that tells the DAG that it is prepared."""
    return RESULTS / "datasets" / f"{dataset}.json"


def state(run: str, stage: str, key: str) -> Path:
    """Where the unfinished stage of a run with this digest keeps its states; no rule's output.

    The folder above gathers the stage's states with other configurations, code or images.
    """
    study, rest = run.split("/", 1)
    return RESULTS / study / "state" / rest / stage / key[:32]


def watched(study: str, run: str) -> Path:
    """What an unfinished or finished pretraining looked like beside other seeds, epoch by epoch."""
    return RESULTS / study / "watched" / f"{run.split('/', 1)[1]}.json"


def lock(study: str, name: str) -> Path:
    """The lock of one run's stage."""
    return RESULTS / study / "locks" / f"{name.replace('/', ':')}.lock"


def table(study: str, name: str, suffix: str) -> Path:
    """`tables/table1.tex` for the paper's study, `tables/<study>/table1.tex` for the others."""
    return output("tables", study, f"{name}.{suffix}")


def output(folder: str, study: str, name: str) -> Path:
    """A file in `tables/` or `figures/`, below the study's name unless it is the paper's."""
    return Path(folder) / name if study == MAIN_STUDY else Path(folder) / study / name
