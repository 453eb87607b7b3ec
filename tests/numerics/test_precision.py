"""Fast paths against the plain one, and what stands in for a GPU where there is none."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from makers import MAKERS, images
from small_study import edit_study, tiny_run
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from patchvae.errors import ConfigError
from patchvae.models.base import Unsupervised
from patchvae.models.classifier import Classifier
from patchvae.models.trunk import Trunk
from patchvae.numerics.optim import SGD, Adam
from patchvae.numerics.precision import WARM_UP, Captured, Replay, Step, set_numerics
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.runs import resolve_run
from patchvae.training.phases import update
from patchvae.training.pretrain import pretrain

B, STEPS = 8, 7


def repeat(step: Step, inputs: tuple[Tensor, ...]) -> tuple[Replay, list[Any]]:
    """A CUDA graph's stand-in: every replay works on the inputs of the capture."""
    outputs: list[Any] = []

    def replay() -> None:
        outputs[:] = step(*inputs)

    return replay, outputs


def trained(make: Any, captured: bool) -> tuple[dict[str, Tensor], list[list[float]]]:
    """Weights and recorded values after some steps, in which the temperature falls."""
    torch.manual_seed(0)
    model: Unsupervised = make().to(memory_format=torch.channels_last).train()
    phases = model.phases()
    optimizers = [Adam(phase.parameters, 1e-3, (0.9, 0.999)) for phase in phases]

    def one(x: Tensor) -> Any:
        return update(phases, optimizers, x)

    take = Captured(one, repeat) if captured else one
    found = []
    for step, x in enumerate(images(B * STEPS).split(B)):
        model.at_step(1000 * step)
        loss, terms = take(x)
        found.append([loss.item(), *(term.item() for term in terms.values())])
    return model.state_dict(), found


@pytest.mark.parametrize("name", MAKERS)
def test_a_step_reads_only_what_stays_in_place(name: str) -> None:
    """What a captured step may do, shown where it can be: the same numbers, bit for bit."""
    plain, expected = trained(MAKERS[name], captured=False)
    replayed, found = trained(MAKERS[name], captured=True)
    assert found == expected
    assert all(torch.equal(plain[key], replayed[key]) for key in plain)


@pytest.mark.parametrize("name", MAKERS)
def test_losses_stay_on_the_gpu(name: str) -> None:
    """On tensors that claim a GPU and hold no numbers, reading one or mixing devices raises."""
    with FakeTensorMode(), torch.device("cuda"):
        model: Unsupervised = MAKERS[name]().train()
        model.at_step(3)
        x = torch.empty(B, 3, 32, 32)
        for phase in model.phases():
            loss, terms = phase.loss(x)
            assert {value.device.type for value in (loss, *terms.values())} == {"cuda"}
        with pytest.raises(DataDependentOutputException):
            loss.item()
        with pytest.raises(RuntimeError, match=r"cuda.*cpu"):
            loss + torch.ones(1, device="cpu")


@pytest.mark.parametrize("name", MAKERS)
def test_a_whole_step_never_reads_a_number(name: str) -> None:
    with torch.device("meta"):
        model: Unsupervised = MAKERS[name]().train()
        phases = model.phases()
        optimizers = [Adam(phase.parameters, 1e-3, (0.9, 0.999)) for phase in phases]
        loss, _ = update(phases, optimizers, torch.empty(B, 3, 32, 32))
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


def probing(captured: bool) -> list[Tensor]:
    torch.manual_seed(0)
    classifier = Classifier(Trunk("resnet9"), "conv3", 32, 10, hidden=16).train()
    weights = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = SGD(weights, 1e-2, 0.9)

    def one(h: Tensor, labels: Tensor) -> Any:
        loss = F.cross_entropy(classifier(h), labels)
        optimizer.step(torch.autograd.grad(loss, optimizer.parameters))
        return loss, {"loss": loss}

    take = Captured(one, repeat) if captured else one
    h = classifier.prefix(images(B * STEPS)).detach()
    for step in range(STEPS):
        take(h[step * B :][:B], torch.arange(B) + step % 2)
    return list(classifier.state_dict().values())


def test_a_captured_probe_is_the_plain_one() -> None:
    assert all(map(torch.equal, probing(True), probing(False)))


def test_where_capture_fails_a_line_says_so_and_steps_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(_step: Step, _inputs: tuple[Tensor, ...]) -> tuple[Replay, Any]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    seen: list[float] = []

    def one(x: Tensor) -> Any:
        seen.append(x.item())
        return x, {}

    take = Captured(one, fails)
    for value in range(WARM_UP + 3):
        take(torch.tensor(float(value)))
    assert seen == list(range(WARM_UP + 3))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "no CUDA graph (operation not permitted when stream is capturing)" in lines[0]


def test_a_snapshot_has_the_weights_of_a_run_that_ends_there(
    project: Path, parts_root: Path
) -> None:
    run, options = tiny_run("patchvae-gan"), Options(data=parts_root)
    pretrain(resolve_run(run), options)
    kept = load_weights(run.pretrain / paths.SNAPSHOTS)
    edit_study(
        "epochs: 2, batch_size: 8, lr: 1.0e-3, snapshots: 1",
        "epochs: 1, batch_size: 8, lr: 1.0e-3",
    )
    pretrain(resolve_run(run), options)
    shorter = load_weights(run.pretrain / paths.MODEL)
    steps = 5  # of 40 images in batches of 8
    assert kept.keys() == {f"step{steps}/{name}" for name in shorter}
    assert all(torch.equal(kept[f"step{steps}/{name}"], shorter[name]) for name in shorter)
    assert load_weights(run.pretrain / paths.SNAPSHOTS) == {}


def test_more_snapshots_than_steps_are_refused(project: Path, parts_root: Path) -> None:
    edit_study("snapshots: 1", "snapshots: 10")
    with pytest.raises(
        ConfigError, match=r"tiny.yaml: .*snapshots: 10 do not fit before the last of 10 steps"
    ):
        pretrain(resolve_run(tiny_run("beta-vae")), Options(data=parts_root))


def test_bfloat16_is_close_to_single_precision_and_part_of_the_configuration(
    project: Path, parts_root: Path
) -> None:
    run, options = tiny_run("patchvae-gan-lw"), Options(data=parts_root)
    config = resolve_run(run)
    single = pretrain(config, options)["last_epoch"]
    edit_study("snapshots: 1", "precision: bf16")
    changed = resolve_run(run)
    assert changed.digest != config.digest
    half = pretrain(changed, options)["last_epoch"]
    assert half["recon"] != single["recon"]
    assert half["recon"] == pytest.approx(single["recon"], rel=0.05)


def test_the_same_seed_gives_the_same_bytes_twice(project: Path, parts_root: Path) -> None:
    run, found = tiny_run("patchvae-gan-lw"), []
    options = Options(data=parts_root, deterministic=True)
    try:
        for _ in range(2):
            metrics = pretrain(resolve_run(run), options)
            found.append(
                [(run.pretrain / name).read_bytes() for name in (paths.MODEL, paths.ENCODER)]
            )
    finally:
        set_numerics("fp32", deterministic=False)
    assert found[0] == found[1]
    assert metrics["provenance"]["deterministic"] is True
    assert read_result(run.pretrain / paths.METRICS, "pretrain") == metrics


def test_precision_and_determinism_are_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for precision, expected in (("fp32", False), ("tf32", True), ("bf16", False)):
        set_numerics(precision, deterministic=False)
        assert torch.backends.cudnn.allow_tf32 is expected
        assert torch.backends.cuda.matmul.allow_tf32 is expected
        assert torch.backends.cudnn.benchmark
        assert not torch.are_deterministic_algorithms_enabled()
    set_numerics("fp32", deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    set_numerics("fp32", deterministic=False)


def test_jobs_import_nothing_that_costs_seconds(project: Path, parts_root: Path) -> None:
    """PyTorch's compiler alone takes longer to import than PyTorch."""
    run = tiny_run("patchvae-gan-lw").name
    code = f"""
import sys
from patchvae.cli import cli
for words in (["pretrain", "{run}"], ["probe", "{run}", "conv5"]):
    cli([*words, "--data", "{parts_root}"], standalone_mode=False)
slow = ["torch._dynamo", "torch._inductor", "torchvision", "scipy", "pandas", "matplotlib",
        "snakemake"]
sys.exit(", ".join(name for name in slow if name in sys.modules) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
