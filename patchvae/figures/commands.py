"""The commands that draw, and that show all numbers and pictures on one page.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path
from typing import Any

import click

from patchvae.runtime.arguments import Threads, complete_study
from patchvae.runtime.machine import Options


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--device", default="auto", help="auto, cpu or cuda")
@click.option("--threads", type=Threads(), default=1, help="CPU threads")
@click.option("--data", type=click.Path(path_type=Path), help="data root [$PATCHVAE_DATA]")
def figure(targets: tuple[str, ...], **options: Any) -> None:
    """Draw TARGETS, e.g. figures/demo/figure2.pdf or demo/figure2, as .pdf and .png."""
    from patchvae.figures.catalogue import Target
    from patchvae.figures.write import write_figure

    for text in targets:
        target = Target.parse(text)
        for path in write_figure(target.study, target.stem, Options(**options)):
            click.echo(path)


@click.command()
@click.argument("study", shell_complete=complete_study)
def report(study: str) -> None:
    """Write results/STUDY/report.html: every number and picture on one page."""
    from patchvae.figures.catalogue import illustrations
    from patchvae.report.page import write_page

    click.echo(write_page(study, illustrations(study)))


@click.command()
@click.argument("study", shell_complete=complete_study)
def sensitivity(study: str) -> None:
    """Write results/STUDY/sensitivity.html: what other readings of the paper would change."""
    from patchvae.analysis.sensitivity import sensitivity as judge
    from patchvae.figures.catalogue import FIGURES, Target
    from patchvae.report.sensitivity import write
    from patchvae.report.terminal.sensitivity import show
    from patchvae.report.terminal.style import console

    found = judge(study)
    show(found, console())
    for path in write(found, Target(study, FIGURES["sensitivity"]).illustration):
        click.echo(path)


COMMANDS = (figure, report, sensitivity)
