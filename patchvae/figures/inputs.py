"""Rules by which figures choose cells, runs and datasets of a study; `catalogue.py` names them.

They need no training and import nothing heavy, since Snakemake asks them before anything is run.
"""

from collections.abc import Callable, Iterable, Sequence

from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.protocol import Scalar, protocol
from patchvae.study.registry import ARCHITECTURES, DATASETS, MODELS, Architecture
from patchvae.study.rows import Row
from patchvae.study.runs import Run
from patchvae.study.sensitivity import SENSITIVITY
from patchvae.study.tables import Cell, load_table, study_cells
from patchvae.study.variants import full_key, variant_of

SWEEPS = ("table3", "table4", "table5")
PART_DATASETS = ("parts32", "parts64")  # the places of the true parts are known


def symbol(parameter: str) -> str:
    """What figures call a hyper-parameter: its symbol, or its key where the protocol has none."""
    return protocol()[full_key(parameter)].symbol or parameter


def figure_dataset(study_name: str) -> str:
    """The dataset that a study's pictures show: of Table 1's the first with the largest images."""
    study = load_study(study_name)
    names = study.tables.get("table1", {}).get("datasets") or list(study.datasets)
    return max(names, key=lambda name: DATASETS[name].size)


def part_datasets(study: str) -> list[str]:
    """The datasets of a study whose true parts are known."""
    return [name for name in load_study(study).datasets if name in PART_DATASETS]


def default_run(study_name: str) -> Run:
    """PatchVAE with default hyper-parameters on `figure_dataset`, the first seed."""
    study, dataset = load_study(study_name), figure_dataset(study_name)
    variant = variant_of(study, dataset, "patchvae", {})
    return Run(study_name, dataset, "patchvae", variant, study.seeds[0])


def default_runs(study: str) -> list[Run]:
    return [default_run(study)]


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
    """The runs that have parts, by name: of Table 1, and of Table 3's sweeps of N and d_p."""
    return _named_runs(study_name, dataset, ("table1", "table3"), has_parts)


def vae_runs(study_name: str, dataset: str) -> dict[str, list[Run]]:
    """The runs of every VAE with posteriors on one dataset, by name."""
    return _named_runs(study_name, dataset, list(load_study(study_name).tables), has_posterior)


def _named_runs(
    study_name: str, dataset: str, tables: Sequence[str], chosen: Callable[[Row], bool]
) -> dict[str, list[Run]]:
    """Each model's seeds by its title and what was set: `PatchVAE, $N$ = 8`; no run twice."""
    study = load_study(study_name)
    cells = [
        cell
        for table in tables
        if table in study.tables
        for cell in load_table(study_name, table).cells()
        if cell.dataset == dataset and chosen(cell.row)
    ]
    found: dict[str, list[Run]] = {}
    for cell in cells:
        runs = [probe.run for probe in cell.probes()]
        if runs not in found.values():
            found[name_of(cell.row)] = runs
    return found


def name_of(row: Row) -> str:
    """What a row's runs are called: the model and what is set of them."""
    of_run = {k: v for k, v in row.overrides.items() if not k.startswith("probe.")}
    return ", ".join([MODELS[row.model].title, *(f"{symbol(k)} = {v}" for k, v in of_run.items())])


def table1_models(study: str) -> list[Run]:
    """The first seed of each of Table 1's models on `figure_dataset`."""
    return _first_seeds(model_runs(study, figure_dataset(study)))


def table1_trained(study: str) -> list[Run]:
    """The same without the trunks that no unsupervised training made."""
    return _first_seeds(trained_runs(study, figure_dataset(study)))


def table1_histories(study: str) -> list[Run]:
    """Every seed of Table 1's trained models, on all of its datasets."""
    datasets = load_study(study).tables["table1"]["datasets"]
    return _every_seed(trained_runs(study, dataset) for dataset in datasets)


def latent_codes(study: str) -> list[Run]:
    """Every seed of `vae_runs` on `figure_dataset`."""
    return _every_seed([vae_runs(study, figure_dataset(study))])


def true_parts(study: str) -> list[Run]:
    """Every seed of `part_runs` on the datasets whose true parts are known."""
    return _every_seed(part_runs(study, dataset) for dataset in part_datasets(study))


def _first_seeds(models: dict[str, list[Run]]) -> list[Run]:
    return [runs[0] for runs in models.values()]


def _every_seed(chosen: Iterable[dict[str, list[Run]]]) -> list[Run]:
    return [run for models in chosen for runs in models.values() for run in runs]


def paper_cells(study: str) -> list[Cell]:
    """Every cell of the paper's columns."""
    return [cell for cell in study_cells(study) if not cell.column.beyond]


def table1_cells(study: str) -> list[Cell]:
    return [cell for cell in paper_cells(study) if cell.table.name == "table1"]


def swept_cells(study: str) -> list[Cell]:
    """The cells of Tables 3 to 5 whose row sets one number."""
    cells = [cell for cell in paper_cells(study) if cell.table.name in SWEEPS]
    return [cell for cell in cells if _sets_one_number(cell.row)]


def _sets_one_number(row: Row) -> bool:
    values = list(row.overrides.values())
    return len(values) == 1 and type(values[0]) in (int, float)


def architecture_of(row: Row) -> Architecture:
    return ARCHITECTURES[MODELS[row.model].architecture]


def is_trained(row: Row) -> bool:
    return architecture_of(row).trained


def has_posterior(row: Row) -> bool:
    return architecture_of(row).posterior


def has_parts(row: Row) -> bool:
    return architecture_of(row).name == "patchvae"


def in_table1(study: str, chosen: Callable[[Row], bool] = lambda row: True) -> bool:
    """Whether the study's Table 1 has a row of the chosen ones."""
    if "table1" not in load_study(study).tables:
        return False
    return any(chosen(row) for row in load_table(study, "table1").rows())


def has_table1(study: str) -> bool:
    return in_table1(study)


def has_trained(study: str) -> bool:
    return in_table1(study, is_trained)


def has_posteriors(study: str) -> bool:
    tables = [load_table(study, name) for name in load_study(study).tables]
    return any(has_posterior(row) for table in tables for row in table.rows())


def has_pair(study: str) -> bool:
    """Whether Table 1 has a PatchVAE and the beta-VAE with the same loss."""
    if not has_table1(study):
        return False
    models = {row.model for row in load_table(study, "table1").rows()}
    return any(f"beta-vae{m.removeprefix('patchvae')}" in models for m in models if "patch" in m)


def has_sweeps(study: str) -> bool:
    return bool(swept_cells(study))


def has_true_parts(study: str) -> bool:
    return in_table1(study, has_parts) and bool(part_datasets(study))


def snapshot_cells(study: str) -> list[Cell]:
    """The cells of the study's first table that has a row of a snapshot."""
    for name in load_study(study).tables:
        table = load_table(study, name)
        if any("probe.snapshot" in row.overrides for row in table.rows()):
            return table.cells()
    return []


def has_snapshots(study: str) -> bool:
    return bool(snapshot_cells(study))


def judged_snapshots(study: str) -> set[Scalar]:
    """Which snapshots of a run the study's rows judge, the first being 1."""
    rows = [cell.row.overrides for cell in snapshot_cells(study)]
    return {row["probe.snapshot"] for row in rows if "probe.snapshot" in row}


def sensitivity_cells(study: str) -> list[Cell]:
    return study_cells(study, SENSITIVITY)


def has_sensitivity(study: str) -> bool:
    return load_study(study).sensitivity is not None


def is_the_papers(study: str) -> bool:
    return study == paths.MAIN_STUDY
