"""The commands that gather and judge results, and write tables and pages.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path

import click

from patchvae.runtime.arguments import complete_cell, complete_study, complete_table


@click.command()
@click.argument("cells", nargs=-1, required=True, shell_complete=complete_cell)
def cell(cells: tuple[str, ...]) -> None:
    """Gather the seeds of CELLS: [<study>/]<table>/<row>/<column>, or results paths."""
    from patchvae.analysis.cells import write_cell
    from patchvae.study.tables import parse_cell

    for name in cells:
        found = write_cell(parse_cell(name))
        click.echo(f"{name}: {found['mean']:.2f} over {len(found['values'])} seeds")


@click.command()
@click.argument("targets", nargs=-1, required=True, shell_complete=complete_table)
@click.option("--partial", is_flag=True, help="also where cells are missing, marked as such")
def table(targets: tuple[str, ...], partial: bool) -> None:
    """Write TARGETS, e.g. tables/demo/table1.tex or demo/table1, as .tex, .csv and .md."""
    from patchvae.report.tables import write_table
    from patchvae.study.tables import parse_target

    for target in targets:
        for path in write_table(*parse_target(target), partial=partial):
            click.echo(path)


@click.command()
@click.argument("study", shell_complete=complete_study)
def document(study: str) -> None:
    """Build one PDF of all tables of STUDY with pdflatex."""
    from patchvae.report.document import write_document

    click.echo(write_document(study))


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.argument("other", required=False, shell_complete=complete_study)
@click.option("--claims", type=click.Path(path_type=Path), help="a file of other claims")
@click.option(
    "--results", type=click.Path(path_type=Path), help="results folder of OTHER [results]"
)
def compare(study: str, other: str | None, claims: Path | None, results: Path | None) -> None:
    """Set STUDY's cells beside the paper's numbers: results/STUDY/comparison.{csv,md,html}.

    With OTHER, a study too, set the cells that both have beside each other. Of a study without
    results here its published ones are shown, and no file is written.
    """
    if (other and claims) or (results and not other):
        raise click.UsageError("--claims is for one study, --results for the second of two")
    if other:
        _compare_two(study, other, results)
        return

    from patchvae.analysis.compare import compare_study, root_of
    from patchvae.report.compare_views import write
    from patchvae.report.terminal.comparison import show
    from patchvae.report.terminal.style import console

    root = root_of(study)
    found = compare_study(study, claims, root)
    show(found, console())
    if root != Path():
        click.echo(f"No results of study {study} here: these are its published ones ({root}/).")
        return
    for path in write(found):
        click.echo(path)


def _compare_two(first: str, second: str, results: Path | None) -> None:
    from patchvae.analysis.between import between
    from patchvae.report.published import folder_of
    from patchvae.report.terminal.between import show
    from patchvae.report.terminal.style import console

    folders = folder_of(first), results / second if results else folder_of(second)
    names = (first, second) if first != second else (str(folders[0]), str(folders[1]))
    show(between(*folders), names, console())


@click.command()
@click.argument("study", shell_complete=complete_study)
def publish(study: str) -> None:
    """Copy the numbers of a finished STUDY to published/ and fill docs/results-STUDY.md."""
    from patchvae.report.publish import publish as publish_study

    for path in publish_study(study):
        click.echo(path)


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
    from patchvae.analysis.audit import audit as judge
    from patchvae.paper.claims import load_claims
    from patchvae.report.audit import render_markdown
    from patchvae.report.terminal.audit import show
    from patchvae.report.terminal.style import console

    found = judge(load_claims(claims) if claims else None)
    if markdown:
        click.echo(render_markdown(found), nl=False)
    else:
        show(found, console())


COMMANDS = (
    cell,
    table,
    document,
    compare,
    publish,
    differences,
    audit,
)
