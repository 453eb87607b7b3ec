"""One writer for each result, over processes and hosts that share a file system.

A lock is a file created exclusively that names its holder; a thread renews its time. A lock whose
holder is known to be gone, or whose time was not renewed for `STALE` seconds by the file system's
own clock, is taken over with a line that says so.
"""

import fcntl
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from patchvae.errors import LockedError
from patchvae.runtime.launch import rank
from patchvae.runtime.machine import now
from patchvae.runtime.progress import log

HEARTBEAT = 15.0  # seconds between two renewals
STALE = 90.0  # seconds without one after which the holder counts as dead
PATIENCE = 1.0  # seconds between two looks at a lock that is waited for


def _holder() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "since": now(),
    }


def _age(path: Path) -> float:
    """Seconds since the lock was renewed, both times taken from the file system."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".clock-") as clock:
        return os.stat(clock.name).st_mtime - path.stat().st_mtime


def _gone(path: Path, holder: dict[str, Any]) -> str:
    """Why the holder cannot be alive; empty when it may be."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is not None and holder.get("job") == job:
        return f"it is an earlier start of this job {job}"
    if holder.get("host") == socket.gethostname() and not _alive(int(holder["pid"])):
        return f"process {holder['pid']} has ended"
    if (age := _age(path)) > STALE:
        return f"it gave no sign for {age:.0f} s"
    return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock; None when nobody does. A lock being written has an unknown holder."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except ValueError:
        return {"host": "unknown", "pid": 0, "job": None, "since": "just now"}


def _take(path: Path) -> bool:
    """Create the lock; False when it exists."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        json.dump(_holder(), file)
    return True


def _clear_stale(path: Path) -> str:
    """Remove a dead holder's lock, one process at a time.

    Who holds it while the holder may be alive.
    """
    with path.with_suffix(".guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        holder = read_holder(path)
        if holder is None:
            return ""
        who = f"{holder['host']} process {holder['pid']}"
        if holder.get("job"):
            who += f" job {holder['job']}"
        try:
            reason = _gone(path, holder)
        except FileNotFoundError:  # released meanwhile
            return ""
        if not reason:
            return f"{who} since {holder['since']}"
        path.unlink()
        log(f"took over the lock of {who}: {reason}")
        return ""


def _patiently(name: str, who: str, before: str) -> None:
    """Wait a moment, with a line when the holder is another than `before`."""
    if who != before:
        log(
            f"{name}: waiting for {who} (a dead holder is taken over, after {STALE:.0f} s at the "
            "latest)"
        )
    time.sleep(PATIENCE)


@contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock at `path` within the block.

    When another live job does, LockedError (exit 5), or `wait` until it has ended.
    """
    if rank() > 0:  # the first of several processes holds it for all
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    before = ""
    while not _take(path):
        if not (who := _clear_stale(path)):
            continue
        if not wait:
            raise LockedError(
                f"{path.stem} is being computed by {who}: wait for it or end it"
                f" (a dead holder is taken over after {STALE:.0f} s)"
            )
        _patiently(path.stem.lstrip("."), who, before)
        before = who
    done = threading.Event()

    def renew() -> None:
        while not done.wait(HEARTBEAT):
            with suppress(FileNotFoundError):
                os.utime(path)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        path.unlink(missing_ok=True)
