"""An encoder of the user's own, from a few lines of YAML to a row of Table 1."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_study import edit_study, forget_configs
from torchvision.models import resnet18

from patchvae.analysis.cells import write_cell
from patchvae.errors import CheckpointError, ConfigError, DataError
from patchvae.planning.explain import explain
from patchvae.report.tables import write_table
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.tables import find_cell, load_table
from patchvae.training.pretrain import pretrain
from patchvae.training.probe import probe

STUDY = """\
external:
  mine: {weights: mine.pth}
tables:
  table1:
    extra: [{model: external, encoder: mine}]
"""
RUN = Run("tiny", "parts32", "external", "mine", 0)


@pytest.fixture
def study(project: Path) -> Callable[[str, str], None]:
    """The tiny study with an external encoder; call it to edit the study."""
    edit_study("tables:\n  table1:\n", STUDY)
    edit_study("[0, 1]", "[0]")
    return edit_study


@pytest.fixture
def theirs(project: Path) -> dict[str, torch.Tensor]:
    """A resnet18 in a file as trainers leave it: wrapped, with other things beside."""
    torch.manual_seed(3)
    state = resnet18(num_classes=7).state_dict()
    wrapped = {f"module.encoder.{name}": value for name, value in state.items()}
    torch.save({"epoch": 9, "state_dict": wrapped}, project / "mine.pth")
    return state


@pytest.mark.usefixtures("theirs")
def test_another_file_is_another_run(study: Callable[[str, str], None], project: Path) -> None:
    before = resolve_run(RUN).digest
    assert resolve_run(RUN).model["sha256"]
    path = project / "mine.pth"
    changed = torch.load(path, weights_only=True)
    torch.save({**changed, "epoch": 10}, path)
    forget_configs()
    assert resolve_run(RUN).digest != before
    path.unlink()
    forget_configs()
    with pytest.raises(DataError, match=r"external\.mine: mine\.pth does not exist"):
        resolve_run(RUN)


@pytest.mark.usefixtures("study")
def test_it_becomes_a_row_of_table_1(
    theirs: dict[str, torch.Tensor],
    project: Path,
    parts_root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = Options(device="cpu", data=parts_root)
    pretrain(resolve_run(RUN), options)
    encoder = load_weights(RUN.pretrain / paths.ENCODER)
    assert all(torch.equal(value, theirs[name]) for name, value in encoder.items())
    assert (RUN.pretrain / paths.HISTORY).read_text() == ""
    printed = capsys.readouterr().err
    assert "took 60 tensors under 'state_dict.module.encoder.'" in printed
    assert "left out layer3.0 (" in printed
    assert "fc.weight, fc.bias" in printed

    metrics = probe(resolve_probe(RUN, "conv5"), options)
    cell = find_cell("tiny", "table1", "mine", "parts32-conv5")
    assert write_cell(cell)["values"] == [metrics["top1"]]
    written = write_table("tiny", "table1", partial=True)
    text = next(path for path in written if path.suffix == ".md").read_text()
    row = next(line for line in text.splitlines() if "mine" in line)
    assert f"{metrics['top1']:.2f}" in row
    assert json.loads(cell.path.read_text())["variant"] == "mine"
    explained = {choice.key: choice for choice in explain("tiny/table1/mine/parts32-conv5").choices}
    assert explained["external.weights"].value == "mine.pth"
    assert explained["external.sha256"].source == "user (config/tiny.yaml)"


@pytest.mark.usefixtures("theirs")
def test_what_fits_nothing_is_refused(
    study: Callable[[str, str], None], project: Path, parts_root: Path
) -> None:
    small = {"conv1.weight": torch.zeros(64, 3, 3, 3), "layer1.0.conv1.weight": torch.zeros(1)}
    save_file(small, project / "small.safetensors")
    study("mine.pth", "small.safetensors")
    with pytest.raises(CheckpointError, match=r"conv1\.weight is \(64, 3, 3, 3\), not"):
        pretrain(resolve_run(RUN), Options(device="cpu", data=parts_root))
    assert not RUN.pretrain.exists()


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("encoder: mine", "encoder: yours", "tiny.yaml: unknown external encoder 'yours': .* mine"),
        (", encoder: mine", "", "needs 'encoder', a name under 'external'"),
        (
            "encoder: mine",
            "encoder: mine, set: {part_dim: 3}",
            "'part_dim' is no hyper-parameter of external",
        ),
        ("{model: external,", "{model: patchvae,", "'encoder' is no hyper-parameter of patchvae"),
        ("{weights: mine.pth}", "{weight: mine.pth}", "external.mine: "),
    ],
)
def test_a_wrong_row_says_what_is_wrong(
    study: Callable[[str, str], None], old: str, new: str, message: str
) -> None:
    study(old, new)

    def resolve() -> None:
        for cell in load_table("tiny", "table1").cells():
            cell.probes()

    with pytest.raises(ConfigError, match=message):
        resolve()
