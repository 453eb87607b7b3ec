"""SIGTERM for the processes below: with proctrack/cgroup Slurm signals only a job's first one."""

import os
import signal
import threading

import psutil


def forward_sigterm() -> None:
    """Pass every SIGTERM that this process gets on to its descendants, from a thread."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    threading.Thread(target=_forward, args=(read,), daemon=True).start()


def _forward(read: int) -> None:
    while number := os.read(read, 1):
        if number[0] == signal.SIGTERM:
            for child in psutil.Process().children(recursive=True):
                child.send_signal(signal.SIGTERM)
