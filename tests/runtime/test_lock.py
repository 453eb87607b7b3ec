"""One writer: live holders are respected, dead ones are taken over."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from patchvae.errors import LockedError
from patchvae.runtime import lock


def hold(path: Path, **holder: object) -> None:
    me = {"host": socket.gethostname(), "pid": os.getpid(), "job": None, "since": "then"}
    path.write_text(json.dumps(me | holder))


def test_a_live_holder_is_respected(tmp_path):
    path = tmp_path / "demo:run.lock"
    with (
        lock.locked(path),
        pytest.raises(LockedError, match=f"process {os.getpid()}"),
        lock.locked(path),
    ):
        pass
    assert not path.exists()


def test_the_lock_of_an_ended_process_is_taken_over(tmp_path, capsys):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    hold(tmp_path / "a.lock", pid=ended.pid)
    with lock.locked(tmp_path / "a.lock"):
        assert lock.read_holder(tmp_path / "a.lock")["pid"] == os.getpid()
    assert f"process {ended.pid} has ended" in capsys.readouterr().err


def test_another_host_is_believed_until_it_is_silent(tmp_path):
    path = tmp_path / "a.lock"
    hold(path, host="elsewhere")
    with pytest.raises(LockedError, match="elsewhere"), lock.locked(path):
        pass
    long_ago = time.time() - lock.STALE - 5
    os.utime(path, (long_ago, long_ago))
    with lock.locked(path):
        pass


def test_a_requeued_job_takes_over_its_earlier_start(tmp_path, monkeypatch):
    path = tmp_path / "a.lock"
    hold(path, host="elsewhere", job="17")
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    with pytest.raises(LockedError), lock.locked(path):
        pass
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with lock.locked(path):
        pass


def test_a_holder_renews_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    path = tmp_path / "a.lock"
    with lock.locked(path):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 5
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


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
