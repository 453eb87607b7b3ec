"""The commands that gather results, and print what the suite knows of the paper.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path

import click

from patchvae.errors import SuiteError


@click.command()
@click.argument("cells", nargs=-1, required=True)
def cell(cells: tuple[str, ...]) -> None:
    """Gather the seeds of CELLS: [<study>/]<table>/<row>/<column>, or results paths."""
    from patchvae.analysis.cells import write_cell
    from patchvae.study.tables import parse_cell

    for name in cells:
        found = write_cell(parse_cell(name))
        click.echo(f"{name}: {found['mean']:.2f} over {len(found['values'])} seeds")


@click.command()
@click.argument("target")
@click.option("--partial", is_flag=True, help="draw it although cells are missing, marked as such")
def table(target: str, partial: bool) -> None:
    """Write TARGET, e.g. tables/demo/table1.tex or demo/table1, as .tex, .csv and .md."""
    from patchvae.report.tables import write_table
    from patchvae.study.tables import parse_target

    for path in write_table(*parse_target(target), partial=partial):
        click.echo(path)


@click.command()
@click.argument("study")
def document(study: str) -> None:
    """Build one PDF of all tables of STUDY with pdflatex."""
    from patchvae.report.document import write_document

    click.echo(write_document(study))


@click.command()
def params() -> None:
    """Compare our 15 parameter counts with the paper's; exit 1 if one differs."""
    from rich.console import Console
    from rich.table import Table as Grid

    from patchvae.analysis.parameters import compare_counts

    rows = compare_counts()
    grid = Grid("table", "network", "dataset", "paper", "ours", "")
    for key, published, ours in rows:
        same = "equal" if ours == published else f"differs by {ours - published:+,}"
        grid.add_row(key.table, key.row, key.column, f"{published:,}", f"{ours:,}", same)
    Console().print(grid)
    equal = sum(published == ours for _, published, ours in rows)
    click.echo(f"{len(rows)} published, {equal} equal")
    if equal != len(rows):
        raise SuiteError("a network is not the paper's: see the rows marked 'differs'")


@click.command()
@click.option("--markdown", is_flag=True, help="docs/protocol.md")
@click.option("--study", default="paper", show_default=True)
@click.option("--dataset", help="one dataset of the study")
def protocol(markdown: bool, study: str, dataset: str | None) -> None:
    """Print every protocol key: value, source, section and reading."""
    from patchvae.report.protocol import render_markdown, render_terminal

    if markdown:
        click.echo(render_markdown(), nl=False)
    else:
        render_terminal(study, dataset)


@click.command()
@click.option("--markdown", is_flag=True, help="docs/readings.md")
def readings(markdown: bool) -> None:
    """Print the readings: what the paper leaves open and how it is read here."""
    from rich.console import Console

    from patchvae.report.readings import render_markdown, render_terminal

    if markdown:
        click.echo(render_markdown(), nl=False)
    else:
        render_terminal(Console())


@click.command()
def differences() -> None:
    """Print docs/differences.md: the authors' release against the paper, and our own choices."""
    from patchvae.report.differences import render_markdown

    click.echo(render_markdown(), nl=False)


@click.command()
@click.option("--markdown", is_flag=True, help="with every cell behind each statement")
@click.option("--claims", type=click.Path(path_type=Path), help="a file of other claims")
def audit(markdown: bool, claims: Path | None) -> None:
    """Check the paper against itself and our modules: counts, claims, noise floor; no training."""
    from rich.console import Console

    from patchvae.paper.claims import load_claims
    from patchvae.report import audit as report

    found = report.audit(load_claims(claims) if claims else None)
    if markdown:
        click.echo(report.markdown(found), nl=False)
    else:
        report.show(found, Console())


@click.command()
@click.argument("study")
@click.option("--claims", type=click.Path(path_type=Path), help="a file of other claims")
def compare(study: str, claims: Path | None) -> None:
    """Set STUDY's cells beside the paper's numbers: results/STUDY/comparison.{csv,md,html}."""
    from rich.console import Console

    from patchvae.analysis.compare import compare_study
    from patchvae.report.compare_views import show, write

    found = compare_study(study, claims)
    show(found, Console())
    for path in write(found):
        click.echo(path)


@click.command()
@click.argument("study", default="paper")
@click.option(
    "--sd",
    type=click.FloatRange(min=0, min_open=True),
    help="standard deviation over seeds of a paired difference, in points [the study's cells]",
)
@click.option("--seeds", type=click.IntRange(2), help="how many [the study's]")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="two-sided level",
)
def power(study: str, sd: float | None, seeds: int | None, alpha: float) -> None:
    """Show which differences the seeds of STUDY can decide, claim by claim [paper]."""
    from rich.console import Console

    from patchvae.report.power_view import show, study_power

    show(study_power(study, sd, seeds, alpha), Console())


@click.command()
@click.argument("study")
def publish(study: str) -> None:
    """Copy the numbers of a finished STUDY to published/ and fill docs/results-STUDY.md."""
    from patchvae.report.publish import publish as publish_study

    for path in publish_study(study):
        click.echo(path)


COMMANDS = (
    cell,
    table,
    document,
    params,
    protocol,
    readings,
    differences,
    audit,
    compare,
    power,
    publish,
)
