"""The language of claims: parts, predicates and cell templates, read from YAML (docs/claims.md)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from patchvae.config import about, read_yaml
from patchvae.errors import ConfigError
from patchvae.paper.published import CellKey
from patchvae.registry import DATASETS

PREDICATES = ("greater", "not_greater", "close")
MARGIN = "margin"
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Count:
    """For each value of `each`, exactly `exactly` values of `of` have all their checks hold."""

    of: str
    each: str
    exactly: int


@dataclass(frozen=True)
class Part:
    """One predicate over cell templates; `id` is the claim's, with a letter where it has many parts."""

    id: str
    claim: str
    where: str
    says: str
    predicate: str
    templates: tuple[str, ...]
    variables: Mapping[str, tuple[str, ...]]
    excepted: tuple[Mapping[str, str], ...]
    by: float | str
    count: Count | None

    def cells(self, binding: Mapping[str, str]) -> list[CellKey]:
        """The templates' cells with the variables replaced by their values in `binding`."""
        return [
            CellKey.parse(_VARIABLE.sub(lambda match: binding[match[1]], template))
            for template in self.templates
        ]


def load_claims(path: Path | None = None) -> list[Part]:
    """The parts of every claim in a YAML file, by default the package's C1-C12.

    ConfigError names the file and the claim whose shape, variable or threshold is wrong.
    """
    source = path or files("patchvae.paper").joinpath("claims.yaml")
    document = read_yaml(source)
    _validate(document, str(source))
    with about(source):
        return [part for name, raw in document.items() for part in _parts(name, raw)]


def _parts(name: str, raw: Mapping[str, Any]) -> Iterator[Part]:
    for index, fields in enumerate(raw["parts"]):
        letter = chr(ord("a") + index) if len(raw["parts"]) > 1 else ""
        predicate = next(p for p in PREDICATES if p in fields)
        part = Part(
            id=f"{name}{letter}",
            claim=raw["says"],
            where=raw["where"],
            says=fields["says"],
            predicate=predicate,
            templates=tuple(fields[predicate]),
            variables={k: tuple(v) for k, v in fields.get("for", {}).items()},
            excepted=tuple(fields.get("except", ())),
            by=fields.get("by", 0.0),
            count=Count(**fields["count"]) if "count" in fields else None,
        )
        _check_variables(part)
        yield part


def _check_variables(part: Part) -> None:
    """ConfigError for a variable that is used and not given, or given and not used."""
    where = f"claim {part.id}"
    used = {name for template in part.templates for name in _VARIABLE.findall(template)}
    for name in used:
        known("variable", name, part.variables, where)
    unused = sorted(part.variables.keys() - used)
    if unused:
        raise ConfigError(f"{where}: no cell uses the variable '{unused[0]}': delete it from 'for'")
    counted = [part.count.of, part.count.each] if part.count else []
    for name in (*counted, *(name for gap in part.excepted for name in gap)):
        known("variable", name, part.variables, where)
    for name, value in (item for gap in part.excepted for item in gap.items()):
        allowed = DATASETS if name == "dataset" else part.variables[name]
        known(name, value, allowed, where)


def known(kind: str, name: str, choices: Iterable[str], where: str) -> None:
    """ConfigError, naming the choices, unless `name` is one of them."""
    choices = sorted(choices)
    if name not in choices:
        raise ConfigError(
            f"{where}: unknown {kind} '{name}': choose one of {', '.join(choices) or '(none)'}"
        )


def _validate(document: Any, source: str) -> None:
    import jsonschema

    schema = read_yaml(files("patchvae.paper").joinpath("claims.schema.yaml"))
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "top level"
        raise ConfigError(f"{source}: {where}: {error.message}")
