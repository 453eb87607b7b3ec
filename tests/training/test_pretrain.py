"""Pretraining for real, on a few images: killed and continued, diverged, repeated, refused."""

import csv
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from processes import Job
from small_study import edit_study, tiny_run
from torch import Tensor, nn

from patchvae.errors import ConfigError, DataError
from patchvae.models.base import Phase
from patchvae.numerics.optim import SGD
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.runs import Run, resolve_run
from patchvae.training.phases import update
from patchvae.training.pretrain import pretrain

KINDS = ("beta-vae", "patchvae", "patchvae-gan-lw", "bigan")
STEPS = 10  # 40 images in batches of 8, twice


def history(run: Run, folder: Path = Path()) -> list[dict[str, str]]:
    """The rows of history.csv without the one column that is a speed."""
    with (folder / run.pretrain / paths.HISTORY).open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


def weights(run: Run, folder: Path = Path()) -> dict[str, bytes]:
    names = (paths.ENCODER, paths.MODEL, paths.SNAPSHOTS)
    return {name: (folder / run.pretrain / name).read_bytes() for name in names}


def states(folder: Path) -> list[Path]:
    return sorted(folder.glob("results/*/state/**/*.pt"))


@pytest.mark.parametrize("model", KINDS)
def test_killed_at_random_steps_it_ends_as_if_undisturbed(
    model: str, project: Path, parts_root: Path
) -> None:
    run = tiny_run(model)
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    disturbed = project / "disturbed"
    disturbed.mkdir()
    (disturbed / "config").symlink_to(project / "config")
    assert Job(project, *arguments).wait() == 0

    draw = random.Random(model)
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1]
    draw.shuffle(signals)
    for step, number in zip(sorted(draw.sample(range(1, STEPS // 2 + 1), 3)), signals, strict=True):
        job = Job(disturbed, *arguments)
        code = job.signal_at(step, number)
        assert code == (-number if number == signal.SIGKILL else 75), job.text()
        assert not (disturbed / run.pretrain / paths.METRICS).exists()
        assert len(states(disturbed)) <= 3  # a kill can come before the oldest is removed
    last = Job(disturbed, *arguments)
    assert last.wait() == 0, last.text()
    assert last.text().count("continuing at epoch") == 3
    assert "stopped by SIGTERM with its state saved" in last.text()
    assert "Traceback" not in last.text()

    assert weights(run, disturbed) == weights(run, project)
    assert history(run, disturbed) == history(run, project)
    assert len(history(run, project)) == 2
    assert states(disturbed) == []


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
    project: Path, parts_root: Path
) -> None:
    options = Options(device="cpu", data=parts_root)
    run = tiny_run("patchvae")
    pretrain(resolve_run(run), options)
    first, rows = weights(run), history(run)
    torch.randn(7)  # the process's own generator does not matter
    pretrain(resolve_run(run), options)
    assert (weights(run), history(run)) == (first, rows)
    other = tiny_run("patchvae", seed=1)
    pretrain(resolve_run(other), options)
    assert weights(other) != first


def test_results_say_what_made_them(project: Path, parts_root: Path) -> None:
    run = tiny_run("random")
    config = resolve_run(run)
    pretrain(config, Options(device="cpu", data=parts_root))
    metrics = read_result(run.pretrain / paths.METRICS, "pretrain")
    assert sorted(path.name for path in run.pretrain.iterdir()) == sorted(paths.PRETRAIN_FILES)
    assert metrics["config_digest"] == config.digest
    assert (
        metrics["data_digest"]
        == json.loads((parts_root / "parts32" / "manifest.json").read_text())["digest"]
    )
    assert metrics["provenance"]["threads"] == 1
    assert set(metrics["provenance"]) >= {"git", "host", "versions", "command", "started", "ended"}
    assert "images" not in metrics
    assert (run.pretrain / paths.HISTORY).read_text() == ""


@pytest.mark.parametrize("model", ["beta-vae", "bigan"])
def test_a_diverging_learning_rate_stops_at_the_step_and_leaves_no_result(
    model: str, project: Path, parts_root: Path
) -> None:
    edit_study("lr: 1.0e-3", "lr: 1.0e+30")
    run = tiny_run(model)
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    messages = []
    for _ in range(2):  # a second attempt resumes, and diverges at the same step
        job = Job(project, *arguments)
        assert job.wait() == 4, job.text()
        messages.append(job.text().strip().splitlines()[-1])
    assert messages[0] == messages[1]
    terms = "recon" if model == "beta-vae" else "generator"
    for words in (run.name, "at epoch 1, step", f"{terms} ", "lower the learning rate"):
        assert words in messages[0]
    assert "Traceback" not in job.text()
    assert not run.pretrain.exists()


def test_another_configuration_never_resumes_a_state_and_removes_it_in_the_end(
    project: Path, parts_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A state of learning rate 1e-3 does not touch a run at 2e-3, which then removes it."""
    run, options = tiny_run("beta-vae"), Options(device="cpu", data=parts_root)
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    assert Job(project, *arguments).signal_at(3, signal.SIGTERM) == 75
    (left,) = {path.parent.parent for path in states(project)}
    assert left == project / f"results/tiny/state/{run.name.removeprefix('tiny/')}/pretrain"
    edit_study("lr: 1.0e-3", "lr: 2.0e-3")
    pretrain(resolve_run(run), options)
    mixed = weights(run)
    assert "states of another configuration, code or images" in capsys.readouterr().err
    assert not left.exists()
    pretrain(resolve_run(run), options)
    assert weights(run) == mixed


def test_a_broken_newest_state_is_named_and_the_previous_one_used(
    project: Path, parts_root: Path
) -> None:
    run = tiny_run("beta-vae")
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    assert Job(project, *arguments).signal_at(4, signal.SIGKILL) == -signal.SIGKILL
    newest = states(project)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    broken = int(newest.name[:10])
    job = Job(project, *arguments)
    assert job.wait() == 0
    assert f"{newest.relative_to(project)} is broken" in job.text()
    before = divmod(broken - 1, 5)
    assert f"continuing at epoch {before[0] + 1}, step {before[1]}" in job.text()
    disturbed = weights(run)
    pretrain(resolve_run(run), Options(device="cpu", data=parts_root))
    assert weights(run) == disturbed


def stopped_in_the_middle(project: Path, arguments: tuple[str, ...]) -> tuple[Job, Path]:
    """A training that was stopped by SIGSTOP once it had saved a state, and its lock."""
    job = Job(project, *arguments)
    while not states(project):
        assert job.process.is_alive(), job.text()
        time.sleep(0.002)
    job.stop()
    (lock,) = project.glob("results/tiny/locks/*.lock")
    os.utime(lock, (time.time() - 96, time.time() - 96))  # silent for longer than STALE
    return job, lock


def test_a_stopped_training_keeps_its_run_and_ends_as_undisturbed(
    project: Path, parts_root: Path
) -> None:
    run = tiny_run("beta-vae")
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    first, _ = stopped_in_the_middle(project, arguments)
    assert Job(project, *arguments).wait() == 5
    assert f"being computed by {socket.gethostname()} process {first.process.pid} " in first.text()
    first.go_on()
    assert first.wait() == 0, first.text()
    disturbed = weights(run)
    pretrain(resolve_run(run), Options(device="cpu", data=parts_root))
    assert weights(run) == disturbed


def test_a_training_that_lost_its_run_to_another_machine_writes_nothing(
    project: Path, parts_root: Path
) -> None:
    run = tiny_run("beta-vae")
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    job, lock = stopped_in_the_middle(project, arguments)
    lock.unlink()
    taken = '{"host": "elsewhere", "pid": 1, "since": "then"}'
    lock.write_text(taken)
    shutil.rmtree(project / "results" / "tiny" / "state")
    before = {path: path.read_bytes() for path in project.rglob("results/**/*.*") if path.is_file()}
    job.go_on()
    assert job.wait() == 5, job.text()
    assert "was taken over by elsewhere process 1 since then meanwhile" in job.text()
    assert "Traceback" not in job.text()
    after = {path: path.read_bytes() for path in project.rglob("results/**/*.*") if path.is_file()}
    assert after == before
    assert lock.read_text() == taken


def test_a_full_disk_exits_7_with_the_last_states_whole(
    project: Path, parts_root: Path, tmpfs: Callable[[str], Path]
) -> None:
    """A state takes 17 MB: two fit, not three; with room the run goes on from the second."""
    run = tiny_run("beta-vae")
    pretrain(resolve_run(run), Options(device="cpu", data=parts_root))
    disk = tmpfs("size=40m")
    (disk / "config").symlink_to(project / "config")
    arguments = ("pretrain", run.name, "--data", str(parts_root), "--save-every", "0")
    job = Job(disk, *arguments)
    assert job.wait() == 7, job.text()
    assert "No space left on device: free some space" in job.text()
    assert "Traceback" not in job.text()
    assert [int(path.name[:10]) for path in states(disk)] == [1, 2]
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    job = Job(disk, *arguments)
    assert job.wait() == 0, job.text()
    assert "continuing at epoch 1, step 2" in job.text()
    assert weights(run, disk) == weights(run)


def test_too_few_images_for_a_batch_are_refused(project: Path, parts_root: Path) -> None:
    edit_study("train: 40", "train: 7")
    with pytest.raises(ConfigError, match="7 images make no batch of 8"):
        pretrain(resolve_run(tiny_run("beta-vae")), Options(device="cpu", data=parts_root))


def test_more_images_than_there_are_are_refused(project: Path, parts_root: Path) -> None:
    edit_study("train: 40", "train: 10001")
    with pytest.raises(ConfigError, match="choose 1 to 10000"):
        pretrain(resolve_run(tiny_run("beta-vae")), Options(device="cpu", data=parts_root))


def test_images_that_are_not_prepared_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `patchvae prepare parts32`"):
        pretrain(resolve_run(tiny_run("beta-vae")), Options(device="cpu", data=tmp_path))


def test_the_encoder_is_the_models_trunk(project: Path, parts_root: Path) -> None:
    run = tiny_run("beta-vae")
    pretrain(resolve_run(run), Options(device="cpu", data=parts_root))
    encoder = load_weights(run.pretrain / paths.ENCODER)
    model = load_weights(run.pretrain / paths.MODEL)
    trunk = {k.removeprefix("trunk."): v for k, v in model.items() if k.startswith("trunk.")}
    assert set(encoder) == set(trunk)
    assert all(torch.equal(encoder[name], trunk[name]) for name in trunk)


def test_update_takes_each_phases_gradient_for_its_own_parameters() -> None:
    """Two phases whose losses see both weights: each moves its own, the second after the first."""
    a, b = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(2.0))

    def loss(scale: float) -> tuple[Tensor, dict[str, Tensor]]:
        value = scale * (a + 1) * b
        return value, {f"term{scale:g}": value}

    phases = [Phase("a", [a], lambda x: loss(1.0)), Phase("b", [b], lambda x: loss(10.0))]
    optimizers = [SGD(phase.parameters, 0.5, momentum=0.0) for phase in phases]
    total, terms = update(phases, optimizers, torch.zeros(1))
    # phase a: loss 4, d/da = b = 2, a becomes 0; phase b: loss 20, d/db = 10 (a + 1) = 10, b -3
    assert (a.item(), b.item()) == (0.0, -3.0)
    assert a.grad is None
    assert b.grad is None
    assert total.item() == 24.0
    assert {name: term.item() for name, term in terms.items()} == {"term1": 4.0, "term10": 20.0}
