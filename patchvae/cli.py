"""The command `patchvae`: the functions that the rules call, one subcommand each, and no logic.

Exit codes: 0 done, 1 a check failed, 2 configuration, 3 data, 4 diverged, 5 locked by another job,
6 checkpoint unusable, 7 resources, 75 stopped on request with state saved.
"""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from patchvae import __version__, paths
from patchvae.errors import ConfigError, SuiteError
from patchvae.runtime import Options, stop_on_signal

EPILOG = __doc__.split("\n\n")[1] if __doc__ else ""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__)
def cli() -> None:
    """Regenerate the tables and figures of the PatchVAE paper.

    Snakemake calls these commands; each can also be called by hand. Run from the folder that holds
    config/.
    """


def job(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that compute; a signal stops them with exit code 75."""

    @wraps(command)
    def stoppable(*arguments: Any, **options: Any) -> None:
        with stop_on_signal() as stop:
            command(*arguments, stop=stop, **options)

    for option in (
        click.option("--device", default="auto", help="auto, cpu or cuda"),
        click.option(
            "--gpus", type=click.IntRange(1), help="processes, one a GPU [the study's gpus_per_run]"
        ),
        click.option(
            "--threads", default=1, help="CPU threads of all processes; sums depend on them"
        ),
        click.option("--save-every", default=300.0, help="seconds between saved states"),
        click.option(
            "--deterministic/--no-deterministic",
            envvar="PATCHVAE_DETERMINISTIC",
            help="the same bytes twice on a GPU too, slower [$PATCHVAE_DETERMINISTIC]",
        ),
        click.option(
            "--graphs/--no-graphs",
            default=True,
            envvar="PATCHVAE_GRAPHS",
            help="one GPU: replay each step as a CUDA graph [$PATCHVAE_GRAPHS]",
        ),
        click.option("--data", type=click.Path(path_type=Path), help="data root [$PATCHVAE_DATA]"),
        click.option("--expect", help="refuse unless the resolved configuration has this digest"),
    ):
        stoppable = option(stoppable)
    return stoppable


def _spread(config: Any, gpus: int | None, options: dict[str, Any]) -> Options:
    """Go on in as many processes as asked for, each with its part of the threads."""
    from patchvae.config import load_study
    from patchvae.runtime import ranks, spread

    spread(gpus or load_study(config.run.study).gpus(config.run.dataset))
    options["threads"] = max(1, options["threads"] // ranks())
    return Options(**options)


def _check_digest(found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        raise ConfigError(
            "the study was edited after this job was planned: run snakemake again to plan it anew"
        )


@cli.command()
@click.argument("dataset")
@click.option("--source", type=click.Path(path_type=Path), help="where the original files are")
@click.option("--data", type=click.Path(path_type=Path), help="data root [$PATCHVAE_DATA]")
@click.option("--stamp", type=click.Path(path_type=Path), help="also write the manifest here")
@click.option("--verify", is_flag=True, help="check every digest of what is prepared")
def prepare(
    dataset: str, source: Path | None, data: Path | None, stamp: Path | None, verify: bool
) -> None:
    """Decode DATASET once into memory-mapped arrays under the data root."""
    from patchvae.data import store
    from patchvae.progress import log
    from patchvae.results import write_result

    manifest = store.prepare(dataset, source, data, report=log)
    if verify:
        store.verify(dataset, data)
        log(f"{dataset}: every digest holds")
    if stamp is not None:
        write_result(stamp, "dataset", {"manifest": manifest})


@cli.command()
@click.argument("run")
@job
def pretrain(run: str, expect: str | None, gpus: int | None, **options: Any) -> None:
    """Pretrain RUN: <study>/<dataset>/<model>/<variant>/seed<k>, or its results folder."""
    from patchvae.runs import Run, resolve_run

    config = resolve_run(Run.parse(run))
    _check_digest(config.digest, expect)
    chosen = _spread(config, gpus if config.pretrain else 1, options)
    from patchvae.failures import recorded
    from patchvae.lock import locked
    from patchvae.parallel import joined
    from patchvae.pretrain import pretrain

    lock = paths.lock(config.run.study, config.run.name)
    with locked(lock), recorded(config), joined(chosen.device):
        pretrain(config, chosen)


@cli.command()
@click.argument("run")
@click.argument("probe")
@job
def probe(run: str, probe: str, expect: str | None, gpus: int | None, **options: Any) -> None:
    """Judge RUN's encoder by PROBE: conv1, conv3, conv5, scratch, conv5-standardised or knn."""
    from importlib import import_module

    from patchvae.registry import PROBES
    from patchvae.runs import Run, resolve_probe

    config = resolve_probe(Run.parse(run), probe)
    _check_digest(config.digest, expect)
    chosen = _spread(config, gpus, options)
    from patchvae.failures import recorded
    from patchvae.lock import locked
    from patchvae.parallel import joined
    from patchvae.runtime import rank

    judge = import_module(PROBES[probe].module).probe
    lock = paths.lock(config.run.study, f"{config.run.name}/{config.name}")
    with locked(lock), recorded(config), joined(chosen.device):
        metrics = judge(config, chosen)
    if rank() == 0:
        click.echo(f"{metrics['run']} {metrics['probe']}: top-1 {metrics['top1']:.2f} %")


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder to write to")
@click.option("--encoder-only", is_flag=True, help="leave heads and decoder aside")
@click.option("--prefix", help="which of several encoders in the file")
@click.option(
    "--inputs",
    type=click.Choice(["imagenet", "symmetric"]),
    default="imagenet",
    show_default=True,
    help="what it was trained on: with --inet, as their README does, or without",
)
def import_release(
    checkpoint: Path, out: Path, encoder_only: bool, prefix: str | None, inputs: str
) -> None:
    """Convert CHECKPOINT of the authors' code to our encoder and model; nothing in it is executed."""
    from patchvae.release import convert, write

    imported = convert(checkpoint, encoder_only, prefix)
    for ours, theirs in imported.origin.items():
        click.echo(f"{ours} <- {theirs}")
    for name in imported.left:
        click.echo(f"left out: {name}")
    for path in write(imported, checkpoint, out):
        click.echo(path)
    line = f"{{weights: {out / paths.ENCODER}, inputs: {inputs}}}"
    click.echo(f"under 'external' of a study: {imported.trunk.name}: {line}")


@cli.command()
@click.argument("cells", nargs=-1, required=True)
def cell(cells: tuple[str, ...]) -> None:
    """Gather the seeds of CELLS: [<study>/]<table>/<row>/<column>, or results paths."""
    from patchvae.report.cells import write_cell
    from patchvae.specs import parse_cell

    for name in cells:
        found = write_cell(parse_cell(name))
        click.echo(f"{name}: {found['mean']:.2f} over {len(found['values'])} seeds")


@cli.command()
@click.argument("target")
@click.option("--partial", is_flag=True, help="draw it although cells are missing, marked as such")
def table(target: str, partial: bool) -> None:
    """Write TARGET, e.g. tables/demo/table1.tex or demo/table1, as .tex, .csv and .md."""
    from patchvae.report.tables import parse_target, write_table

    for path in write_table(*parse_target(target), partial=partial):
        click.echo(path)


@cli.command()
@click.argument("study")
def document(study: str) -> None:
    """Build one PDF of all tables of STUDY with pdflatex."""
    from patchvae.report.document import write_document

    click.echo(write_document(study))


@cli.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--device", default="auto", help="auto, cpu or cuda")
@click.option("--threads", default=1, help="CPU threads")
@click.option("--data", type=click.Path(path_type=Path), help="data root [$PATCHVAE_DATA]")
def figure(targets: tuple[str, ...], **options: Any) -> None:
    """Draw TARGETS, e.g. figures/demo/figure2.pdf or demo/figure2, as .pdf and .png."""
    from patchvae.figures.catalogue import Target
    from patchvae.figures.write import write_figure

    for text in targets:
        target = Target.parse(text)
        for path in write_figure(target.study, target.stem, Options(**options)):
            click.echo(path)


@cli.command()
@click.argument("study")
def report(study: str) -> None:
    """Write results/STUDY/report.html: every number and picture on one page."""
    from patchvae.figures.catalogue import illustrations
    from patchvae.report.page import write_page

    click.echo(write_page(study, illustrations(study)))


@cli.command()
def params() -> None:
    """Compare our 15 parameter counts with the paper's; exit 1 if one differs."""
    from rich.console import Console
    from rich.table import Table as Grid

    from patchvae.report.parameters import compare_counts

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


@cli.command()
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


@cli.command()
@click.option("--markdown", is_flag=True, help="docs/readings.md")
def readings(markdown: bool) -> None:
    """Print the readings: what the paper leaves open and how it is read here."""
    from rich.console import Console

    from patchvae.report.readings import render_markdown, render_terminal

    if markdown:
        click.echo(render_markdown(), nl=False)
    else:
        render_terminal(Console())


@cli.command()
def differences() -> None:
    """Print docs/differences.md: the authors' release against the paper, and our own choices."""
    from patchvae.report.differences import render_markdown

    click.echo(render_markdown(), nl=False)


@cli.command()
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


@cli.command()
@click.argument("study")
@click.option("--claims", type=click.Path(path_type=Path), help="a file of other claims")
def compare(study: str, claims: Path | None) -> None:
    """Set STUDY's cells beside the paper's numbers: results/STUDY/comparison.{csv,md,html}."""
    from rich.console import Console

    from patchvae.report.compare import compare_study
    from patchvae.report.compare_views import show, write

    found = compare_study(study, claims)
    show(found, Console())
    for path in write(found):
        click.echo(path)


@cli.command()
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


@cli.command()
@click.argument("study")
def publish(study: str) -> None:
    """Copy the numbers of a finished STUDY to published/ and fill docs/results-STUDY.md."""
    from patchvae.publish import publish as publish_study

    for path in publish_study(study):
        click.echo(path)


@cli.command()
@click.argument("number")
def explain(number: str) -> None:
    """Explain NUMBER: [<study>/]<table>/<row>/<column>, a results path, or a place as in table4:2:2."""
    from rich.console import Console

    from patchvae.report.explain import explain as explanation
    from patchvae.report.explain_view import show

    show(explanation(number), Console())


@cli.command()
@click.argument("table", required=False)
@click.option("--study", default="paper", show_default=True)
def status(table: str | None, study: str) -> None:
    """Show how far a study or one TABLE of it is, and what an edit costs."""
    from rich.console import Console

    from patchvae.report import status as report

    report.show(report.status(study, table), Console())


@cli.command()
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
    """Forecast what is left of TARGETS (studies, tables, cells, runs): jobs, hours, wall time, disk."""
    import os

    from rich.console import Console

    from patchvae.report import forecast as report
    from patchvae.report.forecast_view import show, show_budget

    slots = gpus or (os.cpu_count() or 1 if gpu == "cpu" else 1)
    found = report.forecast(targets, gpu, slots, runs_per_gpu)
    show(found, Console())
    if budget is not None:
        show_budget(found, report.fit(found, budget), budget, Console())


def main() -> None:
    """Entry point: an expected failure is one line on standard error and its exit code."""
    try:
        cli(standalone_mode=False)
    except SuiteError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        _fail("aborted", 130)
    except click.ClickException as error:
        _fail(error.format_message(), ConfigError.exit_code)
    except Exception as error:
        from patchvae.failures import describe

        message, code = describe(error)
        if code == SuiteError.exit_code:
            raise
        _fail(message, code)


def _fail(message: str, code: int) -> None:
    print(f"patchvae: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
