"""One writer: live holders are respected, dead ones are taken over, others' locks are no one's."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from patchvae.errors import LockedError, ResourceError
from patchvae.runtime import lock
from patchvae.runtime.results import write_text


def hold(path: Path, **holder: object) -> None:
    """A lock that nobody's kernel holds."""
    me = {"host": socket.gethostname(), "pid": os.getpid(), "job": None, "since": "then"}
    path.write_text(json.dumps(me | holder))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def refused(path: Path, words: str) -> None:
    with pytest.raises(LockedError, match=words), lock.locked(path):
        pass


def in_python(path: Path, *before: str) -> list[str]:
    """The command of a process that holds a lock until its standard input ends."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom patchvae.runtime.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    return [*before, sys.executable, "-c", code, str(path)]


@contextmanager
def holder(path: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lock within the block."""
    command = in_python(path, *before)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "in\n":
            pytest.skip(f"cannot start {before}: {process.communicate()[1]}")
        yield process
        if process.poll() is None:
            process.communicate()
            assert process.returncode == 0


def test_a_live_holder_is_respected(tmp_path):
    path = tmp_path / "demo:run.lock"
    with lock.locked(path):
        refused(path, f"process {os.getpid()}")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path, capsys):
    path = tmp_path / "a.lock"
    with holder(path) as process:
        process.kill()
        process.wait()
        assert path.exists()
        with lock.locked(path):
            assert lock.read_holder(path)["pid"] == os.getpid()
    assert f"process {process.pid} since" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_process_keeps_its_lock_however_long_it_is_silent(tmp_path):
    path = tmp_path / "a.lock"
    with holder(path) as process:
        process.send_signal(signal.SIGSTOP)
        for silent in (1, 96, 86_400):
            age(path, silent)
            refused(path, f"process {process.pid}")
        assert lock.live_holder(path)["pid"] == process.pid
        process.send_signal(signal.SIGCONT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_a_holder_in_another_container_is_respected_and_taken_over_when_killed(tmp_path):
    """A process namespace of its own, the same host name: its pid means nothing here."""
    path = tmp_path / "a.lock"
    container = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    with holder(path, *container) as process:
        assert lock.read_holder(path)["pid"] == 1
        assert lock.read_holder(path)["host"] == socket.gethostname()
        age(path, 1000)
        refused(path, "process 1 ")
        seen = subprocess.run(in_python(path, *container), capture_output=True, text=True, input="")
        assert "process 1 " in seen.stderr.splitlines()[-1]
        process.kill()
        process.wait()
        with lock.locked(path):
            pass


def test_another_machine_is_believed_until_it_is_silent(tmp_path):
    path = tmp_path / "a.lock"
    for foreign in ({"host": "elsewhere"}, {"boot": "another start"}, {"pid": 2**31 - 1}):
        hold(path, **foreign)
        refused(path, "since then")
        age(path, lock.STALE + 5)
        assert lock.live_holder(path) is None
        with lock.locked(path):
            pass


def test_a_lock_dated_tomorrow_is_taken_over_once_it_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "STALE", 0.3)
    path = tmp_path / "a.lock"
    hold(path, host="elsewhere")
    age(path, -86_400)
    refused(path, "elsewhere")
    time.sleep(0.4)
    with lock.locked(path):
        pass


def test_a_requeued_job_takes_over_its_earlier_start(tmp_path, monkeypatch):
    path = tmp_path / "a.lock"
    hold(path, host="elsewhere", job="17")
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    refused(path, "job 17")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with lock.locked(path):
        pass


def test_a_requeued_job_waits_for_an_earlier_start_that_still_lives(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with holder(tmp_path / "a.lock") as process:
        refused(tmp_path / "a.lock", f"process {process.pid} job 17")


def test_a_holder_renews_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    path = tmp_path / "a.lock"
    with lock.locked(path):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 5
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


@pytest.mark.parametrize("lose", ["taken over by elsewhere process 3 since then", "removed"])
def test_a_holder_that_lost_its_lock_writes_nothing_and_leaves_the_others(tmp_path, lose):
    path, result = tmp_path / "locks" / "a.lock", tmp_path / "results" / "a.json"
    with lock.locked(path):
        write_text(result, "before")
        path.unlink()
        if lose != "removed":
            hold(path, host="elsewhere", pid=3)
        with pytest.raises(LockedError, match=lose):
            write_text(result, "after")
    assert result.read_text() == "before"
    assert list(result.parent.iterdir()) == [result]
    assert path.exists() == (lose != "removed")


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", "5", "null", '"text"', "{", "[" * 100_000, "\x00" * 50),
        *('{"host": "h", "since": "s"}', '{"host": "h", "pid": "text", "since": "s"}'),
        *('{"host": "h", "pid": true, "since": "s"}', '{"host": 1, "pid": 1, "since": "s"}'),
        *('{"host": "h", "pid": [], "since": "s"}', '{"host": "h", "pid": 1}', "x" * 2_000_000),
    ],
    ids=range(16),
)
def test_an_unreadable_lock_is_nobodys(tmp_path, content):
    path = tmp_path / "a.lock"
    path.write_text(content)
    assert lock.read_holder(path) is None
    with lock.locked(path):
        assert lock.read_holder(path)["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_pid_of_any_size_is_only_a_number(tmp_path):
    hold(tmp_path / "a.lock", pid=10**20)
    refused(tmp_path / "a.lock", "process 100000000000000000000 ")


def test_what_is_no_file_is_no_lock_and_nothing_else_is_touched(tmp_path):
    path, precious = tmp_path / "a.lock", tmp_path / "precious"
    precious.write_text("kept")
    for target in (precious, path, tmp_path / "missing"):
        path.symlink_to(target)
        (tmp_path / "a.guard").unlink(missing_ok=True)
        (tmp_path / "a.guard").symlink_to(precious)
        with lock.locked(path):
            assert not path.is_symlink()
    os.mkfifo(path)
    with lock.locked(path):
        assert path.is_file()
    assert precious.read_text() == "kept"
    path.mkdir()
    with pytest.raises(IsADirectoryError), lock.locked(path):
        pass


def test_a_full_disk_leaves_no_lock(tmp_path, tmpfs):
    disk = tmpfs("size=64k")
    (disk / "fill").write_bytes(bytes(64 << 10))
    with (
        pytest.raises(ResourceError, match="No space left on device"),
        lock.locked(disk / "a.lock"),
    ):
        pass
    assert [path.name for path in disk.iterdir()] == ["fill"]


@pytest.mark.parametrize("missing", [(lock.fcntl, "flock"), (lock.os, "link")])
def test_where_the_file_system_lacks_it_one_holds_and_the_silent_are_taken_over(
    missing, tmp_path, monkeypatch
):
    """No flock, as on NFS without locks; no hard links, as on exFAT."""

    def refuse(*_arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(*missing, refuse)
    path = tmp_path / "a.lock"
    with lock.locked(path):
        refused(path, f"process {os.getpid()}")
    hold(path)
    age(path, lock.STALE + 5)
    with lock.locked(path):
        pass
    assert list(tmp_path.iterdir()) == []


def _compete(path: Path, log: Path) -> None:
    for _ in range(20):
        try:
            with lock.locked(path), log.open("a") as file:
                file.write("in\n")
                file.flush()
                file.write("out\n")
        except LockedError:
            time.sleep(0.001)


def test_processes_never_hold_it_together(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_compete, args=(tmp_path / "a.lock", tmp_path / "log"))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lines = (tmp_path / "log").read_text().split()
    assert lines == ["in", "out"] * (len(lines) // 2)
    assert len(lines) >= 2
