"""Weights made elsewhere: what is read, what is refused, which encoder is meant."""

import argparse
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from patchvae.errors import CheckpointError
from patchvae.models.foreign import choose_prefix, prefixes, read_tensors, summary, take
from patchvae.models.trunk import Trunk

PT, ST = Path("a.pt"), Path("a.safetensors")


def pickled(document: Any, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(document, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


class Hostile:
    """Runs a command when a plain unpickler reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_found_in_nested_mappings_beside_a_namespace(zipped: bool) -> None:
    document = {
        "args": argparse.Namespace(lr=1e-4, arch="patchy", gpus=[0, 1]),
        "epoch": 3,
        "state_dict": {"module": {"w": torch.ones(2)}, "b": torch.zeros(1)},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
    }
    found = read_tensors(PT, pickled(document, zipped))
    assert set(found) == {"state_dict.module.w", "state_dict.b"}
    assert torch.equal(found["state_dict.module.w"], torch.ones(2))


def test_safetensors_are_read_by_their_names() -> None:
    assert set(read_tensors(ST, save({"conv1.weight": torch.ones(2)}))) == {"conv1.weight"}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path, zipped: bool) -> None:
    proof = tmp_path / "ran"
    content = pickled({"state_dict": {"w": torch.ones(2)}, "args": Hostile(proof)}, zipped)
    with pytest.raises(CheckpointError, match=r"posix\.system|os\.system"):
        read_tensors(PT, content)
    assert not proof.exists()
    torch.load(io.BytesIO(content), weights_only=False)  # the same bytes do run elsewhere
    assert proof.exists()


def test_a_hostile_namespace_is_refused(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    with pytest.raises(CheckpointError, match="system"):
        read_tensors(PT, pickled(argparse.Namespace(a=Hostile(proof))))
    assert not proof.exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", pickled({"w": torch.ones(9)})[:-200]]
)
@pytest.mark.parametrize("path", [PT, ST])
def test_a_broken_file_is_refused(path: Path, content: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^a\.(pt|safetensors) is no"):
        read_tensors(path, content)


def test_a_whole_pickled_module_is_refused_with_what_to_do() -> None:
    with pytest.raises(CheckpointError, match="save its state dict alone"):
        read_tensors(PT, pickled(torch.nn.Linear(1, 1)))


NAMES = ["state_dict.q.layer1.0.conv1.weight", "state_dict.k.layer1.0.conv1.weight", "q.fc.weight"]


def test_the_prefix_of_a_single_encoder_is_found() -> None:
    assert choose_prefix(["layer1.0.conv1.weight"], PT) == ""
    assert choose_prefix(NAMES[:1], PT) == "state_dict.q."
    assert prefixes(["xlayer1.0.conv1.weight", "conv1.weight"]) == []


def test_several_encoders_need_a_choice() -> None:
    with pytest.raises(CheckpointError, match=r"'state_dict\.q\.', 'state_dict\.k\.'"):
        choose_prefix(NAMES, PT)
    assert choose_prefix(NAMES, PT, "k.") == "state_dict.k."
    with pytest.raises(CheckpointError, match=r"no encoder with prefix 'ema\.'"):
        choose_prefix(NAMES, PT, "ema.")
    assert choose_prefix([*NAMES, "layer1.0.conv1.weight"], PT, "") == ""
    with pytest.raises(CheckpointError, match="no resnet in torchvision's names"):
        choose_prefix(["features.0.weight"], PT)


def test_missing_and_misshapen_tensors_are_named() -> None:
    ours = Trunk().state_dict()
    theirs = {f"m.{name}": value for name, value in ours.items() if "num_batches" not in name}
    assert set(take(theirs, "m.", ours, PT)) == set(ours)
    del theirs["m.layer2.1.bn2.running_var"]
    theirs["m.conv1.weight"] = torch.zeros(64, 3, 3, 3)
    theirs["m.bn1.bias"] = torch.full((64,), torch.nan)
    with pytest.raises(CheckpointError) as error:
        take(theirs, "m.", ours, PT)
    for words in (
        "m.layer2.1.bn2.running_var is missing",
        "m.conv1.weight is (64, 3, 3, 3), not (64, 3, 7, 7)",
        "m.bn1.bias is not finite",
    ):
        assert words in str(error.value)


def test_summary_names_every_group() -> None:
    assert summary(["fc.weight", "fc.bias"]) == "fc.weight, fc.bias"
    assert summary(["layer3.0.a", "layer3.0.b", "t"]) == "layer3.0 (2), t"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_])
def test_numpys_numbers_are_taken(kind: Any, zipped: bool) -> None:
    document = {"best_acc": kind(1), "epoch": 90, "state_dict": {"w": torch.ones(2)}}
    assert set(read_tensors(PT, pickled(document, zipped))) == {"state_dict.w"}


def test_the_numbers_of_numpy_1_are_taken() -> None:
    """Its pickles name the function by numpy.core, as every old checkpoint does."""
    content = pickled({"best_acc": np.float64(1), "w": torch.ones(2)}, zipped=False)
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != content
    assert set(read_tensors(PT, old)) == {"w"}


@pytest.mark.parametrize("value", [np.ones(3), np.array([Hostile(Path("x"))], dtype=object)])
def test_numpys_arrays_and_objects_are_refused(value: Any) -> None:
    with pytest.raises(CheckpointError, match="numpy"):
        read_tensors(PT, pickled({"best": value, "w": torch.ones(2)}))


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"w": torch.ones(2)}
    for _ in range(levels):
        document = {"x": document}
    return document


def pickled_with_room(document: Any) -> bytes:
    """Deep documents need a larger stack to be written than to be refused."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        return pickled(document)
    finally:
        sys.setrecursionlimit(before)


def test_mappings_in_mappings_are_read_to_a_depth_that_no_checkpoint_has() -> None:
    assert set(read_tensors(PT, pickled(nested(19)))) == {"x." * 19 + "w"}
    endless: dict[str, Any] = {"w": torch.ones(2)}
    endless["x"] = endless
    for document in (nested(20), nested(3_000), endless):
        with pytest.raises(CheckpointError, match=r"more than 20 deep|no checkpoint of tensors"):
            read_tensors(PT, pickled_with_room(document))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "conv1.weight",
            lambda x: torch.full_like(x, 1e300, dtype=torch.float64),
            "is not finite as",
        ),
        ("conv1.weight", lambda x: x.to(torch.complex64), "holds complex64, not float32"),
        ("conv1.weight", lambda x: x.to(torch.int64), "holds int64, not float32"),
        ("conv1.weight", lambda x: x > 0, "holds bool, not float32"),
        ("conv1.weight", lambda x: x.to_sparse(), "is sparse, quantised or without data"),
        ("conv1.weight", lambda x: x.to("meta"), "is sparse, quantised or without data"),
        ("conv1.weight", lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), "is sparse"),
        ("bn1.running_var", lambda x: -x, "is negative, a variance"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize")
def test_tensors_that_are_no_weights_are_named(name: str, change: Any, words: str) -> None:
    ours = Trunk().state_dict()
    theirs = read_tensors(PT, pickled({**ours, name: change(ours[name])}))
    with pytest.raises(CheckpointError, match=rf"{name} {words}"):
        take(theirs, "", ours, PT)


def test_half_and_double_precision_are_taken() -> None:
    ours = Trunk().state_dict()
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        theirs = {name: value.to(dtype) for name, value in ours.items()}  # counters too
        taken = take(theirs, "", ours, PT)
        assert taken["conv1.weight"].dtype == dtype
        assert taken["bn1.num_batches_tracked"].dtype == torch.int64
