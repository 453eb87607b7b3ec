"""What a run's path says of the protocol: a text for the values set, and the values of a text.

`N16-d6-prior0.0625-bvis0.6-bapp1` has each hyper-parameter that has a prefix. Any other key follows
where a row or a user sets it to something else than the study: `...-bapp1+pretrain.lr=0.001`. Those
of section `probe` follow the probe's name, `conv5+probe.epochs=5`, so that its run is shared. A key
of section `model` stands without the section. `+protocol=as-released` says that a run follows
another protocol than its study, in the keys that neither of them sets. Nothing else is ever
written, so that two configurations of one study have two names, and one has one.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from functools import cache
from typing import Any

from patchvae.errors import ConfigError
from patchvae.study.config import Study
from patchvae.study.protocol import FOLLOWS, PROTOCOLS, Scalar, protocol, show, validate
from patchvae.study.registry import (
    ADVERSARIAL_INIT,
    ADVERSARIAL_KEYS,
    ARCHITECTURES,
    MODELS,
    PROBES,
    RECONSTRUCTIONS,
    Architecture,
    lookup,
    nearest,
)
from patchvae.study.settings import NeighbourSettings, PretrainSettings, ProbeSettings

NO_VARIANT = "plain"  # the variant of an architecture without hyper-parameters
LONGEST = 120  # characters of settings in a name; files may have 255, and locks hold all words
Settings = dict[str, Scalar]  # values by full key, `section.key`


def number(value: float) -> str:
    """Shortest exact decimal without exponent: 0.0625, 1, 0.00003."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def full_key(key: str) -> str:
    """`model.num_parts` of `num_parts`: a key without a section is of the model's."""
    return key if "." in key or key == FOLLOWS else f"model.{key}"


def short_key(key: str) -> str:
    """The inverse of `full_key`."""
    return key.removeprefix("model.")


def text_of(value: Scalar) -> str:
    """A value in a path."""
    return show(value) if isinstance(value, bool | str) else number(value)


def value_of(text: str) -> Scalar:
    """The inverse of `text_of`."""
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        return float(text) if "." in text else int(text)
    return {"true": True, "false": False}.get(text, text)


def settings_of(raw: Mapping[str, Any], source: str) -> Settings:
    """What a row or a name sets, by full key, in the order of keys.

    ConfigError, with the keys nearest to an unknown one, unless the protocol allows all of it.
    """
    found = {}
    for key in sorted(raw, key=full_key):
        name = full_key(key)
        if name == FOLLOWS:
            found[name] = raw[key]
            lookup(f"{source}: protocol", PROTOCOLS, str(raw[key]))
            continue
        if name not in protocol():
            known = nearest(key, map(short_key, protocol())) or "docs/protocol.md lists them"
            raise ConfigError(f"{source}: '{key}' is no key of the protocol: {known}")
        if name in found:
            raise ConfigError(f"{source}: '{short_key(name)}' is set twice: keep one of them")
        section, last = name.split(".")
        validate({section: {last: raw[key]}}, "values", source)
        found[name] = raw[key]
    return found


@cache
def run_keys(model: str) -> tuple[str, ...]:
    """The protocol's keys that a model's runs depend on."""
    facts = lookup("model", MODELS, model)
    architecture = ARCHITECTURES[facts.architecture]
    shaping = (*architecture.variant, *architecture.keys)
    inputs = () if architecture.named else (architecture.inputs,)
    init = (*architecture.init, *(ADVERSARIAL_INIT if facts.adversarial else ()))
    sections = {
        "reconstruction": RECONSTRUCTIONS[facts.recon] if facts.recon else (),
        "init": init,
        "adversarial": ADVERSARIAL_KEYS if facts.adversarial else (),
        "pretrain": [f.name for f in fields(PretrainSettings)] if architecture.trained else (),
    }
    named = [f"{section}.{key}" for section, keys in sections.items() for key in keys]
    return tuple(dict.fromkeys([*map(full_key, shaping), *inputs, *named]))


@cache
def probe_keys(probe: str) -> tuple[str, ...]:
    """The protocol's keys that a probe depends on besides its run's."""
    trained = lookup("probe", PROBES, probe).trained
    return tuple(f"probe.{f.name}" for f in fields(ProbeSettings if trained else NeighbourSettings))


def format_variant(architecture: Architecture, values: Mapping[str, Scalar]) -> str:
    """Readable and complete, e.g. `N16-d6-prior0.0625-bvis0.6-bapp1`."""
    parts = [
        f"{prefix}{number(values[key])}"  # type: ignore[arg-type]
        for key, prefix in _prefixes(architecture).items()
    ]
    return "-".join(parts) or NO_VARIANT


def _prefixes(architecture: Architecture) -> dict[str, str]:
    """What stands before each hyper-parameter in a variant, in its order."""
    found = {}
    for key in architecture.variant:
        entry = lookup("protocol key", protocol(), full_key(key))
        if entry.prefix is None:
            raise ConfigError(
                f"model.{key} is part of the path of a {architecture.name}: give it a 'prefix' in"
                " config/protocol.yaml, or list it under the architecture's 'keys'"
            )
        found[key] = entry.prefix
    return found


def parse_variant(architecture: Architecture, text: str) -> dict[str, Scalar]:
    """The inverse of `format_variant`; ConfigError for another spelling or a value out of range."""
    prefixes = _prefixes(architecture)
    pattern = "-".join(rf"{prefix}([0-9]+(?:\.[0-9]+)?)" for prefix in prefixes.values())
    match = re.fullmatch(pattern or NO_VARIANT, text)
    if match is not None:
        values = dict(zip(prefixes, map(value_of, match.groups()), strict=True))
        if format_variant(architecture, values) == text:
            validate({"model": values}, "values", f"variant {text}")
            return values
    form = "-".join(f"{prefix}<{key}>" for key, prefix in prefixes.items()) or NO_VARIANT
    raise ConfigError(f"'{text}' is no variant of {architecture.name}: expected {form}")


def variant_of(study: Study, dataset: str, model: str, overrides: Mapping[str, Scalar]) -> str:
    """The variant of a model in a study, with a table row's `set` on top.

    Keys of section `probe` say nothing about a run: `probe_of` takes them.
    """
    architecture = ARCHITECTURES[lookup("model", MODELS, model).architecture]
    own = {full_key(key): value for key, value in overrides.items() if key != "encoder"}
    if architecture.named != ("encoder" in overrides):
        raise ConfigError(_encoder_missing(study, model))
    known = run_keys(model)
    for key in own:
        if key not in (*known, FOLLOWS) and not key.startswith("probe."):
            near = nearest(short_key(key), map(short_key, known))
            has = near or f"it has {', '.join(architecture.variant or map(short_key, known))}"
            raise ConfigError(f"'{short_key(key)}' is no hyper-parameter of {model}: {has}")
    in_name = {full_key(key) for key in architecture.variant}
    further = tuple(key for key in known if key not in in_name)
    extra = {key: own[key] for key in own if key in (*further, FOLLOWS)}
    tail = write_settings(study, dataset, extra, further)
    if architecture.named:
        return f"{overrides['encoder']}{tail}"
    changed = study.changed(own)
    values = {key: changed.value(f"model.{key}", dataset).value for key in architecture.variant}
    if values.get("prior_vis") == "1/N":
        values["prior_vis"] = 1 / int(values["num_parts"])
    return format_variant(architecture, values) + tail


def _encoder_missing(study: Study, model: str) -> str:
    if ARCHITECTURES[MODELS[model].architecture].named:
        return (
            f"a row of model {model} needs 'encoder', a name under 'external' of study"
            f" '{study.name}'"
        )
    return f"'encoder' is no hyper-parameter of {model}"


def probe_of(study: Study, dataset: str, probe: str, overrides: Mapping[str, Scalar]) -> str:
    """The name of a probe in a study with a row's `set` on top; keys of other probes say nothing.

    `conv5`, or `conv5+probe.epochs=5`.
    """
    known = probe_keys(probe)
    own = {key: value for key, value in overrides.items() if key in (*known, FOLLOWS)}
    return probe + write_settings(study, dataset, own, known)


def write_settings(
    study: Study, dataset: str, settings: Mapping[str, Scalar], known: tuple[str, ...]
) -> str:
    """`+pretrain.epochs=5+pretrain.lr=0.001`: what differs from the study, in the order of keys.

    Of another protocol only the name is written, if a `known` key has another value there.
    """
    followed = study.changed({key: settings[key] for key in settings if key == FOLLOWS})

    def differs(key: str) -> bool:
        if key == FOLLOWS:
            return any(
                followed.value(k, dataset).value != study.value(k, dataset).value for k in known
            )
        return text_of(settings[key]) != text_of(followed.value(key, dataset).value)

    text = "".join(
        f"+{short_key(key)}={text_of(settings[key])}" for key in sorted(settings) if differs(key)
    )
    if len(text) > LONGEST:
        raise ConfigError(
            f"'{text[1:]}' is too long for the name of a file: make these the 'protocol' of a study"
        )
    return text


def read_settings(study: Study, dataset: str, name: str, known: tuple[str, ...]) -> Settings:
    """The inverse of `write_settings`, for the part of a run's or probe's `name` from `+` on.

    ConfigError for a key that is not `known` and for another spelling of the same settings.
    """
    head, *words = name.split("+")
    raw = {key: value_of(text) for key, _, text in (word.partition("=") for word in words)}
    found = settings_of(raw, f"'{name}'")
    for key in found:
        if key not in (*known, FOLLOWS):
            raise ConfigError(f"'{name}': {short_key(key)} cannot follow '{head}'")
    if (canonical := head + write_settings(study, dataset, found, known)) != name:
        raise ConfigError(f"'{name}' is called '{canonical}' in study '{study.name}'")
    return found


def name_without(name: str) -> str:
    """What stands before the settings in the name of a variant or of a probe."""
    return name.partition("+")[0]
