"""The machine: device, threads, requests to stop, and the provenance written into every result."""

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from patchvae.errors import ConfigError, StoppedError, SuiteError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@dataclass
class StopRequest:
    """Set by a signal. Before the first step that ends the job; then the loop looks at it between two steps."""

    name: str = ""
    deferred: bool = False

    def __bool__(self) -> bool:
        return bool(self.name)

    def defer(self) -> None:
        """From now on a signal is only noted: there is a state to save, or a result to write whole.

        One that came before ends the job here at the latest: an import may have swallowed its exception.
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
            f"stopped by {self.name} before the first step: nothing is lost, run the same command again"
        )


@dataclass(frozen=True)
class Options:
    """How a job runs, apart from what it computes: recorded, never part of a configuration."""

    device: str = "auto"
    threads: int = 1
    save_every: float = 300.0  # seconds between saved states
    data: Path | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    deterministic: bool = False  # on a GPU too
    graphs: bool = True  # CUDA graphs, on one GPU

    def captures(self, device: Any) -> bool:
        """Whether steps on a device are captured as CUDA graphs."""
        return self.graphs and device.type == "cuda" and ranks() == 1


def rank() -> int:
    """Which of its training's processes this is, as torchrun says; 0 is the one that writes."""
    return int(os.environ.get("RANK", 0))


def ranks() -> int:
    """How many processes share this training."""
    return int(os.environ.get("WORLD_SIZE", 1))


def runs_per_gpu() -> int:
    """How many trainings share a GPU, as PATCHVAE_RUNS_PER_GPU says; ConfigError for what is no count."""
    text = os.environ.get("PATCHVAE_RUNS_PER_GPU", "1")
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigError(f"PATCHVAE_RUNS_PER_GPU={text}: give a whole number, 1 or more")
    return int(text)


def spread(processes: int) -> None:
    """Run `processes` of this command under torchrun and end as they do; return in each of them.

    A signal goes on to all of them. Where one is killed torchrun ends the others.
    """
    if processes == 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    arguments = ["--standalone", f"--nproc-per-node={processes}", "-m", "patchvae", *sys.argv[1:]]
    print("torchrun", *arguments, file=sys.stderr, flush=True)
    # torchrun would answer SIGTERM and SIGINT by killing after 30 s, and hide how its processes ended
    arguments.insert(0, "--signals-to-handle=SIGHUP,SIGQUIT")
    for number in STOP_SIGNALS:
        signal.signal(number, _pass_on)
    try:
        torchrun.run(torchrun.parse_args(arguments))
    except ChildFailedError as error:
        sys.exit(_common_exit({rank: f.exitcode for rank, f in error.failures.items()}))
    sys.exit(0)


def _pass_on(number: int, _frame: FrameType | None) -> None:
    """Send a signal to all child processes, a moment later where there are none yet."""
    import psutil

    children = psutil.Process().children()
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.send_signal(number)
    if not children:
        again = threading.Timer(0.2, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()


def _common_exit(ended: Mapping[int, int]) -> int:
    """The exit code of a training from those of its processes, by rank, that failed first.

    One that had not begun to handle signals ends by the signal: that too is a stop with nothing lost.
    1 is that of a process that lost another, so every other code says more.
    """
    for rank, code in ended.items():
        if code < 0 and -code not in STOP_SIGNALS:
            raise SuiteError(
                f"process {rank} of the training was killed by {signal.Signals(-code).name}: run the same"
                " command again to continue from the last state"
            )
    codes = {StoppedError.exit_code if code < 0 else code for code in ended.values()}
    return min(codes - {SuiteError.exit_code}, default=SuiteError.exit_code)


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def pick_device(name: str) -> Any:
    """The torch device called `auto`, `cpu` or `cuda`; ConfigError for others or without a GPU."""
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device '{name}': choose one of auto, cpu or cuda")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda' was asked for, but PyTorch sees no GPU: use --device cpu")
    return torch.device(name)


def ignore_stops() -> None:
    """At the very end: what comes now must not turn a finished job into a killed one."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block SIGTERM, SIGUSR1 and SIGINT ask for a stop instead of ending the process."""
    request = StopRequest()
    previous = {number: signal.signal(number, request.receive) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@cache
def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def provenance(started: str, options: Options | None = None) -> dict[str, Any]:
    """Versions, git state, hardware, threads and times of the job that calls this last."""
    record: dict[str, Any] = {
        "started": started,
        "ended": now(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "patchvae-repro")},
        "git": {"commit": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain"))},
        "host": {"cpu": _cpu_model(), "cores": os.cpu_count(), "system": platform.system()},
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    if options is not None:
        import torch

        device = pick_device(options.device)
        record["threads"] = torch.get_num_threads()
        record["processes"] = ranks()
        record["runs_per_gpu"] = runs_per_gpu()
        record["deterministic"] = options.deterministic
        record["graphs"] = options.captures(device)
        record["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        record["peak_memory_mib"] = peak_memory_mib(device)
    return record


def peak_memory_mib(device: Any) -> int:
    """Peak device memory on a GPU, peak resident memory of the process elsewhere."""
    import resource

    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
