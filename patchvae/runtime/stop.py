"""Requests to stop: a signal ends a job at once, or between two steps with its state saved."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from patchvae.errors import StoppedError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
WITH_PARENT = "PATCHVAE_STOP_WITH_PARENT"  # from the workflow to its jobs: stop when it is killed
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass
class StopRequest:
    """Set by a signal. Before the first step that ends the job.

    Then the loop looks at it between two steps.
    """

    name: str = ""
    deferred: bool = False

    def __bool__(self) -> bool:
        return bool(self.name)

    def defer(self) -> None:
        """From now on a signal is only noted: there is a state to save, or a result to write whole.

        One that came before ends the job here at the latest: an import may have swallowed its
        exception.
        """
        if self.name and not self.deferred:
            raise self._stopped()
        self.deferred = True

    def receive(self, number: int, _frame: FrameType | None) -> None:
        first = not self.name
        self.name = signal.Signals(number).name
        if first and not self.deferred:
            raise self._stopped()

    def _stopped(self) -> StoppedError:
        return StoppedError(
            f"stopped by {self.name} before the first step: nothing is lost, run the same "
            "command again"
        )


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block SIGTERM, SIGUSR1 and SIGINT ask for a stop instead of ending the process.

    In a job of the workflow the end of its Snakemake does too: what a job finishes after that
    counts as unfinished, and the next Snakemake would meet it at its lock. (On Linux.)
    """
    request = StopRequest()
    previous = {number: signal.signal(number, request.receive) for number in STOP_SIGNALS}
    if WITH_PARENT in os.environ and hasattr(libc := ctypes.CDLL(None), "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ignore_stops() -> None:
    """At the very end: what comes now must not turn a finished job into a killed one."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
