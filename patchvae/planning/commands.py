"""The commands that say what is done, what it costs and where a number comes from.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

import click


@click.command()
@click.argument("number")
def explain(number: str) -> None:
    """Explain NUMBER: [<study>/]<table>/<row>/<column>, a results path, or a place as in
    table4:2:2.
    """
    from rich.console import Console

    from patchvae.planning.explain import explain as explanation
    from patchvae.planning.explain_view import show

    show(explanation(number), Console())


@click.command()
@click.argument("table", required=False)
@click.option("--study", default="paper", show_default=True)
def status(table: str | None, study: str) -> None:
    """Show how far a study or one TABLE of it is, and what an edit costs."""
    from rich.console import Console

    from patchvae.planning import status as report

    report.show(report.status(study, table), Console())


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--gpu", default="cpu", show_default=True, help="device: cpu or h100")
@click.option("--gpus", type=click.IntRange(1), help="how many [1; with cpu all cores]")
@click.option(
    "--runs-per-gpu", type=click.IntRange(1), default=1, help="trainings at a time on a GPU"
)
@click.option("--budget", type=float, help="device hours: list the cells that fit")
def forecast(
    targets: tuple[str, ...], gpu: str, gpus: int | None, runs_per_gpu: int, budget: float | None
) -> None:
    """Forecast what is left of TARGETS (studies, tables, cells, runs).

    Jobs, hours, wall time, disk.
    """
    import os

    from rich.console import Console

    from patchvae.planning import forecast as report
    from patchvae.planning.forecast_view import show, show_budget

    slots = gpus or (os.cpu_count() or 1 if gpu == "cpu" else 1)
    found = report.forecast(targets, gpu, slots, runs_per_gpu)
    show(found, Console())
    if budget is not None:
        show_budget(found, report.fit(found, budget), budget, Console())


COMMANDS = (
    explain,
    status,
    forecast,
)
