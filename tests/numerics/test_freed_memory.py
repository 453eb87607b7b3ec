"""Memory that a step frees is there for the next one."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from patchvae.numerics.memory import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    blocks = [torch.ones(12 << 20) for _ in range(3)]  # 48 MiB each, more than glibc keeps
for _ in range(8):  # until the heap has found its shape
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", CODE, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_steps_cost_no_page_faults() -> None:
    """4 steps of 144 MiB are 147,456 pages, if the system hands out none larger."""
    usual = faults("default")
    if usual < 1000:
        pytest.skip("this system's C library keeps freed memory by itself, or has large pages")
    assert faults("keep") < usual / 5
