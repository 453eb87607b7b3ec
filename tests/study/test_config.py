"""Studies and the protocol: every bad key, type, value and name is one clear line, exit code 2."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_study import REPO, TINY, edit_study, forget_configs, write_study

from patchvae.errors import ConfigError
from patchvae.study.config import load_study, study_names
from patchvae.study.protocol import SECTIONS, protocol
from patchvae.study.readings import readings
from patchvae.study.registry import ARCHITECTURES, DATASETS
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.settings import keys_read
from patchvae.study.tables import load_table
from patchvae.study.variants import variant_of
from patchvae.study.yaml_files import read_yaml


def refused(project: Path, *words: str) -> None:
    """`load_study('tiny')` raises one line that holds the words."""
    with pytest.raises(ConfigError) as caught:
        load_study("tiny")
    assert "\n" not in str(caught.value)
    for word in ("config/tiny.yaml", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: a test", "title: a test\ncolour: red", ["colour"]),
        ("latent_dim: 8", "latent_dims: 8", ["protocol.model", "latent_dims"]),
        ("lr: 1.0e-3", "lr: 1e-3", ["protocol.pretrain.lr", "'1e-3' is not of type 'number'"]),
        ("lr: 1.0e-3", "lr: -1.0e-3", ["protocol.pretrain.lr"]),
        ("lr: 1.0e-3", "lr: .inf", ["protocol.pretrain.lr"]),
        ("lr: 1.0e-3", "lr: .nan", ["protocol.pretrain.lr"]),
        ("batch_size: 8, lr:", "batch_size: 8.0, lr:", ["protocol.pretrain.batch_size"]),
        ("batch_size: 8, lr:", "batch_size: true, lr:", ["protocol.pretrain.batch_size"]),
        ("epochs: 2,", "epochs: 0,", ["protocol.pretrain.epochs"]),
        ("num_parts: 4", "prior_vis: 1", ["protocol.model.prior_vis"]),
        ("num_parts: 4", "prior_vis: 2/N", ["protocol.model.prior_vis"]),
        ("num_parts: 4", "eval_visibility: loud", ["protocol.model.eval_visibility"]),
        ("num_parts: 4", "trunk: resnet50", ["protocol.model.trunk"]),
        ("seeds: [0, 1]", "seeds: []", ["seeds"]),
        ("seeds: [0, 1]", "seeds: [0, 0]", ["seeds"]),
        ("seeds: [0, 1]", "seeds: [-1]", ["seeds"]),
        ("train: 40", "train: 40.5", ["datasets.parts32.train"]),
        ("train: 40", "valid: 80", ["datasets.parts32", "valid"]),
        ("study: tiny", "study: large", ["study is 'large'"]),
        ("study: tiny", "study: ../tiny", ["study"]),
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(
    project: Path, old: str, new: str, words: list[str]
) -> None:
    edit_study(old, new)
    refused(project, *words)


def test_an_unknown_data_set_is_refused_with_what_there_is(project: Path) -> None:
    edit_study("  parts32: {train", "  parts33: {train")
    with pytest.raises(ConfigError, match=r"unknown dataset 'parts33'.*parts32"):
        load_study("tiny")


def test_a_table_must_not_use_a_data_set_that_the_study_does_not_list(project: Path) -> None:
    edit_study("table5: {datasets: [parts32]}", "table5: {datasets: [parts64]}")
    refused(project, "parts64", "'datasets'")


@pytest.mark.parametrize("name", ["papers", "protocol", "..", "../config/tiny", "tiny;ls", ""])
def test_an_unknown_study_is_refused_with_what_there_is(project: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"choose one of ci, .*tiny"):
        load_study(name)


@pytest.mark.parametrize(
    "text", ["a: [1", "a: !!python/object/apply:os.system ['true']", "a: \x00", "- &x [*x"]
)
def test_broken_yaml_and_tags_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"not valid YAML|more than 50 levels") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "key"),
    [
        ("tiny.yaml", "title: a test\n", "title: a test\ntitle: another\n", "title"),
        ("tiny.yaml", "batch_size: 8, lr:", "epochs: 3, batch_size: 8, lr:", "epochs"),
        ("tiny.yaml", "  table5:", "  table1: {datasets: [parts32]}\n  table5:", "table1"),
        ("tiny.yaml", "latent_dim: 8", '"latent_dim": 4, latent_dim: 8', "latent_dim"),
        ("protocol.yaml", "  latent_dim:\n", "  latent_dim:\n    value: 1\n", "value"),
        ("tables/table1.yaml", "table: table1\n", "table: table1\ntable: table1\n", "table"),
    ],
)
def test_a_key_that_stands_twice_is_named_with_its_lines(
    project: Path, name: str, old: str, new: str, key: str
) -> None:
    """YAML itself would silently take the last of the two."""
    path = project / "config" / name
    edit_study(old, new, name.removesuffix(".yaml"))
    lines = [n for n, text in enumerate(path.read_text().splitlines(), 1) if f"{key}" in text]
    with pytest.raises(ConfigError) as caught:
        load_table("tiny", "table1")
    found = re.fullmatch(
        rf"config/{name}: key '{key}' stands twice, in lines (\d+) and (\d+): keep one of them",
        str(caught.value),
    )
    assert found is not None, caught.value
    assert {int(found[1]), int(found[2])} <= set(lines)


def test_merged_keys_may_be_set_again(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {1: a, '1': b}\n")
    assert read_yaml(path) == {
        "a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {1: "a", "1": "b"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  parts32: {train", "  ../x: {train", "unknown dataset '../x': choose one of "),
        ("[parts32]}\n", "[parts33]}\n", "unknown dataset 'parts33': did you mean parts32"),
        ("[parts32]}\n", "[parts64]}\n", "a table uses 'parts64'"),
        ("study: tiny", "study: small", "study is 'small'"),
        ("[parts32]}\n", "[parts32], extra: [{model: vae}]}\n", "unknown model 'vae'"),
        ("[parts32]}\n", "[parts32], extra: [{model: bigan, set: {beta_vis: 1}}]}\n",
         "'beta_vis' is no hyper-parameter of bigan"),
        ("[parts32]}\n", "[parts32], extra: [{model: external, encoder: mine}]}\n",
         "unknown external encoder 'mine'"),
        ("[parts32]}\n", "[parts32], extra: [{model: external}]}\n",
         "a row of model external needs"),
        ("[parts32]}\n", "[parts32], without: [x]}\n", "table5: 'without' names 'x'"),
    ],
)  # fmt: skip
def test_errors_about_a_studys_content_begin_with_its_file(
    project: Path, old: str, new: str, message: str
) -> None:
    edit_study(old, new)
    with pytest.raises(ConfigError) as caught:
        load_table("tiny", "table5")
    assert str(caught.value).startswith(f"config/tiny.yaml: {message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml does not exist"):
        read_yaml(tmp_path / "x.yaml")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder without anything of ours, as the current one."""
    monkeypatch.chdir(tmp_path)
    forget_configs()
    yield tmp_path
    forget_configs()


def test_elsewhere_the_shipped_configuration_is_read(elsewhere: Path) -> None:
    assert load_study("demo").file == REPO / "config" / "demo.yaml"
    assert load_table("demo", "table5").cells()
    with pytest.raises(ConfigError, match="unknown study 'tiny'") as caught:
        load_study("tiny")
    for folder in (elsewhere / "config", REPO / "config"):
        assert str(folder) in str(caught.value)


def test_the_study_that_the_configurations_page_shows_is_one(elsewhere: Path) -> None:
    page = (REPO / "config" / "README.md").read_text()
    (elsewhere / "config").mkdir()
    write_study("mine", page.split("```yaml\n")[1].split("```")[0])
    assert load_study("mine").value("pretrain.epochs", "parts32").value == 2
    assert load_table("mine", "table5").cells()


def test_the_working_folder_comes_before_what_is_shipped(elsewhere: Path) -> None:
    (elsewhere / "config").mkdir()
    write_study("tiny", TINY)
    write_study("demo", TINY.replace("study: tiny", "study: demo"))
    assert [load_study(name).title for name in ("tiny", "demo")] == ["a test", "a test"]
    assert load_study("fashion").file == REPO / "config" / "fashion.yaml"
    text = (REPO / "config" / "protocol.yaml").read_text()
    write_study("protocol", text.replace("value: 96", "value: 95"))
    assert load_study("paper").value("model.latent_dim", "cifar100").value == 95


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    value: 1.0e-4\n", "    value: 1e-4\n", ["pretrain.lr", "number"]),
        ("    value: resnet9\n", "    value: resnet10\n", ["model.trunk", "resnet10"]),
        ("  latent_dim:\n", "  latent_dims:\n", ["model", "latent_dims"]),
        ("for: {places205: 2, imagenet: 30}", "for: {places206: 2}", ["places206"]),
        ("for: {places205: 2, imagenet: 30}", "for: {places205: two}", ["pretrain.epochs", "two"]),
    ],
)
def test_the_protocol_itself_is_checked(
    project: Path, old: str, new: str, words: list[str]
) -> None:
    edit_study(old, new, "protocol")
    with pytest.raises(ConfigError) as caught:
        load_study("tiny")
    for word in ("protocol.yaml", *words):
        assert word in str(caught.value)


def test_a_key_missing_from_the_protocol_is_named(project: Path) -> None:
    path = project / "config" / "protocol.yaml"
    document = yaml.safe_load(path.read_text())
    del document["probe"]["hidden"]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r"protocol\.yaml: probe lacks hidden"):
        load_study("tiny")


def test_the_protocol_has_the_keys_that_the_code_reads(in_repo: Path) -> None:
    known = {f"{section}.{key}" for section, keys in keys_read().items() for key in keys}
    assert known == set(protocol())
    assert tuple(keys_read()) == SECTIONS


def test_every_model_key_is_used_by_an_architecture(in_repo: Path) -> None:
    used = {key for a in ARCHITECTURES.values() for key in (*a.keys, a.inputs, *a.variant)}
    full = {key if "." in key else f"model.{key}" for key in used}
    assert {k for k in full if k.startswith("model.")} == {
        k for k in protocol() if k.startswith("model.")
    }


def test_readings_named_by_the_protocol_exist_and_name_it_back(in_repo: Path) -> None:
    named = {entry.reading for entry in protocol().values() if entry.reading}
    assert named <= set(readings())
    for reading in readings().values():
        assert set(reading.keys) <= set(protocol()), reading.id


def test_values_by_data_set_are_the_papers(in_repo: Path) -> None:
    study = load_study("paper")

    def at(key: str, dataset: str) -> Any:
        return study.value(key, dataset).value

    assert {d: at("pretrain.epochs", d) for d in study.datasets} == {
        "cifar100": 90, "indoor67": 90, "places205": 2, "imagenet": 30,
    }  # fmt: skip
    assert [at("probe.epochs", d) for d in ("cifar100", "places205", "imagenet")] == [90, 5, 30]
    assert [at("pretrain.flip", d) for d in ("cifar100", "indoor67")] == [False, True]
    assert [at("probe.flip", d) for d in ("cifar100", "places205")] == [False, True]
    assert [at("model.num_parts", d) for d in ("cifar100", "imagenet")] == [16, 64]
    assert [at("model.part_dim", d) for d in ("indoor67", "imagenet")] == [6, 16]
    assert study.value("model.num_parts", "imagenet").source == "release"
    assert study.value("model.num_parts", "cifar100").source == "paper"
    assert [at("model.trunk", d) for d in ("indoor67", "imagenet")] == ["resnet9", "resnet18"]
    assert variant_of(study, "imagenet", "patchvae", {}) == ("N64-d16-prior0.015625-bvis0.6-bapp1")


def test_settings_as_printed(in_repo: Path) -> None:
    """Section 4 in numbers: Adam 1e-4, batch 128; SGD 1e-2 divided by 10 every 30 epochs."""
    run = Run("paper", "cifar100", "patchvae", "N16-d6-prior0.0625-bvis0.6-bapp1", 0)
    config = resolve_probe(run, "conv5")
    pretrain, probe = config.encoder.pretrain, config.probe
    assert pretrain is not None
    assert (pretrain.lr, pretrain.batch_size, pretrain.epochs) == (1e-4, 128, 90)
    assert (probe.lr, probe.lr_step, probe.lr_factor, probe.hidden) == (1e-2, 30, 10, 512)
    model = config.encoder.model
    assert (model["temperature"], model["temperature_rate"]) == (1.0, 3e-5)


def test_the_study_and_its_data_set_override_the_protocol(project: Path) -> None:
    text = TINY.replace(
        "{train: 40, test: 40}", "{train: 40, test: 40, protocol: {pretrain: {epochs: 7}}}"
    )
    (project / "config" / "tiny.yaml").write_text(text)
    study = load_study("tiny")
    value = study.value("pretrain.epochs", "parts32")
    assert (value.value, value.source) == (7, "study tiny")
    assert study.value("pretrain.batch_size", "parts32").value == 8
    assert study.value("pretrain.adam_beta1", "parts32").source == "ours"


RELEASED = {
    "model.inputs": "imagenet",
    "model.beta_vis": 10.0,
    "model.temperature_law": "compounding",
    "model.appearance_gradient": "stop",
    "reconstruction.channels": "each",
    "init.heads": "kaiming",
    "adversarial.discriminator": "release",
    "pretrain.adam_beta1": 0.5,
    "probe.weight_decay": 1e-4,
    "probe.dropout": 0.5,
    "probe.init": "normal",
    "probe.frozen_bn": "train",
    "probe.affine": "frozen",
    "probe.report": "best",
}


@pytest.mark.parametrize(
    "line", ["as-released", "{named: as-released}", "{named: as-released, probe: {hidden: 9}}"]
)
def test_a_protocol_by_name_takes_what_the_release_does(project: Path, line: str) -> None:
    text = re.sub(r"protocol:\n(  .*\n)+", f"protocol: {line}\n", TINY)
    (project / "config" / "tiny.yaml").write_text(text)
    released, printed = load_study("tiny"), load_study("demo")
    for key, entry in protocol().items():
        value = released.value(key, "parts32")
        if key in RELEASED:
            assert (value.value, value.source) == (RELEASED[key], "release")
        elif key == "probe.hidden" and "hidden" in line:
            assert (value.value, value.source) == (9, "study tiny")
        else:
            assert (value.value, value.source) == (entry.value, entry.source)
        if not printed.value(key, "partsnet").source.startswith("study"):
            assert printed.value(key, "partsnet").value == entry.value
    config = resolve_run(Run("tiny", "parts32", "bigan", "z96", 0))
    assert (config.data.inputs, config.model["discriminator"]) == ("imagenet", "release")


@pytest.mark.parametrize("line", ["as-publshed", "{named: as-publshed}"])
def test_an_unknown_protocol_is_refused_with_what_there_is(project: Path, line: str) -> None:
    text = re.sub(r"protocol:\n(  .*\n)+", f"protocol: {line}\n", TINY)
    (project / "config" / "tiny.yaml").write_text(text)
    refused(
        project,
        "'as-publshed': did you mean",
        "choose one of as-printed, as-released",
    )


def test_every_committed_study_resolves_every_run(in_repo: Path) -> None:
    for name in study_names():
        study = load_study(name)
        for dataset in study.datasets:
            variant = variant_of(study, dataset, "patchvae", {})
            config = resolve_run(Run(name, dataset, "patchvae", variant, study.seeds[0]))
            assert config.data.size == DATASETS[dataset].size
            assert config.data.unlabelled == (dataset == "indoor67")
            assert re.fullmatch("[0-9a-f]{64}", config.digest)


def test_unknown_protocol_key_is_refused(in_repo: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown protocol key 'model\.depth'"):
        load_study("paper").value("model.depth", "cifar100")


def test_tests_read_the_repositorys_config(in_repo: Path) -> None:
    assert Path.cwd() == REPO


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "more than 50 levels deep, or more than 100,000 values"),
        ("a: &a {x: *a}\n", "line 1: more than 50 levels"),
        ("a: &a [*a]\n", "line 1: more than 50 levels"),
        ("[" * 51 + "]" * 51, "line 1: more than 50 levels"),
        ("[" * 300_000, "line 1: more than 50 levels"),
        ("{a: " * 10_000 + "1" + "}" * 10_000, "line 1: more than 50 levels"),
        ("- x\n" * 100_001, "line 100000: "),
        ("#" * 1_000_001, "larger than 1,000,000 bytes"),
        ("\u00fc" * 500_001, "larger than 1,000,000 bytes"),
        ("a: 1" + "0" * 5_000, "not valid YAML"),
        ("a: 2026-13-45", "not valid YAML"),
        ("a: {<<: {b: 1}, <<: {b: 2}}", "key '<<' stands twice, in lines 1 and 1"),
        ("a: \ud800", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("? [a]\n: 1", "not valid YAML"),
    ],
    ids=range(15),
)
def test_yaml_that_would_fill_memory_or_time_is_refused_at_once(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    begun = time.process_time()
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert time.process_time() - begun < 5
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(Path("/dev/zero"))


def test_aliases_and_one_merge_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n")
    a = {"x": 1, "y": 2}
    assert read_yaml(path) == {"a": a, "b": {"x": 1, "y": 3}, "c": [a, a]}


@pytest.mark.parametrize("seed", ["2147483648", "1" + "0" * 4000])
def test_a_seed_that_no_generator_takes_is_refused(project: Path, seed: str) -> None:
    edit_study("seeds: [0, 1]", f"seeds: [0, {seed}]")
    refused(project, "seeds.1", "is greater than the maximum")
