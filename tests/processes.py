"""Real `patchvae` processes that start at once: forked from a server that has imported torch."""

import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "patchvae.cli",
        "patchvae.training.pretrain",
        "patchvae.training.probe",
        "patchvae.models.patchvae",
    ]
)
PATIENCE = 120.0  # seconds until a test gives a process up


def _block(name: str) -> None:
    """Make a function say that it was called (file `reached`) and wait for leave (file `go`)."""
    place, _, attribute = name.rpartition(".")
    owner = pkgutil.resolve_name(place)
    original = getattr(owner, attribute)

    def waiting(*arguments: Any, **options: Any) -> Any:
        Path("reached").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return original(*arguments, **options)

    setattr(owner, attribute, waiting)


def _main(folder: Path, arguments: tuple[str, ...], log: Path, blocked_in: str) -> None:
    os.chdir(folder)
    if blocked_in:
        _block(blocked_in)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.argv = ["patchvae", *arguments]
    from patchvae.cli import main

    main()


class Job:
    """`patchvae ARGUMENTS` in a folder; `log` gathers what this and earlier jobs there printed.

    A function named by `blocked_in`, such as `patchvae.training.pretrain.build`, waits when called.
    """

    def __init__(self, folder: Path, *arguments: str, blocked_in: str = "") -> None:
        self.folder, self.log = folder, folder / "log"
        self.begun = self.position()
        self.process = SERVER.Process(target=_main, args=(folder, arguments, self.log, blocked_in))
        self.process.start()

    def position(self) -> int:
        """Steps done by the newest saved state."""
        states = self.folder.glob("results/*/state/**/*.pt")
        return max((int(path.name[:10]) for path in states), default=0)

    def signal_at(self, step: int, number: signal.Signals) -> int:
        """Send a signal once this job has saved so many steps, at least one; the exit code."""

        def send(_: "Job") -> None:
            assert self.process.pid is not None
            os.kill(self.process.pid, number)

        return self.do_at(step, send)

    def do_at(self, step: int, act: Callable[["Job"], None]) -> int:
        """As `signal_at`, with anything done to the job."""
        end = time.monotonic() + PATIENCE
        while self.position() < max(step, self.begun + 1):
            assert self.process.is_alive(), f"ended before step {step}: {self.text()}"
            assert time.monotonic() < end, f"never reached step {step}: {self.text()}"
            time.sleep(0.002)
        act(self)
        return self.wait()

    def signal_when_blocked(self, number: signal.Signals) -> int:
        """Send a signal while the function of `blocked_in` works, then let it go on; exit code."""
        end = time.monotonic() + PATIENCE
        while not (self.folder / "reached").exists():
            assert self.process.is_alive(), f"never blocked: {self.text()}"
            assert time.monotonic() < end, f"never blocked: {self.text()}"
            time.sleep(0.002)
        assert self.process.pid is not None
        os.kill(self.process.pid, number)
        (self.folder / "go").touch()
        return self.wait()

    def stop(self) -> None:
        """Freeze the process, as SIGSTOP does."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a frozen process run again."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def wait(self) -> int:
        """The exit code; negative for a signal, as in subprocess."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, f"hangs: {self.text()}"
        return self.process.exitcode

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""
