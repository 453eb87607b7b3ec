"""The commands that write studies for others and take theirs.

Each calls functions of the package and has no logic; heavy imports happen inside.
"""

from pathlib import Path

import click

from patchvae.runtime.arguments import Real, complete_study


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--to", type=click.Path(path_type=Path), help="folder or .zip of the RO-Crate")
@click.option(
    "--tensorboard", type=click.Path(path_type=Path), help="folder of event files for TensorBoard"
)
@click.option("--partial", is_flag=True, help="leave out what is not done")
def export(study: str, to: Path | None, tensorboard: Path | None, partial: bool) -> None:
    """Write all of a finished STUDY for others: numbers, weights, configuration, tables, figures.

    As a Workflow Run RO-Crate with a digest of each file, which `patchvae import` reads.
    """
    if not (to or tensorboard):
        raise click.UsageError("say where: --to FOLDER, --to FILE.zip or --tensorboard FOLDER")
    from patchvae.share.contents import finished

    if to:
        from patchvae.share.crate import export as write_crate

        found = write_crate(study, to, partial)
        for line in found.lacking:
            click.echo(f"left out: {line}")
        click.echo(f"{to}: {len(found.trainings)} trainings")
    if tensorboard:
        from patchvae.share.tensorboard import write_events

        written = write_events(finished(study, partial).trainings, tensorboard)
        click.echo(f"{tensorboard}: histories of {written} trainings")


@click.command("import")
@click.argument("crate", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="put them in the place of other results")
@click.option("--limit", type=Real(0), default=64.0, show_default=True, help="GiB, unpacked")
def import_(crate: Path, replace: bool, limit: float) -> None:
    """Take the trainings of CRATE, a folder or zip file of `patchvae export`, for done.

    After every digest, configuration and file was checked; else exit 6, and nothing is written.
    """
    from patchvae.share.importing import import_crate

    found = import_crate(crate, replace, int(limit * 2**30))
    for job in found.jobs:
        click.echo(f"{job.kind} {job.name}")
    if found.same:
        click.echo(f"{len(found.same)} were here already")


COMMANDS = (
    export,
    import_,
)
