"""Each reading's alternatives are keys and change a number; defaults give the numbers of before.

fixtures/defaults.json was written before these choices were keys (tests/tiny_numbers.py has the
recipe).
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_study import REPO
from tiny_numbers import Tiny, machine

from patchvae.study.readings import readings

DEFAULTS = json.loads((REPO / "tests" / "fixtures" / "defaults.json").read_text())
ALTERNATIVES = [(r.id, name) for r in readings().values() for name in r.alternatives]
# whose numbers depend on a reading, where the first model of the list below does not
MODELS = {
    "A3": "beta-vae",
    "A6": "beta-vae-lw",
    "A7": "beta-vae-lw",
    "A8": "beta-vae-gan",
    "A17": "bigan",
    "A19": "patchvae-gan",
    "A20": "imagenet-pretrained",
    "A21": "beta-vae",
    "A22": "beta-vae",
    "A23": "random",
}
# without which an alternative is the default, or shows after more steps than these runs have
NEEDS: dict[str, dict[str, Any]] = {
    "A12": {"probe.epochs": 8, "probe.lr": 0.05},
    "A13": {"probe.epochs": 2},
    "A14": {"model.trunk": "resnet18"},
    "A22": {"pretrain.epochs": 31, "pretrain.batch_size": 40},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, parts_root: Path) -> Tiny:
    return Tiny(tmp_path_factory.mktemp("tiny"), parts_root)


def test_every_reading_has_alternatives_or_says_why_not() -> None:
    for reading in readings().values():
        assert bool(reading.alternatives) != bool(reading.why), reading.id
        for settings in reading.alternatives.values():
            assert set(settings) <= set(reading.keys), reading.id


@pytest.mark.parametrize(("reading", "name"), ALTERNATIVES)
def test_an_alternative_is_accepted_and_changes_a_number(
    tiny: Tiny, reading: str, name: str
) -> None:
    needs, model = NEEDS.get(reading, {}), MODELS.get(reading, "patchvae")
    probe = "conv3" if reading == "A13" else "conv5"
    before = tiny.numbers(model, probe, needs)
    after = tiny.numbers(model, probe, {**needs, **readings()[reading].alternatives[name]})
    assert before["digest"] != after["digest"]
    assert {k: v for k, v in before.items() if k != "digest"} != {
        k: v for k, v in after.items() if k != "digest"
    }


@pytest.mark.parametrize("model", DEFAULTS["models"])
def test_the_defaults_give_the_numbers_of_before(tiny: Tiny, model: str) -> None:
    """To rounding on any machine, to the bit on the one that wrote them."""
    initial = {"model.random_statistics": "initial"} if model == "random" else {}
    for probe, expected in DEFAULTS["models"][model].items():
        found = tiny.numbers(model, probe, initial)
        assert found["digest"] == expected["digest"]
        assert found["terms"] == pytest.approx(expected["terms"], rel=1e-4)
        assert found["norm"] == pytest.approx(expected["norm"], rel=1e-6)
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        if machine() == DEFAULTS["machine"]:
            assert found == expected


def test_features_of_the_two_losses_differ(tiny: Tiny) -> None:
    """With the discriminator's features as loss, `-gan` and `-gan-lw` were the same run."""
    features = {"adversarial.reconstruction": "features"}
    plain, weighted = (
        tiny.numbers(model, "conv5", features) for model in ("beta-vae-gan", "beta-vae-gan-lw")
    )
    assert plain["terms"]["recon"] != pytest.approx(weighted["terms"]["recon"], rel=1e-3)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_matched_lw_has_the_value_of_l2_and_a_gradient_of_its_own(reduction: str) -> None:
    from patchvae.models.losses import Reconstruction

    generator = torch.Generator().manual_seed(0)
    x, x_hat = (torch.rand(4, 3, 32, 32, generator=generator) for _ in range(2))
    x_hat.requires_grad_()
    plain = Reconstruction(reduction=reduction)
    matched = Reconstruction(True, reduction, "matched")
    scaled = Reconstruction(True, reduction)
    torch.testing.assert_close(matched(x_hat, x), plain(x_hat, x))
    ours, theirs = (torch.autograd.grad(loss(x_hat, x), x_hat)[0] for loss in (matched, scaled))
    factor = plain(x_hat, x) / scaled(x_hat, x)
    torch.testing.assert_close(ours, theirs * factor)
