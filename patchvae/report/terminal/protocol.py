"""The resolved protocol of a study."""

from rich.console import Console

from patchvae.report.terminal.style import Grid
from patchvae.study.config import load_study
from patchvae.study.protocol import show as say_value


def show(study_name: str, dataset: str | None, console: Console) -> None:
    """The resolved values of a study for one dataset, or for each of its datasets."""
    study = load_study(study_name)
    if dataset is not None:
        study.check_dataset(dataset)
    for name in [dataset] if dataset else study.datasets:
        grid = Grid("key", "value", "source", "reading", title=f"{study_name}, {name}")
        for key, entry in study.defaults.items():
            value = study.value(key, name)
            grid.add_row(key, say_value(value.value), value.source, entry.reading or "")
        console.print(grid)
