"""The command that begins a working folder.

It calls one function of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Make FOLDER to work in: a study of your own to edit, a Snakefile and profiles."""
    from patchvae.study.working_folder import start

    for path in start(folder):
        click.echo(path)


COMMANDS = (init,)
