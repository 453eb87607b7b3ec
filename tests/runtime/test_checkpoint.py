"""Weights and training states: same weights, same bytes; damage is found before reading."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from patchvae.errors import CheckpointError, ResourceError
from patchvae.runtime.checkpoint import StateStore, load_weights, save_weights


def state(step: int, numbers: int = 1000) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((numbers,), float(step))}


def saved(store: StateStore) -> list[Path]:
    return sorted(store.folder.glob("*.pt"))


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    """Three states were saved, hence two are kept."""
    store = StateStore(tmp_path / "stage" / "key")
    for step in (1, 2, 10):
        store.save(step, state(step))
    return store


def test_weights_round_trip_and_have_the_same_bytes_twice(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(
        memory_format=torch.channels_last
    )
    contents = set()
    for _ in range(20):  # safetensors orders several metadata entries by a random hash
        save_weights(tmp_path / "a", module, {"run": "x", "config_digest": "y"})
        contents.add((tmp_path / "a").read_bytes())
    assert len(contents) == 1
    loaded = load_weights(tmp_path / "a")
    assert set(loaded) == set(module.state_dict())
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in loaded.items())


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x02]q\x00.", b"\xff" * 100])
def test_foreign_weights_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is no whole safetensors file"):
        load_weights(path)


def test_truncated_and_missing_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_weights(path, nn.Linear(4, 4), {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="is no whole safetensors file"):
        load_weights(path)
    path.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        load_weights(path)


def test_the_last_two_states_are_kept_and_the_newest_is_read(store: StateStore) -> None:
    assert [int(path.name[:10]) for path in saved(store)] == [2, 10]
    found = store.load()
    assert found is not None
    assert found["step"] == 10
    assert torch.equal(found["weights"], torch.full((1000,), 10.0))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in tensor data, where torch.load notices nothing
    path.write_bytes(content)


DAMAGE = {
    "bit": flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_bytes(b"\x80\x02]q\x00."),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_newest_state_is_named_and_the_one_before_it_used(
    store: StateStore, damage: str
) -> None:
    newest = saved(store)[-1]
    DAMAGE[damage](newest)
    lines: list[str] = []
    found = store.load(warn=lines.append)
    assert found is not None
    assert found["step"] == 2
    assert len(lines) == 1
    assert str(newest) in lines[0]


def test_two_broken_states_are_none(store: StateStore) -> None:
    for path in saved(store):
        flip(path)
    lines: list[str] = []
    assert store.load(warn=lines.append) is None
    assert len(lines) == 2


def test_a_broken_state_does_not_displace_a_whole_one(store: StateStore) -> None:
    """After a resume from step 2 the next save leaves a whole state to fall back to."""
    flip(saved(store)[-1])
    store.load(warn=lambda line: None)
    store.save(3, state(3))
    found = store.load(warn=lambda line: None)
    assert found is not None
    assert found["step"] == 3


def test_a_state_that_runs_code_is_not_run(tmp_path: Path) -> None:
    """A pickle with a true name is refused by weights_only, whoever wrote it."""

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "pwned"),))

    buffer = io.BytesIO()
    torch.save(Hostile(), buffer)
    content = buffer.getvalue()
    store = StateStore(tmp_path / "stage" / "key")
    store.folder.mkdir(parents=True)
    name = f"{5:010d}-{hashlib.sha256(content).hexdigest()}.pt"
    (store.folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        store.load()
    assert not (tmp_path / "pwned").exists()


def test_other_files_in_the_folder_are_no_states(store: StateStore) -> None:
    (store.folder / "9999999999-xyz.pt").write_bytes(b"")
    (store.folder / f".{saved(store)[-1].name}.tmp123").write_bytes(b"half a state")
    found = store.load()
    assert found is not None
    assert found["step"] == 10


def test_an_absent_folder_has_no_state_and_clear_removes_all(
    store: StateStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.clear()
    assert not store.folder.exists()
    assert store.load() is None
    store.clear()
    assert capsys.readouterr().err == ""


def test_clear_removes_and_counts_what_other_configurations_left(
    store: StateStore, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = store.folder.parent
    for key, position in (("old", 1), ("old", 2), ("older", 7)):
        StateStore(stage / key).save(position, state(position))
    size = sum(p.stat().st_size for p in stage.glob("old*/*.pt")) / 1e6
    beside = StateStore(stage.parent / "other" / "key")
    beside.save(1, state(1))
    store.clear()
    assert not stage.exists()
    assert len(saved(beside)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        f"{stage}: removed 3 states of another configuration, code or images ({size:.1f} MB)"
    )


def test_a_full_disk_leaves_the_last_states_whole(tmpfs: Callable[[str], Path]) -> None:
    small_disk = tmpfs("size=256k")
    store = StateStore(small_disk / "stage" / "key")
    store.save(1, state(1))
    store.save(2, state(2))
    before = saved(store)
    with pytest.raises(ResourceError, match="No space left on device"):
        store.save(3, state(3, numbers=100_000))
    assert saved(store) == before
    assert len(os.listdir(store.folder)) == 2
    found = store.load()
    assert found is not None
    assert found["step"] == 2
