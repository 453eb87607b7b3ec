"""The commands that print where numbers come from and what is left to do.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path

import click

from patchvae.runtime.arguments import (
    Real,
    complete_cell,
    complete_table,
    complete_target,
)


@click.command()
@click.argument("number", shell_complete=complete_cell)
def explain(number: str) -> None:
    """Explain NUMBER: [<study>/]<table>/<row>/<column>, a results path, or a place as in
    table4:2:2.
    """
    from patchvae.planning.explain import explain as explanation
    from patchvae.report.terminal.explanation import show
    from patchvae.report.terminal.style import console

    show(explanation(number), console())


@click.command()
@click.argument("target", default="paper", shell_complete=complete_table)
@click.option("--watch", is_flag=True, help="go on until everything is done, a line a minute")
@click.option(
    "--every", type=Real(0.1), default=60.0, show_default=True, help="seconds between two looks"
)
def status(target: str, watch: bool, every: float) -> None:
    """Show how far TARGET is, a study or [<study>/]<table>, and what an edit costs [paper]."""
    from patchvae.planning.status import status_of
    from patchvae.report.terminal.follow import follow
    from patchvae.report.terminal.status import show
    from patchvae.report.terminal.style import console

    if watch:
        follow(target, every, console())
    else:
        show(status_of(target), console())


@click.command()
@click.argument("run")
def watch(run: str) -> None:
    """Set the loss terms of RUN, training or finished, beside those of other seeds."""
    from patchvae.report.terminal.style import console
    from patchvae.report.terminal.watch import show
    from patchvae.study.runs import Run, resolve_run

    show(resolve_run(Run.parse(run)), console())


@click.command()
@click.argument("targets", nargs=-1, required=True, shell_complete=complete_target)
@click.option("--gpu", help="h100, or one of --rates [the only one there; h100 with --gpus]")
@click.option("--gpus", type=click.IntRange(1), help="how many GPUs [1]")
@click.option("--cores", type=click.IntRange(1), help="how many, without a GPU [all]")
@click.option(
    "--rates",
    type=click.Path(path_type=Path),
    help="what your devices do: a file that benchmarks/throughput.py wrote",
)
@click.option(
    "--runs-per-gpu", type=click.IntRange(1), default=1, help="trainings at a time on a GPU"
)
@click.option(
    "--budget",
    type=Real(0, min_open=True),
    help="device hours: list the cells that fit",
)
def forecast(
    targets: tuple[str, ...],
    gpu: str | None,
    gpus: int | None,
    cores: int | None,
    rates: Path | None,
    runs_per_gpu: int,
    budget: float | None,
) -> None:
    """Forecast what is left of TARGETS (studies, tables, cells, runs).

    Jobs, hours, wall time, disk.
    """
    from patchvae.planning.forecast import forecast as left_of
    from patchvae.planning.throughput import choose
    from patchvae.report.terminal.forecast import show, show_budget
    from patchvae.report.terminal.style import console

    found = left_of(targets, *choose(gpu, gpus, cores, rates), runs_per_gpu)
    show(found, console())
    if budget is not None:
        show_budget(found, budget, console())


COMMANDS = (
    explain,
    status,
    watch,
    forecast,
)
