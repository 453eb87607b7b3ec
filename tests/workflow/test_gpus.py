"""`--profile profiles/gpus` on a machine with two pretended GPUs: trainings, killed and not."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

VARIANT = "N16-d6-prior0.0625-bvis0.6-bapp1"
RUN = f"results/tiny/runs/parts32/patchvae/{VARIANT}"
SEEDS = range(6)


def begin(fresh, *arguments: str) -> subprocess.Popen:
    """Six pretrainings, two at a time on each of two GPUs."""
    fresh.edit("config/tiny.yaml", "seeds: [0]", f"seeds: {list(SEEDS)}")
    fresh.env |= {
        "CUDA_VISIBLE_DEVICES": f"{fresh.folder.name}-0,{fresh.folder.name}-1",
        "PATCHVAE_RUNS_PER_GPU": "2",
        "PATCHVAE_DEVICE": "cpu",
    }
    targets = [f"{RUN}/seed{seed}/pretrain/metrics.json" for seed in SEEDS]
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/gpus", "--cores", "6"]
    return subprocess.Popen(
        [*command, *arguments, *targets], cwd=fresh.folder, env=fresh.env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def spans(folder: Path) -> list[tuple[str, str, str]]:
    """GPU, begin and end, in whole seconds, of each training."""
    found = []
    for seed in SEEDS:
        log = folder / f"logs/tiny/parts32/patchvae/{VARIANT}/seed{seed}/pretrain.log"
        device = re.findall(r"CUDA_VISIBLE_DEVICES=(\S+) of", log.read_text())[-1]
        metrics = json.loads((folder / RUN / f"seed{seed}/pretrain/metrics.json").read_text())
        found.append((device, metrics["provenance"]["started"], metrics["provenance"]["ended"]))
    return found


def test_all_gpus_are_used_and_none_by_more_trainings_than_may_be(fresh):
    head = begin(fresh)
    said = head.communicate()[0]
    assert head.returncode == 0, said
    assert re.search(r"Provided resources: .*gpu.*\b4\b", said)
    found = spans(fresh.folder)
    for device in fresh.env["CUDA_VISIBLE_DEVICES"].split(","):
        mine = [(begun, ended) for used, begun, ended in found if used == device]
        assert len(mine) >= 2
        for begun, _ in mine:  # one that ends in a second in which another begins does not count
            assert sum(other <= begun < ended for other, ended in mine) <= 2
    metrics = json.loads((fresh.folder / RUN / "seed0/pretrain/metrics.json").read_text())
    assert metrics["provenance"]["runs_per_gpu"] == 2


def test_a_killed_training_costs_its_gpu_nothing(fresh):
    """One training is killed as soon as it has a GPU: the five others end, on both GPUs."""
    head = begin(fresh)
    log = fresh.folder / f"logs/tiny/parts32/patchvae/{VARIANT}/seed3/pretrain.log"
    while not (log.exists() and "CUDA_VISIBLE_DEVICES=" in log.read_text()):
        assert head.poll() is None, head.communicate()[0]
        time.sleep(0.01)
    (victim,) = (
        child for child in psutil.Process(head.pid).children(recursive=True)
        if any("seed3/pretrain" in word for word in child.cmdline())
    )  # fmt: skip
    victim.kill()
    said = head.communicate()[0]
    assert head.returncode == 1, said
    assert len(list(fresh.folder.glob(f"{RUN}/*/pretrain/metrics.json"))) == len(SEEDS) - 1
    again = begin_again(fresh)
    assert again.returncode == 0, again.stdout
    assert len({device for device, _, _ in spans(fresh.folder)}) == 2


def begin_again(fresh) -> subprocess.CompletedProcess[str]:
    target = f"{RUN}/seed3/pretrain/metrics.json"
    return fresh.run("snakemake", "--profile", "profiles/gpus", target)


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="needs a machine without a GPU")
def test_without_a_gpu_it_says_so(fresh):
    fresh.env.pop("CUDA_VISIBLE_DEVICES", None)
    done = fresh.run("snakemake", "--profile", "profiles/gpus", "tables/tiny/table6.tex")
    assert done.returncode == 2
    assert "no GPU to share, by nvidia-smi -L" in done.stderr.splitlines()[-1]
