"""A study while it runs: jobs done, running and failed, and the time left."""

import time
from contextlib import nullcontext

from rich.console import Console
from rich.live import Live

from patchvae.planning.jobs import TRAINED
from patchvae.planning.states import DONE, FAILED, RUNNING
from patchvae.planning.status import Status, status_of


def progress(result: Status) -> str:
    """One line: how many jobs are done, running and failed, and hours left at the pace so far."""
    words = [state.word for _, state in result.jobs]
    counts = ", ".join(f"{words.count(word)} {word}" for word in (RUNNING, FAILED))
    return f"{words.count(DONE)} of {len(words)} done, {counts}, {_left(result)}"


def _left(result: Status) -> str:
    """Trainings left by what finished ones of their kind took, over those that run now."""
    running = sum(job.kind in TRAINED and state.word == RUNNING for job, state in result.jobs)
    seconds = 0.0
    for kind in TRAINED:
        done, hours = result.finished(kind)
        left = sum(
            1 - state.progress
            for job, state in result.jobs
            if job.kind == kind and state.word != DONE
        )
        if left and not done:
            return f"time left unknown before a {kind} is done"
        seconds += left * hours * 3600 / max(done, 1)
    if not seconds:
        return "no training left"
    if not running:
        return f"{seconds / 3600:.2f} h of trainings left, none is running"
    return f"some {seconds / running / 3600:.2f} h left with {running} at a time"


def follow(target: str, every: float, console: Console) -> None:
    """Look again and again until nothing is left; a terminal shows one line, a log one a look."""
    shown = Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext()
    with shown as live:
        while True:
            result = status_of(target)
            line = f"{time.strftime('%H:%M:%S')} {target}: {progress(result)}"
            if live is None:
                console.print(line)
                console.file.flush()
            else:
                live.update(line, refresh=True)
            if all(state.word == DONE for _, state in result.jobs):
                return
            time.sleep(every)
