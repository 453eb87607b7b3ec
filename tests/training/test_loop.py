"""The loop's counting, averaging, saving and refusing, on a module of one weight."""

import csv
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from patchvae.errors import DivergedError, StoppedError
from patchvae.runtime.checkpoint import StateStore
from patchvae.runtime.stop import StopRequest
from patchvae.training.loop import Loop, Saving, write_history

EPOCHS, STEPS = 3, 4


def make(folder: Path, save_every: float = 1e9) -> tuple[Loop, torch.optim.Optimizer, StopRequest]:
    torch.manual_seed(0)
    module = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    stop = StopRequest()
    saving = Saving(StateStore(folder / "state" / "key"), stop, save_every)
    loop = Loop("a run", module, [optimizer], epochs=EPOCHS, steps=STEPS, saving=saving)
    return loop, optimizer, stop


def work(loop: Loop, optimizer: torch.optim.Optimizer, seen: list[tuple[int, int]]) -> None:
    """Noisy regression; every step draws from the global generator."""
    loop.resume()
    for epoch in loop.epochs():
        for step in loop.steps():
            seen.append((epoch, step))
            loss = (loop.module(torch.randn(8, 2)) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loop.record(loss, {"loss": loss})
        loop.end_epoch({"epochs_left": EPOCHS - epoch - 1})


def result(loop: Loop) -> tuple[list[torch.Tensor], object]:
    return [p.detach().clone() for p in loop.module.parameters()], loop.history


def test_an_undisturbed_loop_visits_every_step_once(tmp_path: Path) -> None:
    loop, optimizer, _ = make(tmp_path)
    seen: list[tuple[int, int]] = []
    work(loop, optimizer, seen)
    assert seen == [(e, s) for e in range(EPOCHS) for s in range(STEPS)]
    assert [row["epoch"] for row in loop.history] == [1, 2, 3]
    assert [row["epochs_left"] for row in loop.history] == [2, 1, 0]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("at", [(k,) for k in range(1, EPOCHS * STEPS)] + [(1, 2, 3), (4, 8)])
def test_stopped_at_any_step_it_continues_bit_for_bit(tmp_path: Path, at: tuple[int, ...]) -> None:
    loop, optimizer, _ = make(tmp_path / "whole")
    seen: list[tuple[int, int]] = []
    work(loop, optimizer, seen)
    expected, whole = result(loop), seen

    seen = []
    for k in at:
        loop, optimizer, stop = make(tmp_path)
        record = loop.record

        def stop_then(
            *args: object, k: int = k, loop: Loop = loop, stop: StopRequest = stop
        ) -> None:
            record(*args)  # type: ignore[arg-type]  # noqa: B023
            if loop.done + 1 == k:
                stop.name = "SIGTERM"

        loop.record = stop_then  # type: ignore[method-assign]
        with pytest.raises(StoppedError, match="SIGTERM") as caught:
            work(loop, optimizer, seen)
        assert caught.value.exit_code == 75
        torch.randn(100)  # another process has another generator
    loop, optimizer, _ = make(tmp_path)
    work(loop, optimizer, seen)
    weights, history = result(loop)
    assert all(map(torch.equal, weights, expected[0]))
    assert history == expected[1]
    assert seen == whole


def test_states_are_saved_as_often_as_asked(tmp_path: Path) -> None:
    loop, optimizer, _ = make(tmp_path, save_every=0)
    work(loop, optimizer, [])
    names = sorted(path.name[:10] for path in (tmp_path / "state" / "key").glob("*.pt"))
    assert [int(name) for name in names] == [EPOCHS * STEPS - 1, EPOCHS * STEPS]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_names_the_terms(
    tmp_path: Path, value: float
) -> None:
    loop, _, _ = make(tmp_path)

    def run() -> None:
        for _ in loop.epochs():
            for step in loop.steps():
                bad = value if step == 2 else 1.0
                terms = {"recon": torch.tensor(bad), "kl": torch.tensor(0.25)}
                loop.record(terms["recon"] + terms["kl"], terms)

    with pytest.raises(DivergedError) as caught:
        run()
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert re.search(rf"epoch 1, step 2 \(recon {value}, kl 0\.25\)", message)
    assert "lower the learning rate" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_broken_by_the_last_step_are_no_result(tmp_path: Path, value: float) -> None:
    loop, _, _ = make(tmp_path)

    def run() -> None:
        for _ in loop.epochs():
            for step in loop.steps():
                loop.record(torch.tensor(1.0), {"loss": torch.tensor(1.0)})
                if step == STEPS - 1:
                    nn.init.constant_(loop.module.bias, value)  # type: ignore[arg-type]
            loop.end_epoch({})

    with pytest.raises(DivergedError, match="bias is not finite after epoch 1"):
        run()
    assert loop.history == []


def test_averages_are_over_the_steps_of_one_epoch(tmp_path: Path) -> None:
    loop, _, _ = make(tmp_path)
    for epoch in loop.epochs():
        for step in loop.steps():
            value = torch.tensor(float(10 * epoch + step))
            loop.record(value, {"a": value, "b": 2 * value})
        loop.end_epoch({"lr": 0.1})
    assert loop.history == [
        {"epoch": e + 1, "a": 10 * e + 1.5, "b": 20 * e + 3.0, "lr": 0.1} for e in range(EPOCHS)
    ]


def test_history_file(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-30}]
    write_history(tmp_path / "history.csv", rows)
    with (tmp_path / "history.csv").open() as file:
        read = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert read == rows
    write_history(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_text() == ""
