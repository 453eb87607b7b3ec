"""Settings beside the path's own hyper-parameters: one name each, any key, near names in errors."""

import re
from pathlib import Path
from typing import Any

import pytest
from small_study import edit_study

from patchvae.errors import ConfigError
from patchvae.paper.readings import keys_behind
from patchvae.study.config import load_study
from patchvae.study.protocol import protocol
from patchvae.study.readings import readings
from patchvae.study.registry import MODELS, PROBES
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.tables import load_table
from patchvae.study.variants import (
    full_key,
    probe_keys,
    probe_of,
    run_keys,
    short_key,
    value_of,
    variant_of,
)

NAME = "N4-d2-prior0.25-bvis0.6-bapp1"


def other(key: str) -> Any:
    """An allowed value of a key that no study has."""
    entry = protocol()[key]
    if isinstance(entry.value, bool):
        return not entry.value
    words = {
        "model.trunk": "resnet18", "model.inputs": "imagenet",
        "model.supervised_inputs": "symmetric",
        "model.random_statistics": "initial", "model.temperature_law": "compounding",
        "model.eval_visibility": "hard", "model.appearance_gradient": "stop",
        "reconstruction.reduction": "mean", "reconstruction.scale": "matched",
        "reconstruction.laplacian": 8, "reconstruction.channels": "each",
        "adversarial.discriminator": "release", "adversarial.reconstruction": "features",
        "pretrain.precision": "bf16", "probe.precision": "tf32", "probe.init": "normal",
        "probe.frozen_bn": "train", "probe.affine": "frozen", "probe.report": "best",
        "model.prior_vis": 0.125, "pretrain.snapshots": 7, "pretrain.adam_beta1": 0.25,
        "pretrain.adam_beta2": 0.75, "probe.momentum": 0.5, "probe.dropout": 0.25,
        "init.heads": "kaiming", "init.decoder": "kaiming", "init.discriminator": "kaiming",
        "probe.snapshot": 1,
    }  # fmt: skip
    return words.get(key, 37)


@pytest.mark.parametrize("model", [name for name in MODELS if name != "external"])
def test_every_key_of_a_run_can_be_set_and_has_one_name(project: Path, model: str) -> None:
    study = load_study("tiny")
    names = {variant_of(study, "parts32", model, {})}
    for key in run_keys(model):
        variant = variant_of(study, "parts32", model, {short_key(key): other(key)})
        assert variant not in names, key
        names.add(variant)
        config = resolve_probe(Run("tiny", "parts32", model, variant, 0), "conv5")
        assert keys_behind(config)[key] == other(key)
        default = study.value(key, "parts32").value
        if default != "1/N":
            assert variant_of(study, "parts32", model, {key: default}) == variant_of(
                study, "parts32", model, {}
            )


@pytest.mark.parametrize("probe", PROBES)
def test_every_key_of_a_probe_can_be_set_and_shares_the_run(project: Path, probe: str) -> None:
    study, run = load_study("tiny"), Run("tiny", "parts32", "patchvae", NAME, 0)
    plain = resolve_probe(run, probe)
    for key in probe_keys(probe):
        stage = probe_of(study, "parts32", probe, {key: other(key)})
        if (probe, key) == ("conv5-standardised", "probe.frozen_bn"):
            continue  # its features have to be constants
        config = resolve_probe(run, stage)
        assert (config.name, config.stage) == (probe, f"{probe}+{key}={other(key)}".lower())
        assert config.folder == run.folder / stage
        assert config.encoder.digest == plain.encoder.digest
        assert config.digest != plain.digest
        assert getattr(config.probe, key.split(".")[1]) == other(key)


def test_settings_stand_in_the_order_of_their_keys(project: Path) -> None:
    study = load_study("tiny")
    both = {"pretrain.lr": 5e-5, "temperature_rate": 0.001, "adversarial.weight": 2}
    turned = dict(reversed(both.items()))
    expected = f"{NAME}+adversarial.weight=2+temperature_rate=0.001+pretrain.lr=0.00005"
    for settings in (both, turned):
        assert variant_of(study, "parts32", "patchvae-gan", settings) == expected
    # the study takes one of them over: the same run without it
    edit_study("lr: 1.0e-3", "lr: 5.0e-5")
    name = variant_of(load_study("tiny"), "parts32", "patchvae-gan", both)
    assert name == expected.removesuffix("+pretrain.lr=0.00005")
    with pytest.raises(ConfigError, match=f"is called '{re.escape(name)}' in study"):
        resolve_run(Run("tiny", "parts32", "patchvae-gan", expected, 0))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("+pretrain.lr=1e-4", "not of type 'number'"),
        ("+pretrain.lr=0.0010", "is called"),
        ("+pretrain.lr=0.001", "is called 'N4-d2-prior0.25-bvis0.6-bapp1' in"),  # the study's own
        ("+pretrain.lr=0", "pretrain.lr: 0 is less than or equal to the minimum of 0"),
        ("+pretrain.lrr=2", r"'pretrain.lrr' is no key .*: did you mean pretrain.lr or"),
        ("+lr=2", "'lr' is no key of the protocol: did you mean pretrain.lr or probe.lr"),
        ("+beta_vis=2", "beta_vis cannot follow"),
        ("+beta=2", "beta cannot follow"),
        ("+probe.epochs=2", "probe.epochs cannot follow"),
        ("+model.temperature=2", "is called"),
        ("+temperature=2+pretrain.lr=3+temperature=2", "is called"),
        ("+pretrain.lr=3+temperature=2", "is called"),
        ("+eval_visibility=loud", "'loud' is not one of"),
        ("+pretrain.flip=1", "is not of type 'boolean'"),
        ("+", "'' is no key"),
        ("+=", "'' is no key"),
        ("+temperature", "'' is not of type 'number'"),
    ],
)
def test_other_names_are_refused_in_one_line(project: Path, tail: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_run(Run("tiny", "parts32", "patchvae", NAME + tail, 0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{model: patchvae, set: {num_part: 3}}", "'num_part' is no key .*did you mean num_parts"),
        ("{model: patchvae, set: {num_parts: 0}}", "num_parts: 0 is less than the minimum of 1"),
        ("{model: patchvae, set: {num_parts: 3, model.num_parts: 4}}", "'num_parts' is set twice"),
        ("{model: patchvae, set: {beta: 3}}", "'beta' is no hyper-parameter of patchvae: did you"),
        ("{model: random, set: {pretrain.lr: 3}}", "'pretrain.lr' is no hyper-parameter of random"),
        ("{model: patchvae, set: {encoder: 3}}", "'encoder' is no key of the protocol"),
        ("{model: external, set: {probe.epochs: 3}}", "a row of model external needs 'encoder'"),
    ],
)
def test_a_wrong_row_is_one_line_that_names_its_file(project: Path, row: str, message: str) -> None:
    edit_study("table5: {datasets: [parts32]}", f"table5: {{datasets: [parts32], extra: [{row}]}}")
    with pytest.raises(ConfigError, match=rf"^config/tiny\.yaml: .*{message}") as caught:
        load_table("tiny", "table5")
    assert "\n" not in str(caught.value)


def test_a_row_sets_keys_of_run_and_probe(project: Path) -> None:
    rows = "[{model: patchvae, set: {pretrain.lr: 0.5, probe.epochs: 9, num_parts: 2}}]"
    edit_study("table5: {datasets: [parts32]}",
               f"table5: {{datasets: [parts32], extra: {rows}, columns: [knn]}}")  # fmt: skip
    row = "pretrain.lr=0.5,probe.epochs=9,num_parts=2"
    conv5, knn = (c for c in load_table("tiny", "table5").cells() if c.row.key == row)
    run = "N2-d2-prior0.5-bvis0.6-bapp1+pretrain.lr=0.5"
    assert str(conv5.path) == f"results/tiny/cells/table5/{row}/parts32-conv5.json"
    assert [(p.run.variant, p.stage) for p in conv5.probes()] == [(run, "conv5+probe.epochs=9")] * 2
    assert [(p.run.variant, p.stage) for p in knn.probes()] == [(run, "knn")] * 2


def test_a_row_may_say_one_over_n(project: Path) -> None:
    rows = "[{model: patchvae, set: {prior_vis: 1/N}}]"
    edit_study("table5: {datasets: [parts32]}", f"table5: {{datasets: [parts32], extra: {rows}}}")
    cell = load_table("tiny", "table5").cells()[-1]
    assert (cell.row.key, cell.probes()[0].run.variant) == ("prior_vis=1-N", NAME)


def test_every_alternative_of_a_reading_is_an_address(in_repo: Path) -> None:
    """What recomputes a table under another reading needs no more than these names."""
    study, seen = load_study("paper"), set()
    for reading in readings().values():
        for settings in reading.alternatives.values():
            for model in (name for name in MODELS if name != "external"):
                mine = {k: v for k, v in settings.items() if k in run_keys(model)}
                run = Run("paper", "cifar100", model, variant_of(study, "cifar100", model, mine), 0)
                probe = resolve_probe(run, probe_of(study, "cifar100", "conv5", settings))
                if mine or probe.stage != "conv5":
                    seen.add(reading.id)
                for key in mine:
                    assert keys_behind(probe)[full_key(key)] == settings[key]
    assert {"A3", "A6", "A9", "A12", "A13", "A17", "A19", "A24"} <= seen


@pytest.mark.parametrize("value", [1, 0.5, True, False, "resnet18", "as-is", 1e-7])
def test_values_round_trip(value: Any) -> None:
    from patchvae.study.variants import text_of

    assert value_of(text_of(value)) == value
    assert type(value_of(text_of(value))) is type(value)
