"""The commands that print what is fixed: parameter counts, protocol, readings, power.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

import click

from patchvae.errors import SuiteError
from patchvae.runtime.arguments import Real, complete_study


@click.command()
def params() -> None:
    """Compare our 15 parameter counts with the paper's; exit 1 if one differs."""
    from patchvae.analysis.parameters import compare_counts
    from patchvae.report.terminal.parameters import show
    from patchvae.report.terminal.style import console

    rows = compare_counts()
    show(rows, console())
    if any(ours != published for _, published, ours in rows):
        raise SuiteError("a network is not the paper's: see the rows marked 'differs'")


@click.command()
@click.option("--markdown", is_flag=True, help="docs/protocol.md")
@click.option("--study", default="paper", show_default=True, shell_complete=complete_study)
@click.option("--dataset", help="one dataset of the study")
def protocol(markdown: bool, study: str, dataset: str | None) -> None:
    """Print every protocol key: value, source, section and reading."""
    from patchvae.report.protocol import render_markdown
    from patchvae.report.terminal.protocol import show
    from patchvae.report.terminal.style import console

    if markdown:
        click.echo(render_markdown(), nl=False)
    else:
        show(study, dataset, console())


@click.command()
@click.option("--markdown", is_flag=True, help="docs/readings.md")
def readings(markdown: bool) -> None:
    """Print the readings: what the paper leaves open and how it is read here."""
    from patchvae.report.readings import render_markdown
    from patchvae.report.terminal.readings import show
    from patchvae.report.terminal.style import console

    if markdown:
        click.echo(render_markdown(), nl=False)
    else:
        show(console())


@click.command()
@click.argument("study", default="paper", shell_complete=complete_study)
@click.option(
    "--sd",
    type=Real(min=0, min_open=True),
    help="standard deviation over seeds of a paired difference, in points [the study's cells]",
)
@click.option("--seeds", type=click.IntRange(2), help="how many [the study's]")
@click.option(
    "--alpha",
    type=Real(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="two-sided level",
)
def power(study: str, sd: float | None, seeds: int | None, alpha: float) -> None:
    """Show which differences the seeds of STUDY can decide, claim by claim [paper]."""
    from patchvae.analysis.study_power import study_power
    from patchvae.report.terminal.power import show
    from patchvae.report.terminal.style import console

    show(study_power(study, sd, seeds, alpha), console())


COMMANDS = (
    params,
    protocol,
    readings,
    power,
)
