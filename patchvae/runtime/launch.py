"""How many processes share a training, and how they are started and ended together."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType

from patchvae.errors import ConfigError, StoppedError, SuiteError
from patchvae.runtime.stop import STOP_SIGNALS
from patchvae.study import paths


def rank() -> int:
    """Which of its training's processes this is, as torchrun says; 0 is the one that writes."""
    return int(os.environ.get("RANK", 0))


def ranks() -> int:
    """How many processes share this training."""
    return int(os.environ.get("WORLD_SIZE", 1))


def refuse_stray_ranks() -> None:
    """ConfigError where RANK or WORLD_SIZE was left by another program than torchrun."""
    plain = {"RANK": "0", "WORLD_SIZE": "1"}
    left = [name for name, value in plain.items() if os.environ.get(name, value) != value]
    if left and "TORCHELASTIC_RUN_ID" not in os.environ:
        found = " ".join(f"{name}={os.environ[name]}" for name in left)
        raise ConfigError(
            f"{found} is left in the environment, and no torchrun started this: unset"
            f" {' '.join(left)} (--gpus starts the processes of a training)"
        )


def runs_per_gpu() -> int:
    """How many trainings share a GPU, as PATCHVAE_RUNS_PER_GPU says.

    ConfigError for what is no count.
    """
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
    # torchrun would answer SIGTERM and SIGINT by killing after 30 s, and hide how its processes
    # ended
    arguments.insert(0, "--signals-to-handle=SIGHUP,SIGQUIT")
    for number in STOP_SIGNALS:
        signal.signal(number, pass_on)
    try:
        torchrun.run(torchrun.parse_args(arguments))
    except ChildFailedError as error:
        sys.exit(_common_exit({rank: f.exitcode for rank, f in error.failures.items()}))
    sys.exit(0)


def pass_on(number: int, _frame: FrameType | None) -> None:
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


def child_environment() -> dict[str, str]:
    """That of a Python process which finds this package in whatever folder it runs."""
    path = [str(paths.PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def _common_exit(ended: Mapping[int, int]) -> int:
    """The exit code of a training from those of its processes, by rank, that failed first.

    One that had not begun to handle signals ends by the signal: that too is a stop with nothing
    lost. 1 is that of a process that lost another, so every other code says more.
    """
    for rank, code in ended.items():
        if code < 0 and -code not in STOP_SIGNALS:
            raise SuiteError(
                f"process {rank} of the training was killed by {signal.Signals(-code).name}: run "
                "the same"
                " command again to continue from the last state"
            )
    codes = {StoppedError.exit_code if code < 0 else code for code in ended.values()}
    return min(codes - {SuiteError.exit_code}, default=SuiteError.exit_code)
