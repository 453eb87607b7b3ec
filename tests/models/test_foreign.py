"""Weights made elsewhere: what is read, what is refused, which encoder is meant."""

import argparse
import io
import os
from pathlib import Path
from typing import Any

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
