"""The machine: how a job runs, its device, and the provenance written into every result."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from patchvae import __version__
from patchvae.errors import ConfigError, ResourceError
from patchvae.runtime.launch import ranks, runs_per_gpu
from patchvae.runtime.progress import log
from patchvae.runtime.stop import StopRequest
from patchvae.study import paths

BF16 = {"avx512_bf16", "amx_bf16", "bf16"}  # what x86 and Arm call instructions for bfloat16
# what says that a job was given a GPU, with the values that say that it was given none
GIVEN = {
    "SLURM_JOB_GPUS": (),
    "SLURM_STEP_GPUS": (),
    "SLURM_GPUS": ("0",),  # what the rule's `gpu` asked for
    "SLURM_GPUS_ON_NODE": ("0",),
    "CUDA_VISIBLE_DEVICES": ("-1", "NoDevFiles"),
}


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


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def pick_device(name: str) -> Any:
    """The torch device called `auto`, `cpu` or `cuda`; ConfigError for others or without a GPU.

    `auto` is the CPU where there is no GPU, but ResourceError where this job was given one.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device '{name}': choose one of auto, cpu or cuda")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and (given := _given_gpu()):
            raise ResourceError(
                f"this job was given a GPU ({given}), but PyTorch sees none: {_why_no_gpu()};"
                " docs/cluster.md says which wheel goes with which driver, and --device cpu"
                " (PATCHVAE_DEVICE=cpu) trains without"
            )
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda' was asked for, but PyTorch sees no GPU: use --device cpu")
    return torch.device(name)


def _given_gpu() -> str:
    """The variable by which Slurm or the user gave this job a GPU; empty when nobody did."""
    for name, none in GIVEN.items():
        if (value := os.environ.get(name, "")) not in ("", *none):
            return f"{name}={value}"
    return ""


def _why_no_gpu() -> str:
    """What is wrong between this machine's driver and this PyTorch."""
    import torch

    driver, cuda = _driver(), torch.version.cuda
    found = f"NVIDIA driver {driver}" if driver else "no NVIDIA driver"
    if cuda is None:
        return f"{found}, PyTorch {torch.__version__} without CUDA: install one with CUDA"
    found += f", PyTorch {torch.__version__} for CUDA {cuda}"
    if driver:
        return f"{found}: install one for a CUDA that this driver has"
    return f"{found}: this node has no GPU, or the container none (apptainer --nv)"


def _driver() -> str:
    """The version of the NVIDIA driver; empty without one."""
    loaded = Path("/proc/driver/nvidia/version")
    text = loaded.read_text() if loaded.is_file() else ""
    if not text and shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text)
    return found[0] if found else ""


@cache
def _git(*arguments: str) -> str:
    """What git says of the checkout; nothing of a wheel, whatever repository that lies in."""
    if paths.PACKAGE.parent != paths.SHIPPED or shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(paths.PACKAGE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_model() -> str:
    model = _cpuinfo("model name")
    return model or platform.processor() or platform.machine()


def _cpuinfo(*names: str) -> str:
    """What Linux says of the first core under one of these names; empty elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def warn_of_emulated_bf16(precision: str, device: str) -> None:
    """A line in the log where bf16 is asked of a CPU without instructions for it."""
    if precision != "bf16" or pick_device(device).type != "cpu":
        return
    if emulates_bf16(_cpuinfo("flags", "Features")):
        log(
            "this CPU has no bfloat16 instructions, so that bf16 is emulated, at less than half"
            " the speed of fp32 (docs/cost.md): set precision to fp32"
        )


def emulates_bf16(flags: str) -> bool:
    """Whether a CPU with these features has to emulate bfloat16; no, where nothing is known."""
    return bool(flags) and not BF16 & set(flags.split())


def provenance(started: str, options: Options | None = None) -> dict[str, Any]:
    """Versions, git state, hardware, threads and times of the job that calls this last."""
    record: dict[str, Any] = {
        "started": started,
        "ended": now(),
        "python": platform.python_version(),
        "versions": {
            **{name: version(name) for name in ("torch", "numpy")},
            "patchvae-repro": __version__,
        },
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
        record["resident_memory_mib"] = peak_resident_mib()
    return record


def peak_memory_mib(device: Any) -> int:
    """Peak device memory on a GPU, peak resident memory of the process elsewhere."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() >> 20
    return peak_resident_mib()


def peak_resident_mib() -> int:
    """Peak resident memory of this process: what a scheduler counts."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
