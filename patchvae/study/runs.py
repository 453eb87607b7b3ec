"""Runs and probes: their identity (a readable path) and all that decides their numbers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError, DataError
from patchvae.study import paths
from patchvae.study.config import Study, load_study
from patchvae.study.digests import digest_of, file_digest
from patchvae.study.protocol import Scalar
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
from patchvae.study.standing import BEFORE, standing
from patchvae.study.variants import (
    name_without,
    parse_variant,
    probe_keys,
    read_settings,
    run_keys,
)


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
    stage: str = ""  # `name`, with what it sets itself

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
        return self.run.folder / self.stage

    def as_dict(self) -> dict[str, Any]:
        """Features as they are go without saying, and the settings say all that `stage` does.

        The paper's probes keep the digest that they had.
        """
        found = asdict(self)
        del found["stage"]
        if not self.standardised:
            del found["standardised"]
        return found

    @cached_property
    def digest(self) -> str:
        return digest_of(standing(self.as_dict()))


@cache
def resolve_run(run: Run) -> PretrainConfig:
    """The full configuration of a run; ConfigError for any unknown word in its name.

    Resolved once a process, as studies are read once: planning asks for each run many times.
    """
    base = run.of_study
    base.check_dataset(run.dataset)
    model = lookup("model", MODELS, run.model)
    architecture = ARCHITECTURES[model.architecture]
    in_name = {f"model.{key}" for key in architecture.variant}
    known = tuple(key for key in run_keys(run.model) if key not in in_name)
    name = name_without(run.variant)
    hyper = {} if architecture.named else parse_variant(architecture, name)
    study = base.changed(read_settings(base, run.dataset, run.variant, known))
    hyper = _values(study, run.dataset, "model", architecture.keys) | hyper
    inputs = study.value(architecture.inputs, run.dataset).value
    if architecture.named:
        hyper |= _external(study, name)
        inputs = hyper.pop("inputs", BEFORE["data"]["inputs"])
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


@cache
def resolve_probe(run: Run, stage: str) -> ProbeConfig:
    """The full configuration of a probe of a run, `conv5` or `conv5+probe.epochs=5`.

    ConfigError where there is nothing to standardise, no such snapshot or not as many images.
    """
    probe = name_without(stage)
    facts = lookup("probe", PROBES, probe)
    encoder, study = resolve_run(run), run.of_study
    changed = study.changed(read_settings(study, run.dataset, stage, probe_keys(probe)))
    section = changed.section("probe", run.dataset)
    kind: Any = ProbeSettings if facts.trained else NeighbourSettings
    settings = kind(**{field.name: section[field.name] for field in fields(kind)})
    if facts.standardised and settings.frozen_bn == "train":
        raise ConfigError(
            f"{run.study_file}: {probe} needs features that are constants of the image:"
            f" set probe.frozen_bn of {run.dataset} to eval"
        )
    _check_reach(encoder, stage, settings)
    return ProbeConfig(encoder, probe, facts.frozen, settings, facts.standardised, stage)


def _check_reach(
    encoder: PretrainConfig, stage: str, settings: ProbeSettings | NeighbourSettings
) -> None:
    """ConfigError unless the run keeps the snapshot and the study has the images."""
    run = encoder.run
    kept = encoder.pretrain.snapshots if encoder.pretrain else 0
    labelled = encoder.data.train or DATASETS[run.dataset].train
    for key, asked, there, cure in (
        ("snapshot", settings.snapshot, kept, "raise pretrain.snapshots"),
        ("images", settings.images, labelled, "lower probe.images"),
    ):
        if asked > there:
            raise ConfigError(
                f"{run.study_file}: {run.name}/{stage}: probe.{key} is {asked} of {there}: {cure}"
            )
