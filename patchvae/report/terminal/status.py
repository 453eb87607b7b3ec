"""How far a study is."""

from collections import Counter

from rich.console import Console

from patchvae.planning.jobs import DOCUMENTS, KINDS, TRAINED
from patchvae.planning.states import STALE, WORDS
from patchvae.planning.status import Status
from patchvae.report.terminal.style import Grid, say, style_of


def show(result: Status, console: Console) -> None:
    """Counts by kind of job, the cost of what is stale and of what is done, then each cell."""
    title = f"Study {result.study.name}: {result.study.title}"
    grid = Grid("jobs", *WORDS, "hours done", title=title)
    for kind in KINDS:
        if kind not in DOCUMENTS:
            counts = result.counts(kind)
            hours = f"{result.finished(kind)[1]:.2f}" if kind in TRAINED else ""
            grid.add_row(kind, *(str(counts[word] or "") for word in WORDS), hours)
    console.print(grid)
    say(console, cost_lines(result))
    say(console, (f"Warning: {line} (patchvae watch RUN)." for line in result.outside))
    grid = Grid("cell", "state", "why")
    for job, state in result.cells:
        grid.add_row(job.name, state.word, state.detail, style=style_of(state.word))
    console.print(grid)


def cost_lines(result: Status) -> list[str]:
    """What is stale and its hours, what an edit would make stale, and what no table asks for."""
    lines = []
    stale = [(job, state) for job, state in result.jobs if state.word == STALE]
    if trained := [(job, state) for job, state in stale if job.kind in TRAINED]:
        hours = sum(state.seconds or 0 for _, state in trained) / 3600
        lines.append(
            f"Stale: {len(trained)} finished trainings, which took {hours:.2f} h, will run again."
            " Undo the edit to keep them: nothing is deleted before they run."
        )
        reasons = Counter(state.detail for _, state in trained)
        lines += [f"  {count} x {reason}" for reason, count in reasons.most_common()]
    (runs, run_hours), (probes, probe_hours) = map(result.finished, TRAINED)
    if runs or probes:
        lines.append(
            f"At stake: an edit of a key of any section but `probe` costs up to"
            f" {run_hours + probe_hours:.2f} h ({runs} pretrainings and the {probes} probes on"
            f" them), one of a `probe` key up to {probe_hours:.2f} h."
        )
    if result.unused:
        hours = sum(seconds for _, seconds in result.unused) / 3600
        lines.append(
            f"On disk, asked for by no table of the study: {len(result.unused)} (which took"
            f" {hours:.2f} h)."
        )
    return lines
