"""GPUs of one machine dealt out to jobs: a lease is a socket name, which the kernel takes back.

`profiles/gpus` lists the GPUs once. Each job binds a name in Linux' abstract namespace for every
GPU that it takes, and sees no others; only one process of a machine can have a name, whoever's it
is, and it is free again the moment that its process ends, however that happens. Inside a Slurm job
names are that job's own, since Slurm may number the GPUs of each from 0.
"""

import errno
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from patchvae.errors import ConfigError
from patchvae.runtime.launch import runs_per_gpu
from patchvae.runtime.machine import GIVEN
from patchvae.runtime.progress import log

VISIBLE = "CUDA_VISIBLE_DEVICES"
SHARED = "PATCHVAE_SHARED_GPUS"  # from the head to its jobs: the GPUs that they share
PATIENCE = 0.2  # seconds between two looks at GPUs that are taken
_held: list[socket.socket] = []  # open as long as this process lives


def share_out() -> int:
    """How many trainings the GPUs of this machine take at a time; its jobs share them from now on.

    They are those of CUDA_VISIBLE_DEVICES where it is set, else all. ConfigError without any.
    """
    if not (found := gpus()):
        said = f"{VISIBLE}={os.environ[VISIBLE]}" if VISIBLE in os.environ else "nvidia-smi -L"
        raise ConfigError(f"no GPU to share, by {said}: leave --profile profiles/gpus out")
    os.environ[SHARED] = ",".join(found)
    return len(found) * runs_per_gpu()


def gpus() -> list[str]:
    """The GPUs that CUDA may use here, found without torch."""
    if (named := os.environ.get(VISIBLE)) is not None:
        names = [] if named in GIVEN[VISIBLE] else named.split(",")
        return list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    names = re.findall(r"\(UUID: ((?:GPU|MIG)-[\w/-]+)\)", listed.stdout)
    # a GPU cut into MIG devices, listed below it, is not one itself
    cut = [after.startswith("MIG-") for after in [*names[1:], ""]]
    return [name for name, parts in zip(names, cut, strict=True)
            if name.startswith("MIG-") or not parts]  # fmt: skip


def lease_gpus(count: int) -> None:
    """From now until it ends this process sees `count` of the shared GPUs, those with fewest jobs.

    Waits while too few are free. Nothing where none are shared; ConfigError where they are too few.
    """
    if not (shared := os.environ.pop(SHARED, "")):
        return
    devices = shared.split(",")
    if count > len(devices):
        raise ConfigError(
            f"a training on {count} GPUs (gpus_per_run) does not fit here, where {len(devices)} are"
            f" shared: {shared}"
        )
    with _turn(devices[0]):
        waits = False
        while not (taken := _take(devices, count)):
            if not waits:
                log(f"waiting for {count} of the GPUs {shared}")
            waits = True
            time.sleep(PATIENCE)
    os.environ[VISIBLE] = ",".join(taken)
    log(f"{VISIBLE}={os.environ[VISIBLE]} of {shared}")


@contextmanager
def _turn(device: str) -> Iterator[None]:
    """Within the block no other job looks for the GPUs whose first is `device`.

    So one that needs several gets them.
    """
    while (turn := _bind(device, "turn")) is None:
        time.sleep(PATIENCE / 10)
    with turn:
        yield


def _take(devices: list[str], count: int) -> list[str]:
    """The `count` devices with most room, now ours; nothing while fewer have any."""
    slots = range(runs_per_gpu())
    room = {device: [_bind(device, slot) for slot in slots] for device in devices}
    free = {device: [name for name in names if name] for device, names in room.items()}
    taken = sorted(free, key=lambda device: -len(free[device]))[:count]
    if not free[taken[-1]]:
        taken = []
    _held.extend(free[device].pop() for device in taken)
    for names in free.values():
        for name in names:
            name.close()
    return taken


def _bind(*words: str | int) -> socket.socket | None:
    """A name of this machine, or of this Slurm job, for this process; None while another has it."""
    job = os.environ.get("SLURM_JOB_ID", "")
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind("\0" + "/".join(map(str, ("patchvae", job, *words))))
    except OSError as error:
        name.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return name
