"""The commands that prepare, train and import.

Each calls one function of the package and has no logic; heavy imports happen inside.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from patchvae.errors import ConfigError
from patchvae.runtime.arguments import Real, Threads
from patchvae.runtime.machine import Options, warn_of_emulated_bf16
from patchvae.runtime.stop import stop_on_signal
from patchvae.study import paths


def job(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that compute; a signal stops them with exit code 75."""

    @wraps(command)
    def stoppable(*arguments: Any, **options: Any) -> None:
        with stop_on_signal() as stop:
            command(*arguments, stop=stop, **options)

    for option in (
        click.option(
            "--device",
            default="auto",
            envvar="PATCHVAE_DEVICE",
            help="auto, cpu or cuda [$PATCHVAE_DEVICE]",
        ),
        click.option(
            "--gpus", type=click.IntRange(1), help="processes, one a GPU [the study's gpus_per_run]"
        ),
        click.option(
            "--threads",
            type=Threads(),
            default=1,
            help="CPU threads of all processes; sums depend on them",
        ),
        click.option(
            "--save-every", default=300.0, type=Real(0), help="seconds between saved states"
        ),
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
    from patchvae.runtime.launch import ranks, spread
    from patchvae.runtime.lease import lease_gpus

    processes = gpus or config.run.of_study.gpus(config.run.dataset)
    lease_gpus(processes)
    spread(processes)
    options["threads"] = max(1, options["threads"] // ranks())
    settings = config.probe if hasattr(config, "probe") else config.pretrain
    if settings is not None:
        warn_of_emulated_bf16(settings.precision, options["device"])
    return Options(**options)


def _check_digest(found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        raise ConfigError(
            "the study was edited after this job was planned: run snakemake again to plan it anew"
        )


@click.command()
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
    from patchvae.runtime.progress import log
    from patchvae.runtime.results import write_result

    manifest = store.prepare(dataset, source, data, report=log)
    if verify:
        store.verify(dataset, data)
        log(f"{dataset}: every digest holds")
    if stamp is not None:
        write_result(stamp, "dataset", {"manifest": manifest})


@click.command()
@click.argument("run")
@job
def pretrain(run: str, expect: str | None, gpus: int | None, **options: Any) -> None:
    """Pretrain RUN: <study>/<dataset>/<model>/<variant>/seed<k>, or its results folder."""
    from patchvae.study.runs import Run, resolve_run

    config = resolve_run(Run.parse(run))
    _check_digest(config.digest, expect)
    chosen = _spread(config, gpus if config.pretrain else 1, options)
    from patchvae.training.pretrain import pretrain

    pretrain(config, chosen)


@click.command()
@click.argument("run")
@click.argument("probe")
@job
def probe(run: str, probe: str, expect: str | None, gpus: int | None, **options: Any) -> None:
    """Judge RUN's encoder by PROBE: conv1, conv3, conv5, scratch, conv5-standardised or knn."""
    from importlib import import_module

    from patchvae.study.registry import PROBES
    from patchvae.study.runs import Run, resolve_probe

    config = resolve_probe(Run.parse(run), probe)
    _check_digest(config.digest, expect)
    chosen = _spread(config, gpus, options)
    from patchvae.runtime.launch import rank

    metrics = import_module(PROBES[config.name].module).probe(config, chosen)
    if rank() == 0:
        click.echo(f"{metrics['run']} {metrics['probe']}: top-1 {metrics['top1']:.2f} %")


@click.command()
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
    """Convert CHECKPOINT of the authors' code to our encoder and model.

    Nothing in it is executed.
    """
    from patchvae.training.release import convert, write

    imported = convert(checkpoint, encoder_only, prefix)
    for ours, theirs in imported.origin.items():
        click.echo(f"{ours} <- {theirs}")
    for name in imported.left:
        click.echo(f"left out: {name}")
    for path in write(imported, checkpoint, out):
        click.echo(path)
    line = f"{{weights: {out / paths.ENCODER}, inputs: {inputs}}}"
    click.echo(f"under 'external' of a study: {imported.trunk.name}: {line}")


COMMANDS = (
    prepare,
    pretrain,
    probe,
    import_release,
)
