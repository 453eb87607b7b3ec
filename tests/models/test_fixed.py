"""Trunks that are not trained here."""

import hashlib
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from patchvae.errors import DataError
from patchvae.models.fixed import (
    IMAGENET_FILE,
    ImageNetTrunk,
    RandomTrunk,
    default_weights,
    load_imagenet_weights,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in torchvision's format, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / IMAGENET_FILE
    torch.save(resnet18().state_dict(), path)
    return path


def prefix_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def test_weights_are_read_when_their_digest_is_the_expected_one(weights: Path) -> None:
    state = load_imagenet_weights(weights, prefix_of(weights))
    assert torch.equal(state["fc.bias"], torch.load(weights, weights_only=True)["fc.bias"])


def test_missing_weights_say_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"put {IMAGENET_FILE} at {tmp_path}"):
        load_imagenet_weights(tmp_path / IMAGENET_FILE)


def test_another_file_is_refused_before_it_is_read(weights: Path, tmp_path: Path) -> None:
    changed = bytearray(weights.read_bytes())
    changed[len(changed) // 2] ^= 1
    path = tmp_path / IMAGENET_FILE
    path.write_bytes(changed)
    with pytest.raises(DataError, match="SHA-256"):
        load_imagenet_weights(path, prefix_of(weights))
    with pytest.raises(DataError, match="not f37072fd"):
        ImageNetTrunk(32, trunk="resnet9", weights=weights)


@pytest.mark.parametrize("trunk", ["resnet9", "resnet18"])
def test_trunk_takes_its_layers_from_the_file(
    trunk: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = torch.load(weights, weights_only=True)
    monkeypatch.setattr("patchvae.models.fixed.load_imagenet_weights", lambda path: read)
    state = ImageNetTrunk(32, trunk=trunk, weights=weights).trunk.state_dict()
    assert all(torch.equal(value, read[name]) for name, value in state.items())


def test_default_place_is_torch_hubs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert default_weights() == tmp_path / "hub" / "checkpoints" / IMAGENET_FILE


def test_random_trunk_has_no_phase() -> None:
    assert RandomTrunk(32, trunk="resnet9", random_statistics="images").phases() == []
