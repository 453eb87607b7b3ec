"""One writer for each result, over processes, containers and hosts that share a file system.

A lock is a file that names its holder and appears whole. The holder keeps it open under the
kernel's flock, which lasts as long as the process, stopped or not, and no longer: on one machine
that decides, in whatever container either runs. Between machines a thread renews the file's time,
and a holder that gave no such sign for `STALE` seconds, by the file system's own clock, is taken
over with a line that says so. One that lost its lock notices before it writes (`confirm_locks`).
"""

import errno
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
from patchvae.runtime.disk import writing
from patchvae.runtime.launch import rank
from patchvae.runtime.machine import now
from patchvae.runtime.progress import log

HEARTBEAT = 15.0  # seconds between two renewals
STALE = 90.0  # seconds without one after which a holder elsewhere counts as dead
PATIENCE = 1.0  # seconds between two looks at a lock that is waited for
LONGEST = 4096  # bytes read of a lock
NO_FLOCK = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
NO_HARD_LINK = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
_held: dict[Path, bytes] = {}  # the locks of this process, with what it wrote into them


def _boot() -> str:
    """This start of this machine's kernel; the same in all of its containers, empty if unknown."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _me() -> bytes:
    holder = {
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "since": now(),
    }
    return json.dumps(holder).encode()


def _parse(content: bytes) -> dict[str, Any] | None:
    """The holder that a lock names; None for what no version of this suite wrote."""
    try:
        holder = json.loads(content)
    except (ValueError, RecursionError):
        return None
    types = {"host": str, "pid": int, "since": str}
    if not isinstance(holder, dict) or any(type(holder.get(k)) is not t for k, t in types.items()):
        return None
    return {"boot": "", "job": None} | holder


def _content(path: Path) -> bytes:
    """What a lock says; nothing when it is missing, a link, or nothing that can be read."""
    try:
        handle = _open(path)
    except OSError:
        return b""
    try:
        return _read(handle)
    finally:
        os.close(handle)


def _read(handle: int) -> bytes:
    with suppress(OSError):  # a pipe
        return os.read(handle, LONGEST)
    return b""


def _open(path: Path) -> int:
    """A lock's file itself, never what a link points to; another user's can be read only."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags)
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)


def read_holder(path: Path) -> dict[str, Any] | None:
    """Whom a lock names, dead or alive; None when there is none or it cannot be read."""
    return _parse(_content(path))


def live_holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock now; None when nobody does."""
    with suppress(OSError):
        handle = _open(path)
        try:
            holder = _parse(_read(handle))
            return None if _dead(path, handle, holder) else holder
        finally:
            os.close(handle)
    return None


def confirm_locks() -> None:
    """LockedError when a lock of this process was removed or taken over.

    So it happens where a holder is stopped for long and another machine takes it for dead.
    """
    for path, written in _held.items():
        if (found := _content(path)) != written:
            holder = _parse(found)
            now_of = f"taken over by {_who(holder)}" if holder else "removed"
            raise LockedError(
                f"{_title(path)}: its lock {path} was {now_of} meanwhile: nothing more is written"
                " here, run the same command again to continue"
            )


def _title(path: Path) -> str:
    return path.stem.lstrip(".")


def _who(holder: dict[str, Any] | None) -> str:
    if holder is None:
        return "an unknown process"
    job = f" job {holder['job']}" if holder["job"] else ""
    return f"{holder['host']} process {holder['pid']}{job} since {holder['since']}"


def _flock(handle: int) -> bool | None:
    """Whether the kernel gives us the lock; None where the file system has none.

    Another that only looks keeps it for a moment, so it is asked for more than once.
    """
    for wait in (0.02, 0.08, 0.0):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(wait)
        except OSError as error:
            if error.errno in NO_FLOCK:
                return None
            raise
    return False


def _age(path: Path, handle: int) -> float:
    """Seconds since the lock was renewed, both times taken from the file system."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".clock-") as clock:
        age = os.stat(clock.name).st_mtime - os.fstat(handle).st_mtime
    if age < -HEARTBEAT:  # by a clock that was ahead: its silence counts from now on
        os.utime(handle)
    return age


def _dead(path: Path, handle: int, holder: dict[str, Any] | None) -> str:
    """Why the holder cannot be alive; empty when it may be."""
    free = _flock(handle)
    if free is False:
        return ""
    if holder is None:
        return "it names no holder"
    job = os.environ.get("SLURM_JOB_ID")
    if job is not None and holder["job"] == job:
        return f"it is an earlier start of this job {job}"
    if free and holder["boot"] and holder["boot"] == _boot():
        return f"process {holder['pid']} has ended"
    if (age := _age(path, handle)) > STALE:
        return f"it gave no sign for {age:.0f} s"
    return ""


def _take(path: Path, content: bytes) -> int | None:
    """Make the lock, whole and ours from its first moment; None when it exists."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return _link(path, content)


def _link(path: Path, content: bytes) -> int | None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        _write(handle, content)
        _flock(handle)
        os.link(name, path)
    except FileExistsError:
        os.close(handle)
        return None
    except OSError as error:
        os.close(handle)
        if error.errno not in NO_HARD_LINK:
            raise
        return _create(path, content)
    finally:
        os.unlink(name)
    return handle


def _create(path: Path, content: bytes) -> int | None:
    """`_link` where the file system has no hard links: whole only a moment later."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return None
    _flock(handle)
    _write(handle, content)
    return handle


def _write(handle: int, content: bytes) -> None:
    os.fchmod(handle, 0o644)
    with open(handle, "wb", closefd=False) as file:
        file.write(content)


def _clear_dead(path: Path) -> str:
    """Remove the lock of a dead holder, or of nobody; who holds it while the holder may live."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
        log(f"removed {path}: a link is nobody's lock")
        return ""
    try:
        handle = _open(path)
    except FileNotFoundError:
        return ""
    try:
        holder = _parse(_read(handle))
        if not (reason := _dead(path, handle, holder)):
            return _who(holder)
        with suppress(FileNotFoundError):  # released, or taken over by another, meanwhile
            if os.path.samestat(path.lstat(), os.fstat(handle)):
                path.unlink()
                log(f"took over the lock of {_who(holder)}: {reason}")
        return ""
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, wait: bool = False, guards: bool = True) -> Iterator[None]:
    """Hold the lock at `path` within the block.

    When another live job does, LockedError (exit 5), or `wait` until it has ended. One that
    `guards` nothing that this process writes is not asked for by `confirm_locks`.
    """
    if rank() > 0:  # the first of several processes holds it for all
        yield
        return
    content, before = _me(), ""
    while (handle := _take(path, content)) is None:
        if not (who := _clear_dead(path)):
            continue
        if not wait:
            raise LockedError(
                f"{path.stem} is being computed by {who}: wait for it or end it (one that died on"
                f" another machine is taken over after {STALE:.0f} s)"
            )
        if who != before:
            log(f"{_title(path)}: waiting for {who} (taken over when it is dead)")
            before = who
        time.sleep(PATIENCE)
    with _renewed(handle):
        if guards:
            _held[path] = content
        try:
            yield
        finally:
            _held.pop(path, None)
            with suppress(OSError):  # must not hide what ended the block
                if _content(path) == content:
                    path.unlink()


@contextmanager
def _renewed(handle: int) -> Iterator[None]:
    """Within the block a lock's time is renewed; then its file is closed."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(HEARTBEAT):
            with suppress(OSError):
                os.utime(handle)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        os.close(handle)
