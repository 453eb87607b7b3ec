"""Studies: read once, validated by JSON schema, every value with its source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError
from patchvae.study import paths
from patchvae.study.folders import declare
from patchvae.study.protocol import (
    AS_PRINTED,
    FOLLOWS,
    PROTOCOLS,
    Entry,
    Scalar,
    protocol,
    validate,
)
from patchvae.study.registry import DATASETS, Dataset, instead, lookup
from patchvae.study.yaml_files import about, read_yaml


@dataclass(frozen=True)
class Value:
    """A resolved value and who chose it: paper, release, ours, or the study."""

    value: Scalar
    source: str


@dataclass(frozen=True)
class Study:
    """A study file with the protocol beneath it."""

    name: str
    title: str
    seeds: tuple[int, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Mapping[str, Any]]
    protocol: Mapping[str, Any]
    defaults: Mapping[str, Entry]
    external: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    follows: str = AS_PRINTED
    stop_outside: bool = False  # whether a pretraining unlike those of other seeds ends
    sensitivity: Mapping[str, Any] | None = None  # which alternatives of which readings
    changes: Mapping[str, Scalar] = field(default_factory=dict)  # of one run, by full key

    @property
    def file(self) -> Path:
        """Where the study is written, for errors about its content."""
        return paths.config(f"{self.name}.yaml")

    @property
    def is_the_papers(self) -> bool:
        """Whether its numbers can be compared with the paper's."""
        return self.name == paths.MAIN_STUDY

    def value(self, key: str, dataset: str) -> Value:
        """The protocol's `section.key` for a dataset.

        What one run sets, study's dataset, study, protocol, in this order.
        """
        entry = lookup("protocol key", self.defaults, key)
        if key in self.changes:
            return Value(self.changes[key], "run")
        section, name = key.split(".")
        for layer in (self.datasets[dataset].get("protocol", {}), self.protocol):
            if name in layer.get(section, {}):
                return Value(layer[section][name], f"study {self.name}")
        if PROTOCOLS[self.follows] and entry.released is not None:
            return Value(entry.released, "release")
        if dataset in entry.by_dataset:
            return Value(entry.by_dataset[dataset], entry.for_source or entry.source)
        return Value(entry.value, entry.source)

    def changed(self, settings: Mapping[str, Scalar]) -> "Study":
        """The study as one run sees it that sets some keys, `section.key`, itself.

        The key `protocol` has the name of the protocol that the run follows.
        """
        own = {key: value for key, value in settings.items() if key != FOLLOWS}
        follows = str(settings.get(FOLLOWS, self.follows))
        lookup("protocol", PROTOCOLS, follows)
        return replace(self, changes=own, follows=follows)

    def section(self, section: str, dataset: str) -> dict[str, Scalar]:
        """Every value of one section for a dataset."""
        keys = (key for key in self.defaults if key.startswith(f"{section}."))
        return {key.split(".")[1]: self.value(key, dataset).value for key in keys}

    def check_dataset(self, dataset: str) -> None:
        """ConfigError unless the study uses `dataset`."""
        lookup(f"dataset of study '{self.name}'", self.datasets, dataset)

    def gpus(self, dataset: str) -> int:
        """How many GPUs, with one process each, share a training on a dataset."""
        return int(self.datasets[dataset].get("gpus_per_run", 1))

    def limit(self, dataset: str, split: str) -> int | None:
        """How many images of a split the study uses; None for all."""
        return self.datasets[dataset].get(split)


def study_names() -> list[str]:
    """Every `config/<study>.yaml`, the working folder's and the shipped, but the protocol."""
    found = {path.stem for folder in paths.config_folders() for path in folder.glob("*.yaml")}
    return sorted(found - {"protocol"})


@cache
def load_study(name: str) -> Study:
    """Read and validate a study; ConfigError for an unknown name, key, type or dataset."""
    if name not in study_names():
        raise ConfigError(
            f"unknown study '{name}': {instead(name, study_names())} ({paths.looked_in()})"
        )
    path = paths.config(f"{name}.yaml")
    defaults, raw = protocol(), read_yaml(path)
    validate(raw, "study", path)
    changes, follows = _followed(raw.get("protocol", {}))
    with about(path):
        lookup("protocol", PROTOCOLS, follows)
        for dataset, facts in raw["datasets"].items():
            if "folder" in facts:
                declare(dataset, facts)
        _check_names(raw, name)
    return Study(
        name=name,
        title=raw["title"],
        seeds=tuple(raw["seeds"]),
        datasets=raw["datasets"],
        tables=raw["tables"],
        protocol=changes,
        defaults=defaults,
        external=raw.get("external", {}),
        follows=follows,
        stop_outside=raw.get("stop_outside", False),
        sensitivity=raw.get("sensitivity"),
    )


def find_dataset(name: str) -> Dataset:
    """A dataset of the suite, or a folder that some study declares; ConfigError lists them."""
    for study in () if name in DATASETS else study_names():
        document = read_yaml(paths.config(f"{study}.yaml"))
        if isinstance(document, dict) and name in (document.get("datasets") or ()):
            load_study(study)
    return lookup("dataset", DATASETS, name)


def _followed(raw: str | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """A study's changes to the protocol that it follows, and the name of that protocol."""
    if isinstance(raw, str):
        return {}, raw
    changes = {key: value for key, value in raw.items() if key != "named"}
    return changes, raw.get("named", AS_PRINTED)


def _check_names(raw: Mapping[str, Any], name: str) -> None:
    """The study's own name, and every dataset known and declared."""
    if raw["study"] != name:
        raise ConfigError(f"study is '{raw['study']}', but the file says '{name}'")
    used = [dataset for table in raw["tables"].values() for dataset in table["datasets"]]
    for dataset in [*raw["datasets"], *used]:
        lookup("dataset", DATASETS, dataset)
        if dataset not in raw["datasets"]:
            raise ConfigError(f"a table uses '{dataset}', which 'datasets' does not list")
