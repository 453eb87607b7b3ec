"""Runs and probes: their identity (a readable path) and all that decides their numbers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError, DataError
from patchvae.study import paths
from patchvae.study.config import Scalar, Study, load_study, protocol, validate
from patchvae.study.digests import digest_of, file_digest
from patchvae.study.registry import (
    ADVERSARIAL_INIT,
    ARCHITECTURES,
    DATASETS,
    MODELS,
    PROBES,
    RECONSTRUCTIONS,
    Architecture,
    Model,
    lookup,
)
from patchvae.study.settings import NeighbourSettings, PretrainSettings, ProbeSettings

NO_VARIANT = "plain"  # the variant of an architecture without hyper-parameters
# What the code did before a choice became a key. Such a value is left out of digests, so that
# results
# made before stand; it is history, and never changes with a default.
BEFORE: Mapping[str, Mapping[str, Any]] = {
    "data": {"inputs": "symmetric"},
    "model": {"random_statistics": "initial", "temperature_law": "closed", "discriminator": "ours"},
    "reconstruction": {"reduction": "sum", "scale": "pixels", "laplacian": 4, "channels": "mean"},
    "init": {"heads": "pytorch", "decoder": "pytorch", "discriminator": "pytorch"},
    "adversarial": {"discriminator": "ours"},
    "pretrain": {"lr_step": 0, "lr_factor": 10.0},
    "probe": {
        "dropout": 0.0,
        "init": "pytorch",
        "frozen_bn": "eval",
        "affine": "trained",
        "report": "last",
    },
}


@dataclass(frozen=True)
class Run:
    """One pretraining, named by what a reader wants to know; its path holds the same five words."""

    study: str
    dataset: str
    model: str
    variant: str
    seed: int

    @property
    def folder(self) -> Path:
        return Path(paths.RUN.format(**asdict(self)))

    @property
    def pretrain(self) -> Path:
        return self.folder / "pretrain"

    @property
    def of_study(self) -> Study:
        """The study that `study` names; ConfigError when there is none."""
        return load_study(self.study)

    @property
    def study_file(self) -> Path:
        return self.of_study.file

    @property
    def name(self) -> str:
        return f"{self.study}/{self.dataset}/{self.model}/{self.variant}/seed{self.seed}"

    @classmethod
    def parse(cls, name: str) -> "Run":
        """The inverse of `name`; also takes a path below `results/<study>/runs/`."""
        text = re.sub(r"^results/([^/]+)/runs/", r"\1/", name.rstrip("/"))
        match = re.fullmatch(r"([^/]+)/([^/]+)/([^/]+)/([^/]+)/seed(0|[1-9][0-9]*)(?:/.*)?", text)
        if match is None:
            raise ConfigError(
                f"'{name}' names no run: expected <study>/<dataset>/<model>/<variant>/seed<k>"
            )
        study, dataset, model, variant, seed = match.groups()
        return cls(study, dataset, model, variant, int(seed))


def number(value: float) -> str:
    """Shortest exact decimal without exponent: 0.0625, 1, 0.00003."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_variant(architecture: Architecture, values: Mapping[str, Scalar]) -> str:
    """Readable and complete, e.g. `N16-d6-prior0.0625-bvis0.6-bapp1`."""
    parts = [
        f"{prefix}{number(values[key])}"  # type: ignore[arg-type]
        for key, prefix in _prefixes(architecture).items()
    ]
    return "-".join(parts) or NO_VARIANT


def _prefixes(architecture: Architecture) -> dict[str, str | None]:
    """What stands before each hyper-parameter in a variant, in its order."""
    return {key: protocol()[f"model.{key}"].prefix for key in architecture.variant}


def parse_variant(architecture: Architecture, text: str) -> dict[str, Scalar]:
    """The inverse of `format_variant`; ConfigError for another spelling or a value out of range."""
    prefixes = _prefixes(architecture)
    pattern = "-".join(rf"{prefix}(\d+(?:\.\d+)?)" for prefix in prefixes.values())
    match = re.fullmatch(pattern or NO_VARIANT, text)
    if match is not None:
        values: dict[str, Scalar] = {
            key: float(raw) if "." in raw else int(raw)
            for key, raw in zip(prefixes, match.groups(), strict=True)
        }
        if format_variant(architecture, values) == text:
            validate({"model": values}, "values", f"variant {text}")
            return values
    form = "-".join(f"{prefix}<{key}>" for key, prefix in prefixes.items()) or NO_VARIANT
    raise ConfigError(f"'{text}' is no variant of {architecture.name}: expected {form}")


def variant_of(study: Study, dataset: str, model: str, overrides: Mapping[str, Scalar]) -> str:
    """The variant of a model in a study, with a table row's `set` on top."""
    architecture = ARCHITECTURES[lookup("model", MODELS, model).architecture]
    if architecture.named:
        return _name_of(study, model, overrides)
    keys = architecture.variant
    for key in overrides:
        if key not in keys:
            known = ", ".join(sorted(keys)) or "none"
            raise ConfigError(f"'{key}' is no hyper-parameter of {model}: it has {known}")
    values = {key: overrides.get(key, study.value(f"model.{key}", dataset).value) for key in keys}
    if values.get("prior_vis") == "1/N":
        values["prior_vis"] = 1 / int(values["num_parts"])
    return format_variant(architecture, values)


def _name_of(study: Study, model: str, overrides: Mapping[str, Scalar]) -> str:
    """The `encoder` of a row, which has nothing else to set."""
    if set(overrides) != {"encoder"}:
        raise ConfigError(
            f"a row of model {model} needs 'encoder', a name under 'external' of study"
            f" '{study.name}', and no 'set'"
        )
    return str(overrides["encoder"])


def _external(study: Study, name: str) -> dict[str, Any]:
    """An external encoder's file, the SHA-256 of its content (another file, another run), prefix,
    inputs.
    """
    raw = lookup(f"external encoder of study '{study.name}'", study.external, name)
    path = Path(raw["weights"])
    if not path.is_file():
        raise DataError(
            f"{study.file}: external.{name}: {path} does not exist: put the weights there"
        )
    facts = path.stat()
    return {**raw, "sha256": _sha256(path, facts.st_mtime_ns, facts.st_size)}


@cache
def _sha256(path: Path, _mtime: int, _size: int) -> str:
    """Read once a process, although every cell of the encoder's row asks."""
    return file_digest(path)


@dataclass(frozen=True)
class DataConfig:
    """Which images: the dataset, its published size and classes, the study's subset.

    `inputs` says what a pixel becomes: `symmetric`, `imagenet`, or mean and deviation by colour.
    """

    dataset: str
    size: int
    classes: int
    train: int | None
    test: int | None
    unlabelled: bool
    inputs: str | Mapping[str, list[float]]


@dataclass(frozen=True)
class PretrainConfig:
    """All that a run's numbers depend on, apart from code, hardware and the images themselves."""

    run: Run
    data: DataConfig
    architecture: str
    recon: str | None
    reconstruction: Mapping[str, Scalar]
    model: Mapping[str, Scalar]
    init: Mapping[str, Scalar]
    adversarial: Mapping[str, Scalar] | None
    pretrain: PretrainSettings | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "PretrainConfig":
        """The inverse of `as_dict`."""
        settings = document["pretrain"]
        inner = {
            "run": Run(**document["run"]),
            "data": DataConfig(**document["data"]),
            "pretrain": None if settings is None else PretrainSettings(**settings),
        }
        return cls(**{**document, **inner})

    @cached_property
    def digest(self) -> str:
        return digest_of(standing(self.as_dict()))


@dataclass(frozen=True)
class ProbeConfig:
    """All that a probe's numbers depend on: its run's configuration and its own."""

    encoder: PretrainConfig
    name: str
    frozen: str | None
    probe: ProbeSettings | NeighbourSettings
    standardised: bool = False

    @property
    def run(self) -> Run:
        return self.encoder.run

    @property
    def training(self) -> ProbeSettings:
        """The settings of a probe that is trained."""
        assert isinstance(self.probe, ProbeSettings), self.name
        return self.probe

    @property
    def folder(self) -> Path:
        return self.run.folder / self.name

    def as_dict(self) -> dict[str, Any]:
        """Features as they are go without saying.

        The paper's probes keep the digest that they had.
        """
        found = asdict(self)
        if not self.standardised:
            del found["standardised"]
        return found

    @cached_property
    def digest(self) -> str:
        return digest_of(standing(self.as_dict()))


def resolve_run(run: Run) -> PretrainConfig:
    """The full configuration of a run; ConfigError for any unknown word in its name."""
    study = run.of_study
    study.check_dataset(run.dataset)
    model = lookup("model", MODELS, run.model)
    architecture = ARCHITECTURES[model.architecture]
    hyper = _values(study, run.dataset, "model", architecture.keys)
    inputs = study.value(architecture.inputs, run.dataset).value
    if architecture.named:
        hyper |= _external(study, run.variant)
        inputs = hyper.pop("inputs", BEFORE["data"]["inputs"])
    else:
        hyper |= parse_variant(architecture, run.variant)
    recon = RECONSTRUCTIONS[model.recon] if model.recon else ()
    return PretrainConfig(
        run=run,
        data=_data(study, run.dataset, inputs),
        architecture=architecture.name,
        recon=model.recon,
        reconstruction=_values(study, run.dataset, "reconstruction", recon),
        model=hyper,
        init=_values(study, run.dataset, "init", _initialised(architecture, model)),
        adversarial=study.section("adversarial", run.dataset) if model.adversarial else None,
        pretrain=(
            PretrainSettings(**study.section("pretrain", run.dataset))  # type: ignore[arg-type]
            if architecture.trained
            else None
        ),
    )


def _values(study: Study, dataset: str, section: str, keys: Iterable[str]) -> dict[str, Any]:
    """Values by their keys' last words; a key without a section is of the given one."""
    full = [key if "." in key else f"{section}.{key}" for key in keys]
    return {key.partition(".")[2]: study.value(key, dataset).value for key in full}


def _initialised(architecture: Architecture, model: Model) -> tuple[str, ...]:
    """The keys of section `init` that concern a model."""
    return (*architecture.init, *(ADVERSARIAL_INIT if model.adversarial else ()))


def _data(study: Study, dataset: str, inputs: Any) -> DataConfig:
    facts, train = DATASETS[dataset], study.limit(dataset, "train")
    return DataConfig(
        dataset=dataset,
        size=facts.size,
        classes=facts.classes,
        train=train,
        test=study.limit(dataset, "test"),
        unlabelled=facts.unlabelled > 0 and train is None,
        inputs=inputs,
    )


def standing(document: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the values of `BEFORE` and the sections that this leaves empty."""
    found: dict[str, Any] = {}
    for name, content in document.items():
        if name == "encoder":
            content = standing(content)
        elif name in BEFORE and content is not None:
            known = BEFORE[name]
            content = {k: v for k, v in content.items() if k not in known or v != known[k]}
            if not content and name in ("reconstruction", "init"):
                continue
        found[name] = content
    return found


def resolve_probe(run: Run, probe: str) -> ProbeConfig:
    """The full configuration of a probe of a run.

    ConfigError where there is nothing to standardise.
    """
    facts = lookup("probe", PROBES, probe)
    encoder = resolve_run(run)
    section = run.of_study.section("probe", run.dataset)
    kind: Any = ProbeSettings if facts.trained else NeighbourSettings
    settings = kind(**{field.name: section[field.name] for field in fields(kind)})
    if facts.standardised and settings.frozen_bn == "train":
        raise ConfigError(
            f"{run.study_file}: {probe} needs features that are constants of the image:"
            f" set probe.frozen_bn of {run.dataset} to eval"
        )
    return ProbeConfig(encoder, probe, facts.frozen, settings, facts.standardised)
