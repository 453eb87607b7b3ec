"""Checkpoints made here in the form described for the release's, not the authors' own."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import images, make_parts
from processes import Job
from small_study import TINY, write_study
from torch import Tensor

from patchvae.errors import CheckpointError, DataError
from patchvae.models.patchvae import PatchVAE
from patchvae.runtime.checkpoint import load_weights
from patchvae.study import paths
from patchvae.training.release import convert, write

SEQUENTIAL = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5"}


def trained() -> PatchVAE:
    """A PatchVAE whose every tensor differs from its start."""
    torch.manual_seed(5)
    model = make_parts()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(0.05 * torch.rand_like(value))
    return model.eval()


def theirs(model: PatchVAE, sequential: bool = False, split: bool = True) -> dict[str, Tensor]:
    """The same weights by names such as another code base gives."""
    found = {}
    for name, value in model.trunk.state_dict().items():
        first, rest = name.split(".", 1)
        found[f"module.features.{SEQUENTIAL[first] if sequential else first}.{rest}"] = value
    for kind, value in model.visibility.state_dict().items():
        found[f"module.conv_vis.{kind}"] = value
    heads = model.appearance.state_dict()
    if split:
        for k, name in enumerate(("mu", "logvar")):
            found |= {f"module.{name}.{kind}": v.chunk(2)[k] for kind, v in heads.items()}
    else:
        found |= {f"module.conv_app.{kind}": v for kind, v in heads.items()}
    found |= {f"module.decoder.{n}": v for n, v in model.decoder.state_dict().items()}
    return found | {"module.discriminator.0.weight": torch.zeros(64, 3, 4, 4)}


def save(path: Path, state: dict[str, Tensor], zipped: bool = True, **more: Any) -> Path:
    arguments = argparse.Namespace(arch="patchy", lr=1e-4, ngf=64, gpus=[0])
    document = {"epoch": 89, "args": arguments, "state_dict": state, "best": 1.5, **more}
    torch.save(document, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_converted_model_computes_what_the_original_does(
    sequential: bool, split: bool, zipped: bool, tmp_path: Path
) -> None:
    model = trained()
    path = save(tmp_path / "model_best.pth.tar", theirs(model, sequential, split), zipped)
    imported = convert(path)
    assert imported.left == ["state_dict.module.discriminator.0.weight"]
    written = write(imported, path, tmp_path / "out")
    assert [p.name for p in written] == [paths.ENCODER, paths.MODEL]
    ours = make_parts()
    ours.load_state_dict(load_weights(written[1]))
    x = images()
    with torch.no_grad():
        assert torch.equal(ours.eval()(x)[0], model(x)[0])
    encoder = load_weights(written[0])
    assert all(torch.equal(encoder[n], v) for n, v in model.trunk.state_dict().items())


def test_what_was_mapped_is_said(tmp_path: Path) -> None:
    imported = convert(save(tmp_path / "a.pth", theirs(trained(), sequential=True)))
    origin = {
        name: theirs.replace("state_dict.module.", "") for name, theirs in imported.origin.items()
    }
    assert origin["trunk.layer2.1.conv2.weight"] == "features.5.1.conv2.weight"
    assert origin["visibility.bias"] == "conv_vis.bias"
    assert origin["appearance.weight"] == "mu.weight + logvar.weight"
    assert origin["decoder.0.weight"] == "decoder.0.weight"


def renamed(state: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {name.replace(old, new): value for name, value in state.items()}


def test_what_could_be_meant_in_two_ways_is_refused(tmp_path: Path) -> None:
    path, state = tmp_path / "a.pth", theirs(trained(), sequential=True)
    again = {f"ema.{name}": value for name, value in state.items() if "features" in name}
    with pytest.raises(CheckpointError, match=r"2 sequences .* of the trunk, not one"):
        convert(save(path, state | again))
    unclear = renamed(renamed(state, ".mu.", ".head1."), ".logvar.", ".head2.")
    with pytest.raises(CheckpointError, match=r"which of .*head1.* and .*head2"):
        convert(save(path, unclear))
    assert convert(path, encoder_only=True).module is not None
    third = {"module.more.weight": torch.zeros(4, 128, 3, 3), "module.more.bias": torch.zeros(4)}
    with pytest.raises(CheckpointError, match="not one for visibility"):
        convert(save(path, state | third))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path, state = tmp_path / "a.pth", theirs(trained())
    less = {name: value for name, value in state.items() if "layer2.0.bn1.bias" not in name}
    with pytest.raises(CheckpointError, match=r"layer2\.0\.bn1\.bias for trunk"):
        convert(save(path, less))
    less = {name: value for name, value in state.items() if "decoder.3.weight" not in name}
    with pytest.raises(
        CheckpointError, match=r"0 sequences .* decoder of 4 parts with 3 dimensions"
    ):
        convert(save(path, less))
    with pytest.raises(CheckpointError, match="holds no trunk"):
        convert(save(path, {"w": torch.zeros(3)}))
    with pytest.raises(DataError, match="does not exist"):
        convert(tmp_path / "b.pth")


class Hostile:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


def test_the_command_prints_writes_and_refuses(project: Path) -> None:
    """Its encoder then serves as an external one."""
    save(project / "a.pth", theirs(trained(), sequential=True))
    job = Job(project, "import-release", "a.pth", "--out", "released")
    assert job.wait() == 0, job.text()
    assert "trunk.conv1.weight <- state_dict.module.features.0.weight" in job.text()
    assert "left out: state_dict.module.discriminator.0.weight" in job.text()
    weights = "external: {released: {weights: released/encoder.safetensors}}\n"
    write_study("tiny", TINY + weights)
    from patchvae.models import build
    from patchvae.study.runs import Run, resolve_run

    built = build(resolve_run(Run("tiny", "parts32", "external", "released", 0)))
    encoder = load_weights(project / "released" / paths.ENCODER)
    assert all(torch.equal(value, encoder[n]) for n, value in built.trunk.state_dict().items())

    save(project / "b.pth", theirs(trained()), hook=Hostile(project / "ran"))
    job = Job(project, "import-release", "b.pth", "--out", "other")
    assert job.wait() == 6
    assert "system" in job.text().splitlines()[-1]
    assert not (project / "ran").exists()
    assert not (project / "other").exists()
