"""The command that computes published numbers again.

It calls functions of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path
from typing import Any

import click

from patchvae.errors import SuiteError


@click.command()
@click.argument("published")
@click.option("--cells", default=1, type=click.IntRange(1), help="how many, at random [1]")
@click.option("--cell", "names", multiple=True, help="this <table>/<row>/<column>; repeatable")
@click.option("--runs", default=1, type=click.IntRange(1), help="how many seeds of each cell [1]")
@click.option("--seed", default=0, help="of the choice of cells [0]")
@click.option(
    "--root", default="published", type=click.Path(path_type=Path), help="folder [published]"
)
@click.option("--keep", is_flag=True, help="leave what was trained in verify/PUBLISHED")
@click.option("--ledger", is_flag=True, help="add a line for each cell to verified.csv in --root")
@click.option("--data", type=click.Path(path_type=Path), help="data root [$PATCHVAE_DATA]")
@click.option("--device", help="auto, cpu or cuda [auto]")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of a job [the published]")
def verify(
    published: str, cells: int, names: tuple[str, ...], runs: int, seed: int, root: Path,
    keep: bool, ledger: bool, data: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Train cells of the study PUBLISHED again and compare; exit 1 if one differs.

    In verify/PUBLISHED, which goes away unless a cell differs or the command is interrupted.
    """
    import shutil

    from patchvae.analysis.stats import DIFFERS
    from patchvae.report.terminal.style import console
    from patchvae.verify.ledger import enter
    from patchvae.verify.retrain import SCRATCH, choose, retrain
    from patchvae.verify.terminal import show

    folder = SCRATCH / published
    given = {name: value for name, value in options.items() if value is not None}
    found = [
        retrain(cell, root, folder, runs, data, given)
        for cell in choose(published, root, names, cells, seed)
    ]
    show(found, console())
    if ledger:
        click.echo(enter(found, root))
    if different := [again.cell.name for again in found if again.found.word == DIFFERS]:
        raise SuiteError(f"{', '.join(different)} differs: see {folder}")
    if not keep:
        shutil.rmtree(folder)


COMMANDS = (verify,)
