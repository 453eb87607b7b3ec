"""Two processes compute what one does: real torchrun, gloo on the CPU."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from makers import MAKERS
from processes import Job
from small_study import REPO, edit_study
from torch import Tensor
from updates import outcomes

from patchvae.errors import ConfigError
from patchvae.numerics import parallel
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.config import load_study
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.variants import variant_of
from patchvae.training.pretrain import pretrain
from patchvae.training.probe import probe

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """Double-precision updates by one process and by two."""
    path = tmp_path_factory.mktemp("updates") / "two.pt"
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [sys.executable, "-m", *torchrun, str(TESTS / "updates.py"), str(path)],
        env={**os.environ, "PYTHONPATH": f"{REPO}:{TESTS}"}, check=True, timeout=300,
    )  # fmt: skip
    return [outcomes(), torch.load(path, weights_only=True)]


@pytest.mark.parametrize("model", MAKERS)
def test_updates_of_two_ranks_are_those_of_one_process(
    model: str, both: list[dict[str, dict[str, Tensor]]]
) -> None:
    """Losses, terms, weights and running statistics after four steps, all phases."""
    one, two = (found[model] for found in both)
    assert list(one) == list(two)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-8, atol=1e-8, msg=name)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "batch inside"])
def test_noise_is_cut_from_that_of_one_process(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.zeros(12, 5, 3, 2)
    if layout == "channels_last":
        x = x.to(memory_format=torch.channels_last)
    if layout == "batch inside":
        x = torch.zeros(5, 12, 3, 2).transpose(0, 1)
    torch.manual_seed(0)
    expected = torch.randn_like(x)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        part = parallel.share(x)
        torch.manual_seed(0)
        found = parallel.share(torch.randn_like(parallel.whole(part)))
        assert torch.equal(found, expected[4 * rank : 4 * rank + 4])


def test_work_and_batches_are_divided_without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    pieces = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        pieces += list(parallel.mine(range(0, 100, 7)))
    assert sorted(pieces) == list(range(0, 100, 7))
    parallel.check_batch(9)
    with pytest.raises(ConfigError, match="a batch of 8 does not divide among 3"):
        parallel.check_batch(8)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def two(project: Path) -> Path:
    """The tiny study, one epoch at the paper's rate, by two processes; a folder to run it in."""
    edit_study("lr: 1.0e-3", "lr: 1.0e-4")
    edit_study("epochs: 2", "epochs: 1")
    edit_study("snapshots: 1", "snapshots: 0")
    edit_study("test: 40}", "test: 40, gpus_per_run: 2}")
    folder = project / "two"
    folder.mkdir()
    (folder / "config").symlink_to(project / "config")
    return folder


def test_a_run_and_its_probe_by_torchrun_stopped_and_continued(two: Path, parts_root: Path) -> None:
    """In single precision the losses of an epoch agree to 1e-4, and the classifier's to 1e-2."""
    variant = variant_of(load_study("tiny"), "parts32", "patchvae-gan", {})
    run = Run("tiny", "parts32", "patchvae-gan", variant, 0)
    options = Options(device="cpu", data=parts_root)
    pretrain(resolve_run(run), options)
    probe(resolve_probe(run, "conv3"), options)

    common = ("--device", "cpu", "--data", str(parts_root))
    job = Job(two, "pretrain", run.name, *common, "--save-every", "0")
    assert job.signal_at(2, signal.SIGTERM) == 75
    assert not (two / run.pretrain).exists()
    assert "--nproc-per-node=2" in job.text()
    assert "stopped by" in job.text()
    job = Job(two, "pretrain", run.name, *common)
    assert job.wait() == 0, job.text()
    assert "continuing at epoch 1, step" in job.text()
    metrics = read_result(two / run.pretrain / paths.METRICS, "pretrain")
    assert metrics["provenance"]["processes"] == 2
    assert metrics["config_digest"] == resolve_run(run).digest  # how many is no configuration

    (ours,), (theirs,) = (rows(folder / run.pretrain / paths.HISTORY) for folder in (Path(), two))
    for term in ("recon", "kl_vis", "kl_app", "adversarial", "discriminator"):
        assert float(theirs[term]) == pytest.approx(float(ours[term]), rel=1e-4), term
    one, other = (load_weights(folder / run.pretrain / paths.MODEL) for folder in (Path(), two))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-2, atol=1e-3, msg=name)

    job = Job(two, "probe", run.name, "conv3", *common)
    assert job.wait() == 0, job.text()
    found = [rows(folder / run.folder / "conv3" / paths.HISTORY) for folder in (Path(), two)]
    for ours, theirs in zip(*found, strict=True):
        assert float(theirs["loss"]) == pytest.approx(float(ours["loss"]), rel=1e-2)
        assert theirs["lr"] == ours["lr"]
