"""Runs and probes: readable names that determine everything, and digests that change with it."""

import dataclasses
from pathlib import Path

import pytest
from small_study import forget_configs

from patchvae.errors import ConfigError
from patchvae.study.registry import ARCHITECTURES, MODELS
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.variants import format_variant, number, parse_variant, variant_of

PARTS = ARCHITECTURES["patchvae"]
RUN = Run("tiny", "parts32", "patchvae", "N4-d2-prior0.25-bvis0.6-bapp1", 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (16, "16"), (0.0625, "0.0625"), (3e-5, "0.00003"), (1e-12, "0.000000000001"),
        (100.0, "100"), (0.1 + 0.2, "0.30000000000000004"), (0, "0"), (1 / 3, "0.3333333333333333"),
    ],
)  # fmt: skip
def test_numbers_are_exact_decimals_without_exponent(value: float, text: str) -> None:
    assert number(value) == text
    assert float(text) == value


@pytest.mark.parametrize("N", [1, 4, 16, 64])
@pytest.mark.parametrize("prior", [0.01, 0.05, 0.0625, 1 / 3, 1e-7])
@pytest.mark.parametrize("beta", [0, 0.06, 1, 10.5])
def test_variants_are_a_bijection(N: int, prior: float, beta: float) -> None:
    values = {"num_parts": N, "part_dim": 6, "prior_vis": prior, "beta_vis": beta, "beta_app": 1.0}
    text = format_variant(PARTS, values)
    assert parse_variant(PARTS, text) == values
    assert format_variant(PARTS, parse_variant(PARTS, text)) == text


def test_variants_of_the_other_architectures() -> None:
    assert format_variant(ARCHITECTURES["bigan"], {"latent_dim": 96}) == "z96"
    assert format_variant(ARCHITECTURES["beta-vae"], {"latent_dim": 96, "beta": 1.0}) == "z96-beta1"
    assert format_variant(ARCHITECTURES["random"], {}) == "plain"
    assert parse_variant(ARCHITECTURES["random"], "plain") == {}


@pytest.mark.parametrize(
    "text",
    [
        "N4-d2-prior0.250-bvis0.6-bapp1",  # not canonical: two names for one run
        "N04-d2-prior0.25-bvis0.6-bapp1",
        "N4-d2-prior.25-bvis0.6-bapp1",
        "N4-d2-prior2.5e-1-bvis0.6-bapp1",
        "N4-d2-prior0.25-bvis0.6",
        "d2-N4-prior0.25-bvis0.6-bapp1",
        "N4-d2-prior0.25-bvis0.6-bapp1-x",
        "N4-d2-prior0.25-bvis0.6-bapp1\n",
        "N٤-d2-prior0.25-bvis0.6-bapp1",
        "N4-d2-prior0.25-bvis0.6-bapp1;ls",
        "$(ls)",
        "..",
        "plain",
        "",
    ],
)  # fmt: skip
def test_other_spellings_are_no_variants(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected N<num_parts>-d<part_dim>"):
        parse_variant(PARTS, text)


@pytest.mark.parametrize(
    ("variant", "key"),
    [
        ("N0-d2-prior0.25-bvis0.6-bapp1", "num_parts"),
        ("N4.5-d2-prior0.25-bvis0.6-bapp1", "num_parts"),
        ("N4-d0-prior0.25-bvis0.6-bapp1", "part_dim"),
        ("N4-d2-prior0-bvis0.6-bapp1", "prior_vis"),
        ("N4-d2-prior1-bvis0.6-bapp1", "prior_vis"),
        ("N4-d2-prior2.5-bvis0.6-bapp1", "prior_vis"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_trained(
    project: Path, variant: str, key: str
) -> None:
    with pytest.raises(ConfigError, match=key):
        resolve_run(dataclasses.replace(RUN, variant=variant))


def test_the_default_prior_is_one_over_n(project: Path) -> None:
    from patchvae.study.config import load_study

    study = load_study("tiny")
    assert variant_of(study, "parts32", "patchvae", {}) == RUN.variant
    for N, prior in ((16, "0.0625"), (3, "0.3333333333333333"), (64, "0.015625")):
        variant = variant_of(study, "parts32", "patchvae", {"num_parts": N})
        assert variant == f"N{N}-d2-prior{prior}-bvis0.6-bapp1"
        assert parse_variant(PARTS, variant)["prior_vis"] == 1 / N
    assert "prior0.1-" in variant_of(study, "parts32", "patchvae", {"prior_vis": 0.1})


def test_a_row_cannot_set_what_its_model_does_not_have(project: Path) -> None:
    from patchvae.study.config import load_study

    with pytest.raises(ConfigError, match="'num_parts' is no hyper-parameter of bigan"):
        variant_of(load_study("tiny"), "parts32", "bigan", {"num_parts": 3})


def test_run_names_round_trip() -> None:
    for name in (RUN.name, str(RUN.folder), f"{RUN.pretrain}/", f"{RUN.folder}/conv5/metrics.json"):
        assert Run.parse(name) == RUN
    assert str(RUN.folder) == f"results/tiny/runs/parts32/patchvae/{RUN.variant}/seed0"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tiny",
        "tiny/parts32/patchvae/seed0",
        f"tiny/parts32/patchvae/{RUN.variant}/seed",
        f"tiny/parts32/patchvae/{RUN.variant}/seed-1",
        f"tiny/parts32/patchvae/{RUN.variant}/seed007",
        f"tiny/parts32/patchvae/{RUN.variant}/seed٣",
        f"tiny/parts32/patchvae/{RUN.variant}/seed0\n",
        f"/results/tiny/runs/parts32/patchvae/{RUN.variant}/seed0",
        f"tiny//parts32/patchvae/{RUN.variant}/seed0",
    ],
)
def test_names_of_no_run_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="names no run"):
        Run.parse(name)


@pytest.mark.parametrize(
    "hostile", ["..", ".", ";ls", "$(ls)", "`ls`", "a\nb", "-x", "*", " ", "'"]
)
@pytest.mark.parametrize("place", ["study", "dataset", "model", "variant"])
def test_hostile_words_name_nothing(project: Path, hostile: str, place: str) -> None:
    words = {**dataclasses.asdict(RUN), place: hostile}
    with pytest.raises(ConfigError):
        resolve_run(Run(**words))
    with pytest.raises(ConfigError):
        resolve_probe(RUN, hostile)


def test_unknown_words_list_what_exists(project: Path) -> None:
    for place, word in (("dataset", "cifar"), ("dataset", "mnist"), ("model", "vqvae")):
        with pytest.raises(ConfigError, match=rf"'{word}': .*choose one of"):
            resolve_run(dataclasses.replace(RUN, **{place: word}))
    with pytest.raises(ConfigError, match=r"probe 'conv2': did you mean .*choose one of scratch"):
        resolve_probe(RUN, "conv2")


BUILT_IN = [m for m in MODELS if m != "external"]


def digests(dataset: str = "parts32") -> dict[str, str]:
    """Digests of the tiny study's runs and conv5 probes, one a model."""
    from patchvae.study.config import load_study

    forget_configs()
    found = {}
    for model in BUILT_IN:
        variant = variant_of(load_study("tiny"), dataset, model, {})
        probe = resolve_probe(Run("tiny", dataset, model, variant, 0), "conv5")
        found |= {model: probe.encoder.digest, f"{model}/conv5": probe.digest}
    return found


VAES = {name for name, model in MODELS.items() if model.recon}
SINGLE = {n for n, m in MODELS.items() if "latent_dim" in ARCHITECTURES[m.architecture].variant}
TRAINED = VAES | {"bigan"}


@pytest.mark.parametrize(
    ("old", "new", "models", "probes_only"),
    [
        ("hidden: 32", "hidden: 33", set(BUILT_IN), True),
        ("epochs: 2,", "epochs: 3,", TRAINED, False),
        ("latent_dim: 8", "latent_dim: 9", SINGLE, False),
        ("latent_dim: 8", "latent_dim: 8, eval_visibility: hard",
         {m for m in VAES if MODELS[m].architecture == "patchvae"}, False),
        ("  model: {", "  adversarial: {weight: 2}\n  model: {",
         {m for m in VAES if "gan" in m}, False),
        ("test: 40", "test: 41", set(BUILT_IN), False),
        ("title: a test", "title: another", set(), False),
        ("seeds: [0, 1]", "seeds: [0, 1, 2]", set(), False),
    ],
)  # fmt: skip
def test_a_changed_key_changes_exactly_the_digests_concerned(
    project: Path, old: str, new: str, models: set[str], probes_only: bool
) -> None:
    before, path = digests(), project / "config" / "tiny.yaml"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    after = digests()
    changed = {name for name in before if before[name] != after[name]}
    expected = {f"{model}/conv5" for model in models} | (set() if probes_only else models)
    assert changed == expected


def test_different_runs_have_different_digests(project: Path) -> None:
    found = list(digests().values())
    found += [resolve_probe(RUN, probe).digest for probe in ("scratch", "conv1", "conv3")]
    found += [resolve_run(dataclasses.replace(RUN, seed=seed)).digest for seed in (1, 2)]
    assert len(set(found)) == len(found)
