"""Loss terms beside those of other seeds: what is outside, how often without cause, where it says.

The trainings are real; what goes wrong in one of them is that its optimizer does not move.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_study import (
    edit_study,
    forget_configs,
    inside,
    new_project,
    table1_of,
    tiny_run,
    train_table1,
)

from patchvae.cli import cli
from patchvae.errors import DivergedError
from patchvae.report.publish import publish
from patchvae.runtime.machine import Options
from patchvae.runtime.watch import envelope, others_of, outside, warnings_of
from patchvae.study import paths
from patchvae.study.runs import resolve_run
from patchvae.training import phases
from patchvae.training.pretrain import pretrain

STUDY = (
    table1_of("beta-vae")
    .replace("epochs: 2, batch", "epochs: 5, batch")
    .replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
)
MODEL = "beta-vae"


def row(epoch: int, **terms: float) -> dict[str, float]:
    return {"epoch": epoch, **terms, "images_per_second": 1.0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Path:
    """A folder with three seeds pretrained."""
    folder = new_project(tmp_path_factory.mktemp("watch") / "project", tiny=STUDY)
    with inside(folder):
        for seed in range(3):
            train(parts_root, seed)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Iterator[Path]:
    with inside(shutil.copytree(finished, tmp_path / "project")) as _:
        yield tmp_path / "project"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on no training moves."""

    def act() -> None:
        monkeypatch.setattr(phases, "step_lr", lambda *_: 0.0)

    return act


def train(data: Path, seed: int) -> None:
    pretrain(resolve_run(tiny_run(MODEL, seed)), Options(device="cpu", data=data))


def said(*arguments: str) -> str:
    done = CliRunner().invoke(cli, list(arguments), env={"COLUMNS": "250"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_the_envelope_is_students_prediction_interval() -> None:
    """K = 2 and one term: t(0.975, 1) = 12.706, s = sqrt(2), so 12.706 sqrt(2) sqrt(1.5)."""
    (bounds,) = envelope([[row(1, recon=10.0)], [row(1, recon=12.0)]])
    low, high = bounds["recon"]
    half = 12.7062 * 2**0.5 * 1.5**0.5 + 11e-5
    assert (low, high) == (pytest.approx(11 - half, abs=1e-3), pytest.approx(11 + half, abs=1e-3))
    (two,) = envelope([[row(1, recon=10.0, kl=1.0)], [row(1, recon=12.0, kl=1.0)]])
    assert two["recon"][1] > high  # for two terms together
    assert two["kl"][0] < 1.0 < two["kl"][1]  # rounding of what is published is no difference


@pytest.mark.parametrize(
    ("far", "expected"),
    [("..xxx", [3]), ("xx.xx", []), (".xxxx", [2]), ("xx", []), ("xxx.xxx", [1])],
)
def test_three_epochs_in_a_row_are_said_once(far: str, expected: list[int]) -> None:
    others = [[row(e, kl=value) for e in range(1, 8)] for value in (1.0, 1.01, 0.99)]
    history = [row(i + 1, kl=9.0 if mark == "x" else 1.0) for i, mark in enumerate(far)]
    assert [item.epoch for item in outside(history, others)] == expected


@pytest.mark.parametrize(("correlation", "most"), [(0.5, 0.02), (0.95, 0.22)])
def test_how_often_it_cries_wolf(correlation: float, most: float) -> None:
    """Honest runs of 30 epochs and 4 terms; docs/verify.md has the figures."""
    rng, tries, K = np.random.default_rng(1), 150, 4
    wrong = 0
    for _ in range(tries):
        x = rng.standard_normal((K + 1, 4, 30))
        for e in range(1, 30):
            fresh = (1 - correlation**2) ** 0.5 * x[:, :, e]
            x[:, :, e] = correlation * x[:, :, e - 1] + fresh
        runs = [
            [row(e, **{f"t{i}": 100 + seed[i, e] for i in range(4)}) for e in range(30)]
            for seed in x
        ]
        wrong += bool(outside(runs[0], runs[1:]))
    assert wrong / tries <= most


@pytest.mark.usefixtures("project")
def test_an_honest_seed_is_inside(parts_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(parts_root, 3)
    config = resolve_run(tiny_run(MODEL, 3))
    assert warnings_of(config) == []
    assert "warning" not in capsys.readouterr().err
    text = said("watch", config.run.name)
    assert "Compared with 3: results/tiny/runs" in text
    assert "is outside" not in text


@pytest.mark.usefixtures("project")
def test_a_training_that_stands_still_is_told_and_not_stopped(
    parts_root: Path, capsys: pytest.CaptureFixture[str], broken: Callable[[], None]
) -> None:
    edit_study("seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    broken()
    train(parts_root, 3)
    config = resolve_run(tiny_run(MODEL, 3))
    (line, *_) = [text for text in capsys.readouterr().err.splitlines() if "warning" in text]
    assert f"{config.run.name}: warning: " in line
    assert "is outside what other seeds had since epoch " in line
    assert (config.run.pretrain / paths.METRICS).exists()
    (kept, *_) = warnings_of(config)
    assert line.endswith(kept)
    assert f"Warning: {config.run.name}: {kept}" in said("status", "tiny")
    assert f"{kept}." in said("watch", config.run.name)


@pytest.mark.usefixtures("project")
def test_it_ends_where_the_study_says_so(parts_root: Path, broken: Callable[[], None]) -> None:
    before = resolve_run(tiny_run(MODEL, 3)).digest
    edit_study("study: tiny\n", "study: tiny\nstop_outside: true\n")
    assert resolve_run(tiny_run(MODEL, 3)).digest == before  # no choice that a number depends on
    broken()
    with pytest.raises(DivergedError, match=r"outside .* config/tiny.yaml says stop_outside"):
        train(parts_root, 3)
    config = resolve_run(tiny_run(MODEL, 3))
    assert not (config.run.pretrain / paths.METRICS).exists()
    assert warnings_of(config)
    text = said("watch", config.run.name)  # of a run without a result: what it had seen
    assert " 3 " in text
    assert "is outside" in text


@pytest.mark.usefixtures("project")
def test_published_seeds_count_where_the_configuration_is_theirs(parts_root: Path) -> None:
    train_table1(Options(device="cpu", data=parts_root))
    publish("tiny")
    own = resolve_run(tiny_run(MODEL, 0))
    names = ["published seed0", *(f"results/{p}" for p in _folders(1, 2))]
    assert list(others_of(own)) == names
    shutil.rmtree("results")
    assert list(others_of(own)) == [f"published seed{seed}" for seed in range(3)]
    train(parts_root, 0)  # again, the same bytes
    assert warnings_of(own) == []
    edit_study("lr: 1.0e-3", "lr: 2.0e-3")
    forget_configs()
    assert others_of(resolve_run(tiny_run(MODEL, 0))) == {}


def _folders(*seeds: int) -> list[str]:
    return [str((tiny_run(MODEL, seed).pretrain).relative_to(paths.RESULTS)) for seed in seeds]
