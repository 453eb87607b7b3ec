"""The protocol: its entries, and the schemas of documents, those of its values made from it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError
from patchvae.study import paths
from patchvae.study.registry import DATASETS, lookup
from patchvae.study.settings import keys_read
from patchvae.study.yaml_files import about, check, read_yaml

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


def validate(document: Any, schema: str, source: Path | str) -> None:
    """Check `document` against `workflow/schemas/<schema>.schema.yaml`; ConfigError names the key.

    The schema `values` is made from the protocol, and the others may refer to it.
    """
    check(document, _validator(schema), source)


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
