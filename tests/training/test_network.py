"""`patchvae.load`: what a finished run makes of images, and which runs and images it refuses."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_study import TINY, edit_study, inside, new_project, tiny_run
from torchvision.models import resnet18

import patchvae
from patchvae.data.store import open_dataset
from patchvae.data.tensors import INPUTS
from patchvae.errors import CheckpointError, ConfigError, DataError
from patchvae.models.classifier import Frozen
from patchvae.runtime.machine import Options
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.training.features import Live, images_of, load_trunk
from patchvae.training.pretrain import pretrain

MODELS = ("patchvae", "beta-vae-gan", "bigan", "external")
STUDY = TINY.replace("model: {", "model: {inputs: imagenet, ")
EXTERNAL = "external:\n  mine: {weights: mine.pth, inputs: symmetric}\n"
PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
SQUARE = PHOTO[:32, :32]


def run_of(model: str) -> Run:
    if model == "external":
        return Run("tiny", "parts32", "external", "mine", 0)
    return tiny_run(model)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Path:
    """A folder with trained runs of the study `tiny`, whose networks see ImageNet's colours."""
    folder = new_project(tmp_path_factory.mktemp("network") / "project", tiny=STUDY + EXTERNAL)
    with inside(folder):
        torch.manual_seed(3)
        torch.save(resnet18().state_dict(), "mine.pth")
        for model in MODELS:
            pretrain(resolve_run(run_of(model)), Options(device="cpu", data=parts_root))
        Path("mine.pth").unlink()
    return folder


@pytest.fixture
def here(finished: Path) -> Iterator[Path]:
    with inside(finished):
        yield finished


@pytest.mark.parametrize("stage", ["conv1", "conv3", "conv5"])
def test_features_are_those_that_a_probe_trains_on(
    here: Path, parts_root: Path, stage: str
) -> None:
    config, data = resolve_probe(tiny_run("patchvae"), stage), open_dataset("parts32", parts_root)
    images, _ = images_of(config, data, "test", torch.device("cpu"))
    frozen = Frozen(load_trunk(config), stage, 32).eval()
    expected = Live(images, frozen).batch(torch.arange(7)).numpy()
    shown = data.images("test")[data.subset_indices("test", config.encoder.data.test)[:7]]
    network = patchvae.load(tiny_run("patchvae"))
    np.testing.assert_array_equal(network.features(shown, stage), expected)
    if stage == "conv5":
        np.testing.assert_array_equal(network.features(shown), expected)


def test_parts_are_probabilities_of_each_cell_of_any_size_that_fits(here: Path) -> None:
    network = patchvae.load(tiny_run("patchvae"))
    x = torch.tensor(PHOTO / 255).float()
    mean, std = (torch.tensor(v) for v in INPUTS["imagenet"])
    with torch.no_grad():
        logits = network.parts_model.posterior(((x - mean) / std).permute(2, 0, 1)[None])[0]
    found = network.parts(PHOTO)
    assert found.shape == (1, 4, 6, 8)
    np.testing.assert_allclose(found, logits.sigmoid().numpy(), atol=1e-5)


def test_pictures_and_arrays_of_the_same_images_are_the_same(here: Path) -> None:
    network = patchvae.load(tiny_run("patchvae"))
    expected = network.features(np.stack([PHOTO, PHOTO[::-1]]))
    pictures = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])]
    np.testing.assert_array_equal(network.features(pictures), expected)
    np.testing.assert_array_equal(network.features(pictures[0]), network.features(PHOTO))
    np.testing.assert_array_equal(network.features([PHOTO, pictures[1]]), expected)
    grey = Image.fromarray(PHOTO[..., 0])
    np.testing.assert_array_equal(
        network.features(grey), network.features(np.repeat(PHOTO[..., :1], 3, 2))
    )


@pytest.mark.parametrize("model", ["patchvae", "beta-vae-gan", "bigan"])
def test_a_reconstruction_is_a_picture_without_noise(here: Path, model: str) -> None:
    network = patchvae.load(tiny_run(model))
    found = network.reconstruct([SQUARE, SQUARE])
    assert found.shape == (2, 32, 32, 3)
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 1
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_what_a_run_does_not_have_is_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match="bigan/z8/seed0 has no parts"):
        patchvae.load(tiny_run("bigan")).parts(SQUARE)
    with pytest.raises(ConfigError, match="mine/seed0 cannot reconstruct"):
        patchvae.load(run_of("external").folder).reconstruct(SQUARE)
    with pytest.raises(ConfigError, match="no stage 'conv9': choose one of conv1, conv3, conv5"):
        patchvae.load(tiny_run("bigan")).features(SQUARE, "conv9")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (PHOTO / 255, "float64"),
        (PHOTO[..., 0], r"\(48, 64\)"),
        (np.zeros((1, 3, 32, 32), np.uint8), r"\(1, 3, 32, 32\)"),
        ([SQUARE, PHOTO], "of several sizes"),
        ([], "no images"),
        (PHOTO[:30], "30 x 64 pixels: tiny/.* takes multiples of 8"),
    ],
)
def test_other_arrays_are_refused(here: Path, images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        patchvae.load(tiny_run("patchvae")).features(images)


def test_a_decoder_of_one_size_refuses_others(here: Path) -> None:
    with pytest.raises(DataError, match=r"48 x 64 pixels: tiny/.* takes 32 x 32"):
        patchvae.load(tiny_run("bigan")).reconstruct(PHOTO)
    assert patchvae.load(tiny_run("patchvae")).reconstruct(PHOTO).shape == (1, 48, 64, 3)


@pytest.mark.parametrize("model", MODELS)
def test_a_folder_is_read_anywhere_with_its_own_configuration(
    here: Path, tmp_path: Path, model: str
) -> None:
    run = run_of(model)
    shutil.copytree(run.folder, tmp_path / "copy")
    expected = resolve_run(run) if model != "external" else None
    with inside(tmp_path):  # where no study is
        network = patchvae.load("copy")
        with pytest.raises(ConfigError):
            patchvae.load(run.name)
    assert network.config.run == run
    assert network.config.digest == network.metrics["config_digest"]
    assert expected in (None, network.config)
    assert network.features(SQUARE).shape == (1, 128, 4, 4)


def test_a_name_must_be_of_the_configuration_that_the_study_has(here: Path) -> None:
    name = tiny_run("patchvae").name
    try:
        edit_study("epochs: 2,", "epochs: 3,")
        with pytest.raises(CheckpointError, match="made with another configuration"):
            patchvae.load(name)
        assert patchvae.load(f"results/tiny/runs/{name.partition('/')[2]}").size == 32
    finally:
        edit_study("epochs: 3,", "epochs: 2,")


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml", "metrics.json"])
def test_an_altered_file_is_refused(here: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_run("patchvae").folder, tmp_path / "copy")
    path = folder / "pretrain" / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2", 1))
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        patchvae.load(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        patchvae.load(folder)


def test_loading_leaves_the_callers_random_numbers_alone(here: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    patchvae.load(tiny_run("patchvae"))
    assert torch.equal(torch.rand(3), expected)


def test_the_encoder_is_torchvisions_resnet18_without_what_it_lacks(here: Path) -> None:
    """The two lines of docs/python.md."""
    weights = load_file(tiny_run("patchvae").pretrain / "encoder.safetensors")
    theirs = resnet18().eval()
    missing = theirs.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    assert {name.split(".")[0] for name in missing.missing_keys} == {"layer3", "layer4", "fc"}
    network = patchvae.load(tiny_run("patchvae"))
    x = network.inputs(torch.from_numpy(PHOTO[None]))
    with torch.no_grad():
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2"):
            x = getattr(theirs, name)(x)
    np.testing.assert_allclose(x.numpy(), network.features(PHOTO), atol=1e-5)
