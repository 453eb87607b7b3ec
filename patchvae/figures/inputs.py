"""What a figure is drawn from: cells, runs and datasets, chosen by rules that need no training."""

from collections.abc import Sequence
from pathlib import Path

from patchvae.figures.catalogue import SWEEPS, Target, part_datasets, symbol
from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.registry import ARCHITECTURES, DATASETS, MODELS
from patchvae.study.runs import Run, variant_of
from patchvae.study.tables import Cell, load_table, study_cells

CELL_FIGURES = ("ablations", "scatter", "heatmap")


def figure_dataset(study_name: str) -> str:
    """The dataset that a study's pictures show: of Table 1's the first with the largest images."""
    study = load_study(study_name)
    names = study.tables.get("table1", {}).get("datasets") or list(study.datasets)
    return max(names, key=lambda name: DATASETS[name].size)


def default_run(study_name: str) -> Run:
    """PatchVAE with default hyper-parameters on `figure_dataset`, the first seed."""
    study, dataset = load_study(study_name), figure_dataset(study_name)
    variant = variant_of(study, dataset, "patchvae", {})
    return Run(study_name, dataset, "patchvae", variant, study.seeds[0])


def model_runs(study_name: str, dataset: str) -> dict[str, list[Run]]:
    """The runs behind Table 1 on one dataset, by model, each model's seeds in order."""
    found: dict[str, list[Run]] = {}
    for cell in load_table(study_name, "table1").cells():
        if cell.dataset == dataset:
            found[cell.row.model] = [probe.run for probe in cell.probes()]
    return found


def trained_runs(study_name: str, dataset: str) -> dict[str, list[Run]]:
    """`model_runs` without the trunks that no unsupervised training made."""
    return {
        model: runs
        for model, runs in model_runs(study_name, dataset).items()
        if ARCHITECTURES[MODELS[model].architecture].trained
    }


def part_runs(study_name: str, dataset: str) -> dict[str, list[Run]]:
    """The runs that have parts, by name: those behind Table 1, and Table 3's sweeps of N and d_p."""
    return _named_runs(study_name, dataset, ("table1", "table3"), ("patchvae",))


def vae_runs(study_name: str, dataset: str) -> dict[str, list[Run]]:
    """The runs of every VAE of Tables 1 and 3 to 5 on one dataset, by name."""
    return _named_runs(study_name, dataset, ("table1", *SWEEPS), ("beta-vae", "patchvae"))


def _named_runs(
    study_name: str, dataset: str, tables: Sequence[str], architectures: Sequence[str]
) -> dict[str, list[Run]]:
    """Each model's seeds by its title and what was set: `PatchVAE, $N$ = 8`; no run twice."""
    study = load_study(study_name)
    cells = [
        cell
        for table in tables
        if table in study.tables
        for cell in load_table(study_name, table).cells()
        if cell.dataset == dataset and MODELS[cell.row.model].architecture in architectures
    ]
    found: dict[str, list[Run]] = {}
    for cell in cells:
        runs = [probe.run for probe in cell.probes()]
        if runs not in found.values():
            swept = [f"{symbol(key)} = {value}" for key, value in cell.row.overrides.items()]
            found[", ".join([MODELS[cell.row.model].title, *swept])] = runs
    return found


def figure_cells(study_name: str, figure: str) -> list[Cell]:
    """The cells that `ablations`, `scatter` or `heatmap` shows, of the paper's columns only."""
    tables = {"heatmap": ("table1",), "ablations": SWEEPS}.get(figure)
    cells = (cell for cell in study_cells(study_name) if not cell.column.beyond)
    return [cell for cell in cells if tables is None or cell.table in tables]


def figure_runs(target: Target) -> list[Run]:
    """The runs whose networks or histories a figure shows."""
    study, name = target.study, target.figure.name
    if target.figure.of_run:
        return [target.run or default_run(study)]
    if name == "discovery":
        chosen = [part_runs(study, dataset) for dataset in part_datasets(study)]
    elif name == "posterior":
        chosen = [vae_runs(study, figure_dataset(study))]
    elif name == "training":
        chosen = [trained_runs(study, d) for d in load_study(study).tables["table1"]["datasets"]]
    elif name == "filters":
        return _first_seeds(model_runs(study, figure_dataset(study)))
    elif name in ("reconstructions", "samples"):
        return _first_seeds(trained_runs(study, figure_dataset(study)))
    else:
        return []
    return [run for models in chosen for runs in models.values() for run in runs]


def _first_seeds(models: dict[str, list[Run]]) -> list[Run]:
    return [runs[0] for runs in models.values()]


def input_files(target: Target) -> list[Path]:
    """Every file that a figure is drawn from, for the workflow."""
    if target.figure.name in CELL_FIGURES:
        return [cell.path for cell in figure_cells(target.study, target.figure.name)]
    if target.dataset is not None:
        return [paths.prepared(target.dataset)]
    return [run.pretrain / paths.METRICS for run in figure_runs(target)]
