"""What is written of tables: config/tables/<table>.yaml, and a study's changes to it."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from patchvae.errors import ConfigError
from patchvae.study import paths
from patchvae.study.config import Study
from patchvae.study.protocol import validate
from patchvae.study.registry import DATASETS, MODELS, PROBES, lookup
from patchvae.study.rows import Column, Panel, Row
from patchvae.study.sensitivity import SENSITIVITY
from patchvae.study.variants import full_key, settings_of, short_key, text_of, variant_of
from patchvae.study.yaml_files import about, read_yaml

ARCHITECTURE_TABLES = {
    "table6": "Encoders for $32 \\times 32$ images",
    "table7": "Encoders for $64 \\times 64$ images",
    "table8": "Decoders for $32 \\times 32$ images",
    "table9": "Decoders for $64 \\times 64$ images",
    "table10": "Classifiers",
}
RESERVED = (*ARCHITECTURE_TABLES, "discovery", "posterior")  # other rules write these tables


def spec_file(name: str) -> Path:
    """Where a table's rows and columns are written."""
    return paths.config(f"tables/{name}.yaml")


@cache
def read_spec(name: str) -> Mapping[str, Any]:
    """The validated content of `config/tables/<name>.yaml`."""
    path = spec_file(name)
    if name in (*RESERVED, SENSITIVITY):
        raise ConfigError(
            f"{path}: another table is called '{name}': rename the file and its table"
        )
    document = read_yaml(path)
    validate(document, "table", path)
    if document["table"] != name:
        raise ConfigError(f"{path}: table is '{document['table']}', but the file says '{name}'")
    return document


def captioned(spec: Mapping[str, Any], datasets: Iterable[str]) -> str:
    """The caption of a specification for a study's datasets."""
    return _named(spec["caption"], datasets)


def columns_of(spec: Mapping[str, Any], further: Iterable[str]) -> tuple[Column, ...]:
    """Those of the specification, then the further probes that a study asks for."""
    own = (
        Column(raw["key"], raw.get("label", ""), raw["probe"], raw.get("metric", "top1"))
        for raw in spec["columns"]
    )
    probes = (PROBES[name] for name in further)
    return (*own, *(Column(p.name, p.title, p.name, "top1", p.about) for p in probes))


def panels_of(
    study: Study, name: str, spec: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[Panel, ...]:
    """The rows of the specification and the study's own, without those that it leaves out.

    ConfigError for two rows of one name, and for a name under `without` or `differences` that is
    none.
    """
    panels, without = _declared(study, spec, settings), settings.get("without", ())
    keys = [row.key for panel in panels for group in panel.groups for row in group]
    where = f"{study.file}: {name}"
    for key in without:
        if key not in keys:
            raise ConfigError(f"{where}: 'without' names '{key}', which is no row of the table")
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"{where}: two rows are called '{key}': give one of them a 'key'")
    kept = {key: None for key in keys if key not in without}
    for key in (key for pair in settings.get("differences", ()) for key in pair):
        with about(study.file):
            lookup(f"row of {name} under 'differences'", kept, key)
    return tuple(_drop(panel, without) for panel in panels)


def _declared(study: Study, spec: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Panel]:
    """The rows of the specification and the study's own.

    ConfigError names the file of a wrong one.
    """
    datasets = settings["datasets"]
    with about(spec_file(spec["table"])):
        panels = [
            Panel(raw["header"], tuple(_rows(study, group, datasets) for group in raw["groups"]))
            for raw in spec["panels"]
        ]
    with about(study.file):
        if extra := _rows(study, settings.get("extra", ()), datasets):
            panels[-1] = Panel(panels[-1].header, (*panels[-1].groups, extra))
    return panels


def _rows(study: Study, raws: Iterable[Mapping[str, Any]], datasets: list[str]) -> tuple[Row, ...]:
    """Rows, each of which names a variant of its model."""
    rows = tuple(_row(raw, datasets) for raw in raws)
    for row in rows:
        if "encoder" in row.overrides:
            lookup("external encoder", study.external, str(row.overrides["encoder"]))
        for dataset in datasets:
            variant_of(study, dataset, row.model, row.overrides)
    return rows


def _drop(panel: Panel, without: list[str]) -> Panel:
    kept = (tuple(row for row in group if row.key not in without) for group in panel.groups)
    return Panel(panel.header, tuple(group for group in kept if group))


def _named(text: str, datasets: Iterable[str]) -> str:
    """A caption or label with `{dataset}` as what the study's table is made of."""
    return text.replace("{dataset}", " and ".join(DATASETS[name].title for name in datasets))


def _row(raw: Mapping[str, Any], datasets: Iterable[str]) -> Row:
    settings = settings_of(raw.get("set", {}), f"row of model {raw['model']}")
    model = lookup("model", MODELS, raw["model"])
    encoder = {"encoder": raw["encoder"]} if "encoder" in raw else {}
    said = [f"{short_key(full_key(k))}={text_of(v)}" for k, v in raw.get("set", {}).items()]
    words = [*encoder.values(), *said] or [model.name]
    return Row(
        key=raw.get("key", ",".join(words).replace("/", "-")),
        label=_named(raw.get("label", raw.get("encoder", model.title)), datasets),
        model=model.name,
        overrides={short_key(key): value for key, value in settings.items()} | encoder,
        probe=raw.get("probe"),
        reference=raw.get("reference", False),
    )
