"""Every value behind a job, and who chose it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from patchvae.runtime.stage import Config
from patchvae.study.config import Study
from patchvae.study.protocol import show
from patchvae.study.registry import ARCHITECTURES, DATASETS
from patchvae.study.runs import PretrainConfig, ProbeConfig


@dataclass(frozen=True)
class Choice:
    """A resolved value and who chose it: paper, release, ours, or the user by the file named."""

    key: str
    value: str
    source: str
    where: str = ""
    reading: str = ""


def choices(config: Config, named_by: str) -> list[Choice]:
    """Every value behind a job in the protocol's order.

    `named_by` chose what the study does not.
    """
    encoder = config.encoder if isinstance(config, ProbeConfig) else config
    study = encoder.run.of_study
    found = _data_choices(encoder, study)
    found.append(Choice("seeds", " ".join(map(str, study.seeds)), _user(study)))
    found += [_choice(study, encoder, key, v, named_by) for key, v in _values(config, encoder)]
    return found


def _values(config: Config, encoder: PretrainConfig) -> Iterator[tuple[str, Any]]:
    """The protocol's keys that a job depends on, with their resolved values."""
    architecture = ARCHITECTURES[encoder.architecture]
    elsewhere = {key.partition(".")[2]: key for key in architecture.keys if "." in key}
    yield "external.inputs" if architecture.named else architecture.inputs, encoder.data.inputs
    sections: list[tuple[str, Mapping[str, Any]]] = [
        ("model", encoder.model),
        ("reconstruction", encoder.reconstruction),
        ("init", encoder.init),
        ("adversarial", encoder.adversarial or {}),
        ("pretrain", vars(encoder.pretrain) if encoder.pretrain else {}),
        ("probe", vars(config.probe) if isinstance(config, ProbeConfig) else {}),
    ]
    for section, values in sections:
        for name, value in values.items():
            yield elsewhere.get(name, f"{section}.{name}"), value


def _choice(study: Study, encoder: PretrainConfig, key: str, value: Any, named_by: str) -> Choice:
    if key not in study.defaults:  # an external encoder's file, its SHA-256, prefix and inputs
        return Choice(f"external.{key.split('.')[1]}", str(value), _user(study))
    entry, chosen = study.defaults[key], study.value(key, encoder.run.dataset)
    text = show(value)
    expected = chosen.value
    if expected == "1/N":
        expected, text = 1 / int(encoder.model["num_parts"]), f"1/N = {text}"
    if value != expected:
        return Choice(key, show(value), f"user ({named_by})", "", entry.reading or "")
    if chosen.source.startswith("study "):
        return Choice(key, text, _user(study), "", entry.reading or "")
    return Choice(key, text, chosen.source, entry.where, entry.reading or "")


def _data_choices(encoder: PretrainConfig, study: Study) -> list[Choice]:
    facts = DATASETS[encoder.data.dataset]
    found = [Choice("dataset", f"{facts.title}, {facts.size} x {facts.size}", _user(study))]
    for split, published in (("train", facts.train), ("test", facts.test)):
        limit = study.limit(facts.name, split)
        source = "all of the published set" if limit is None else _user(study)
        found.append(Choice(f"{split} images", f"{limit or published:,}", source))
    if encoder.data.unlabelled:
        found.append(Choice("unlabelled images", f"{facts.unlabelled:,}", "paper", "", "A16"))
    title = ARCHITECTURES[encoder.architecture].name
    loss = f", loss {encoder.recon}" if encoder.recon else ""
    adversarial = ", adversarial" if encoder.adversarial else ""
    return [*found, Choice("model", f"{encoder.run.model} ({title}{loss}{adversarial})", "the row")]


def _user(study: Study) -> str:
    return f"user ({study.file})"
