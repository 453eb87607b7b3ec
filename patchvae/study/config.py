"""Studies and the protocol: read once, validated by JSON schema, every value with its source."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from patchvae.errors import ConfigError
from patchvae.study import paths
from patchvae.study.folders import declare
from patchvae.study.registry import DATASETS, Dataset, instead, lookup
from patchvae.study.settings import keys_read

Scalar = int | float | str | bool
SECTIONS = ("model", "reconstruction", "init", "adversarial", "pretrain", "probe")
ALLOWED = ("choices", "type", "range", "also")  # what an entry says of the values that it may have
# the text with our readings, and the authors' code where it departs: `released` in protocol.yaml
AS_PRINTED, AS_RELEASED = "as-printed", "as-released"
PROTOCOLS = {AS_PRINTED: False, AS_RELEASED: True}
FOLLOWS = "protocol"  # what a row or a run's name sets to follow another one of them


@dataclass(frozen=True)
class Entry:
    """One key of `config/protocol.yaml`."""

    key: str
    value: Scalar
    source: str
    where: str
    about: str
    reading: str | None = None
    released: Scalar | None = None
    by_dataset: Mapping[str, Scalar] = field(default_factory=dict)
    for_source: str | None = None
    prefix: str | None = None
    symbol: str | None = None


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


# libyaml, where PyYAML was built with it, reads eight times faster: every job reads its study
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# bounds of a YAML file, far above any of ours: bytes, levels, values with its aliases written out
LARGEST, DEEPEST, LONGEST = 1_000_000, 50, 100_000


class _Loader(_SafeLoader):
    """YAML without tags that build objects, and without a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            merge = key.tag == "tag:yaml.org,2002:merge"  # `<<`, which nothing constructs
            name = key.value if merge else self.construct_object(key)
            line = key.start_mark.line + 1
            if name in first:
                raise ConfigError(
                    f"key '{name}' stands twice, in lines {first[name]} and {line}: keep one of "
                    "them"
                )
            first[name] = line
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def read_yaml(path: Path | Traversable) -> Any:
    """The content of a YAML file; ConfigError names the file and the lines that make it unusable.

    The one loader of the suite: a key that stands twice is an error, not the last value of the two.
    Nothing is built of a file that is larger, deeper or, with its aliases, longer than any of ours.
    """
    try:
        with about(path):
            return _Loader(_bounded(path)).get_single_data()
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: correct the path") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, no date, too many digits
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def _bounded(path: Path | Traversable) -> str:
    """The text of a file; ConfigError when its content would be too large to be built."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigError(f"larger than {LARGEST:,} bytes: no file of a study is")
    text = content.decode()
    sizes: dict[str, int] = {}  # values by anchor, with all that their aliases stand for
    open_ones: list[tuple[str, int]] = []
    seen = 0
    events: Iterator[Any] = yaml.parse(text, _SafeLoader)
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_ones.pop()
            sizes[anchor] = seen - before
        elif isinstance(event, yaml.NodeEvent):
            anchor = event.anchor or ""
            seen += sizes.get(anchor, 1) if isinstance(event, yaml.AliasEvent) else 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_ones.append((anchor, seen - 1))
                sizes[anchor] = LONGEST  # what contains itself has no end
        if len(open_ones) > DEEPEST or seen > LONGEST:
            raise ConfigError(
                f"line {event.start_mark.line + 1}: more than {DEEPEST} levels deep, or more than"
                f" {LONGEST:,} values with what its aliases (*name) stand for"
            )
    return text


@contextmanager
def about(source: object) -> Iterator[None]:
    """Within the block a ConfigError begins with the file (or other source) that it is about."""
    try:
        yield
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(f"{source}: ") else f"{source}: {text}") from None


def validate(document: Any, schema: str, source: Path | str) -> None:
    """Check `document` against `workflow/schemas/<schema>.schema.yaml`; ConfigError names the key.

    The schema `values` is made from the protocol, and the others may refer to it.
    """
    check(document, _validator(schema), source)


def check(document: Any, validator: Any, source: Path | str) -> None:
    """ConfigError for the key that a JSON schema's validator minds most."""
    import jsonschema

    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "top level"
        raise ConfigError(f"{source}: {where}: {error.message}")


@cache
def _validator(schema: str) -> Any:
    import jsonschema
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    schemas = {p.name: read_yaml(p) for p in paths.shipped("workflow/schemas").glob("*.yaml")}
    for content in schemas.values():
        del content["$schema"]  # behind a reference it would bring back the validator without ours
    if schema != "protocol":
        schemas["values"] = values_schema(_document())
    registry: Any = Registry().with_resources(
        (name, DRAFT202012.create_resource(content)) for name, content in schemas.items()
    )
    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number})
    strict = jsonschema.validators.extend(base, type_checker=types)
    return strict(schemas.get(schema) or schemas[f"{schema}.schema.yaml"], registry=registry)


def values_schema(document: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON schema of what may be set, by section, from the content of `protocol.yaml`."""
    return _closed(
        {
            section: _closed({name: _allowed(raw) for name, raw in keys.items()})
            for section, keys in document.items()
        }
    )


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _allowed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of one key's values, from `choices` or `type`, `range` and `also`."""
    if "choices" in raw:
        whole = all(isinstance(choice, int) for choice in raw["choices"])
        return ({"type": "integer"} if whole else {}) | {"enum": raw["choices"]}
    found: dict[str, Any] = {"type": raw["type"]}
    if "range" in raw:
        low, high = raw["range"][1:-1].split(", ")
        found["minimum" if raw["range"][0] == "[" else "exclusiveMinimum"] = json.loads(low)
        if high != "inf":
            found["exclusiveMaximum"] = json.loads(high)
    return {"oneOf": [{"const": raw["also"]}, found]} if "also" in raw else found


def _is_integer(_checker: Any, value: Any) -> bool:
    """JSON calls 16.0 an integer, but it is another configuration than 16."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: Any, value: Any) -> bool:
    """Finite: YAML has .inf and .nan."""
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


@cache
def protocol() -> dict[str, Entry]:
    """Every entry of the protocol, keyed `section.key`."""
    document = _document()
    _check_values(document)
    return {
        f"{section}.{name}": Entry(
            key=f"{section}.{name}", by_dataset=raw.get("for", {}), **_without(raw, "for", *ALLOWED)
        )
        for section in SECTIONS
        for name, raw in document[section].items()
    }


@cache
def _document() -> Any:
    """The content of `protocol.yaml`, in its form."""
    path = paths.config("protocol.yaml")
    document = read_yaml(path)
    validate(document, "protocol", path)
    return document


def _check_values(document: Mapping[str, Mapping[str, Any]]) -> None:
    """The keys that the code reads, and every value, by dataset too, as a study may give it."""
    path = paths.config("protocol.yaml")
    for section, known in keys_read().items():
        for name, raw in document[section].items():
            if name not in known:
                raise ConfigError(f"{path}: {section}: nothing reads the key '{name}'")
            released = [raw["released"]] if "released" in raw else []
            for value in (raw["value"], *released, *raw.get("for", {}).values()):
                validate({section: {name: value}}, "values", path)
            with about(path):
                for dataset in raw.get("for", {}):
                    lookup("dataset", DATASETS, dataset)
        if missing := known - document[section].keys():
            raise ConfigError(f"{path}: {section} lacks {', '.join(sorted(missing))}")


def _without(raw: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in keys}


def show(value: Scalar) -> str:
    """As written in YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    return _without(raw, "named"), raw.get("named", AS_PRINTED)


def _check_names(raw: Mapping[str, Any], name: str) -> None:
    """The study's own name, and every dataset known and declared."""
    if raw["study"] != name:
        raise ConfigError(f"study is '{raw['study']}', but the file says '{name}'")
    used = [dataset for table in raw["tables"].values() for dataset in table["datasets"]]
    for dataset in [*raw["datasets"], *used]:
        lookup("dataset", DATASETS, dataset)
        if dataset not in raw["datasets"]:
            raise ConfigError(f"a table uses '{dataset}', which 'datasets' does not list")
