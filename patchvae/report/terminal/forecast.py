"""A forecast: what is left, what it takes, what that rests on, what fits a budget."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from patchvae.planning.budget import fit
from patchvae.planning.estimates import COMPUTED
from patchvae.planning.forecast import Forecast
from patchvae.planning.jobs import KINDS, TRAINED, Job
from patchvae.planning.throughput import CPU
from patchvae.report.terminal.style import Grid, say
from patchvae.runtime.stage import Config
from patchvae.study.runs import ProbeConfig


def lines(result: Forecast) -> list[str]:
    """The forecast in sentences."""
    counts = Counter(job.kind for job in result.remaining)
    left = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "nothing"
    running = f" ({result.running} running now, counted in full)" if result.running else ""
    found = [f"Left to do: {left}{running}"]
    if result.remaining:
        found += _hours(result)
        found.append(f"Disk: {result.disk / 2**20:,.0f} MiB")
        found += _grounds(result)
    return found


def _hours(result: Forecast) -> list[str]:
    if not result.complete:
        return _missing(result)
    low, high = result.hours("low"), result.hours("high")
    unit = "core" if result.device.name == CPU else "GPU"
    slots = f"{result.slots} {unit}{'s' if result.slots > 1 else ''}"
    found = [
        f"Trainings: {result.hours():.2f} {unit} hours ({low:.2f} to {high:.2f})",
        f"Wall time on {slots}: {_duration(result.wall())}"
        f" ({_duration(result.wall('low'))} to {_duration(result.wall('high'))})",
    ]
    if result.runs_per_gpu > 1:
        found.append(_sharing(result))
    if result.unknown:
        found.append(f"Not in the wall time, since never measured: {_kinds(result.unknown)}")
    return found


def _missing(result: Forecast) -> list[str]:
    """What was never timed, and what to run where to have it."""
    untimed = [job for job in result.unknown if job.kind in TRAINED]
    sizes = " ".join(map(str, sorted({_size(job.config) for job in untimed if job.config})))
    name = result.device.name
    kind, where = (CPU, "here") if name == CPU else ("cuda", "on a machine with that GPU")
    return [
        f"No hours: nothing was recorded or measured on '{name}' for {_kinds(untimed)}.",
        f"Run {where}: python benchmarks/throughput.py --device {kind} --sizes {sizes} >"
        " rates.yaml",
        "then ask again with: --rates rates.yaml",
    ]


def _sharing(result: Forecast) -> str:
    """What trainings that share a GPU gain, or that nobody measured it."""
    together = f"{result.runs_per_gpu} trainings at a time on a GPU"
    if result.device.gain(result.runs_per_gpu) is None:
        return (
            f"{together}: never measured on '{result.device.name}', so counted as no faster than"
            " one after the other; measure it with benchmarks/throughput.py"
            f" --packing 1 {result.runs_per_gpu}"
        )
    return f"{together}: {result.gain:.2f} times the rate of one, measured"


def _grounds(result: Forecast) -> list[str]:
    """What the hours rest on, and how that did on what is already finished."""
    bases = Counter(
        result.estimates[job].basis
        for job in result.remaining
        if job.kind in TRAINED and job in result.estimates
    )
    device = result.device
    found = [f"Rests on: {count} x {basis}" for basis, count in bases.most_common()]
    if device.n:
        label = "" if device.measured else f" ({COMPUTED})"
        found.append(
            f"Rates of '{device.name}'{label}: {device.hardware}, n = {device.n}, {device.date}"
        )
    found += [
        f"An earlier forecast: {past['what']}, forecast {past['forecast']} s,"
        f" measured {past['measured']} s, {past['date']}"
        for past in device.past
    ]
    found += [f"So far: {check.sentence}" for check in result.checks]
    if not result.checks:
        found.append("So far: no finished training to check a forecast against")
    return found


def _kinds(jobs: Sequence[Job]) -> str:
    counts = Counter(_kind(job) for job in jobs)
    return ", ".join(f"{count} x {kind}" for kind, count in counts.items())


def _kind(job: Job) -> str:
    if job.config is None:
        return f"{job.kind} {job.name}"
    return f"{job.kind} at {_size(job.config)} px"


def _size(config: Config) -> int:
    """Pixels on a side of the images of a training."""
    return (config.encoder if isinstance(config, ProbeConfig) else config).data.size


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"


def show(result: Forecast, console: Console) -> None:
    """The sentences of a forecast."""
    say(console, lines(result))


def show_budget(result: Forecast, budget: float, console: Console) -> None:
    """Which cells fit, in the order in which to run them."""
    chosen = fit(result, budget)
    title = f"{len(chosen)} of {len(result.cells)} cells fit {budget:g} hours, cheapest first"
    grid = Grid("cell", "adds, h", "spent, h", title=title)
    for choice in chosen:
        grid.add_row(str(choice.cell.target), f"{choice.hours:.2f}", f"{choice.spent:.2f}")
    console.print(grid)
