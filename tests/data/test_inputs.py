"""What reaches the first convolution of each encoder, in pretraining, probing and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from small_study import TINY, tiny_run, write_study
from tiny_numbers import _stand_in
from torch import Tensor

from patchvae.data.store import open_dataset
from patchvae.data.tensors import INPUTS, Inputs, scale
from patchvae.errors import ConfigError
from patchvae.figures.networks import held_out, load_trained
from patchvae.models.trunk import Trunk
from patchvae.runtime.machine import Options
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.training.pretrain import pretrain
from patchvae.training.probe import probe

OTHER = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 0.125]}


def study(project: Path, **changes: Any) -> None:
    document = yaml.safe_load(TINY)
    document["protocol"]["pretrain"] |= {"epochs": 1, "snapshots": 0}
    document["protocol"]["probe"] |= {"epochs": 1, "flip": False}
    for section, content in changes.items():
        document.setdefault(section, {}).update(content)
    write_study("tiny", yaml.safe_dump(document))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What every first convolution is given."""
    found: list[Tensor] = []
    create = Trunk.__init__

    def watched(self: Trunk, *arguments: Any, **options: Any) -> None:
        create(self, *arguments, **options)
        self.conv1.register_forward_pre_hook(lambda m, x: found.append(x[0].detach().clone()))

    monkeypatch.setattr(Trunk, "__init__", watched)
    return found


def by_hand(root: Path, mean: Any, std: Any) -> set[tuple[float, ...]]:
    """The tiny study's training images, standardised in float64, each as its first colours."""
    data = open_dataset("parts32", root)
    pixels = data.images("train")[data.subset_indices("train", 40)].astype(np.float64) / 255
    x = (pixels - np.array(mean)) / np.array(std)
    return {tuple(image[5, 5].round(4)) for image in x}


def images_seen(found: list[Tensor]) -> set[tuple[float, ...]]:
    return {tuple(x[:, 5, 5].double().numpy().round(4)) for batch in found for x in batch}


def test_symmetric_is_minus_one_to_one_as_it_always_was() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256, 1).expand(1, 1, 256, 3)
    expected = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    assert torch.equal(scale(pixels), expected)


@pytest.mark.parametrize("wanted", [*INPUTS, OTHER])
def test_inputs_are_standardised_colours_and_back(wanted: Any) -> None:
    mean, std = INPUTS[wanted] if isinstance(wanted, str) else (OTHER["mean"], OTHER["std"])
    pixels = torch.randint(0, 256, (2, 4, 4, 3), generator=torch.Generator().manual_seed(0))
    inputs = Inputs.of(wanted, torch.device("cpu"))
    colours = pixels.double() / 255
    expected = ((colours - torch.tensor(mean).double()) / torch.tensor(std).double()).float()
    x = inputs(pixels.to(torch.uint8))
    torch.testing.assert_close(x, expected.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(inputs.shown(x).permute(0, 2, 3, 1), colours.float())


@pytest.mark.parametrize("inputs", ["symmetric", "imagenet"])
def test_of_a_model_by_its_protocol(
    project: Path, parts_root: Path, seen: list[Tensor], inputs: str
) -> None:
    study(project)
    document = yaml.safe_load((project / "config" / "tiny.yaml").read_text())
    document["protocol"]["model"]["inputs"] = inputs
    document["protocol"]["pretrain"]["flip"] = False
    study(project, protocol=document["protocol"])
    options, run = Options(device="cpu", data=parts_root), tiny_run("patchvae")
    expected = by_hand(parts_root, *INPUTS[inputs])
    pretrain(resolve_run(run), options)
    assert images_seen(seen) == expected
    seen.clear()
    probe(resolve_probe(run, "conv5"), options)
    assert images_seen(seen) >= expected  # and the test images
    trained = load_trained(run, options)
    x = held_out(trained, 4)
    shown = trained.data.images("test")[trained.data.subset_indices("test", 4)] / 255
    np.testing.assert_allclose(trained.pixels(x), shown, atol=1e-6)


def test_of_the_supervised_imagenet_trunk(
    project: Path, parts_root: Path, seen: list[Tensor]
) -> None:
    study(project)
    options, run = Options(device="cpu", data=parts_root), tiny_run("imagenet-pretrained")
    config = resolve_probe(run, "conv5")
    _stand_in(config.encoder, options)
    probe(config, options)
    assert images_seen(seen) >= by_hand(parts_root, *INPUTS["imagenet"])


@pytest.mark.parametrize(
    ("line", "mean", "std"),
    [
        ({}, *INPUTS["symmetric"]),
        ({"inputs": "imagenet"}, *INPUTS["imagenet"]),
        ({"inputs": OTHER}, OTHER["mean"], OTHER["std"]),
    ],
)
def test_of_an_external_encoder(
    project: Path, parts_root: Path, seen: list[Tensor], line: Any, mean: Any, std: Any
) -> None:
    save_file(Trunk().state_dict(), project / "mine.safetensors")
    study(project, external={"mine": {"weights": "mine.safetensors", **line}})
    run, options = Run("tiny", "parts32", "external", "mine", 0), Options("cpu", data=parts_root)
    pretrain(resolve_run(run), options)
    probe(resolve_probe(run, "conv5"), options)
    assert images_seen(seen) >= by_hand(parts_root, mean, std)


def test_other_inputs_are_another_run(project: Path) -> None:
    save_file(Trunk().state_dict(), project / "mine.safetensors")
    digests = set()
    for line in ({}, {"inputs": "imagenet"}, {"inputs": OTHER}):
        study(project, external={"mine": {"weights": "mine.safetensors", **line}})
        digests.add(resolve_run(Run("tiny", "parts32", "external", "mine", 0)).digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"mean": [0.5, 0.5, 0.5]}, "'std' is a required property"),
        ({"mean": [0.5], "std": [1, 1, 1]}, "too short"),
        ({"mean": [0.5, 0.5, 0.5], "std": [1, 0, 1]}, "0 is less than or equal to"),
        ("imagenets", "'imagenets' is not one of"),
    ],
)
def test_statistics_that_are_not_there_are_named(project: Path, inputs: Any, words: str) -> None:
    study(project, external={"mine": {"weights": "mine.safetensors", "inputs": inputs}})
    with pytest.raises(ConfigError, match=rf"tiny\.yaml: external\.mine\.inputs.*{words}") as error:
        resolve_run(Run("tiny", "parts32", "external", "mine", 0))
    assert "\n" not in str(error.value)
