"""A table again under other readings of the paper, one at a time: which rows that makes.

The block `sensitivity` of a study chooses (docs/sensitivity.md). A row under an alternative is the
row with the alternative's keys set, so that it is a row like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from patchvae.errors import ConfigError
from patchvae.study.config import Study
from patchvae.study.protocol import FOLLOWS, PROTOCOLS, Scalar
from patchvae.study.readings import readings
from patchvae.study.registry import lookup
from patchvae.study.rows import Row
from patchvae.study.variants import run_keys, short_key

SENSITIVITY = "sensitivity"  # the name of the table
REFERENCE, COLUMNS = "table1", ("conv5",)  # what is computed again unless the study says


@dataclass(frozen=True, eq=False)
class Alternative:
    """Other readings: their ids, and the keys that they set; `name` is `A3=mean` in addresses.

    A whole protocol instead of the study's is no reading.
    """

    name: str
    readings: tuple[str, ...]
    settings: Mapping[str, Scalar]

    def of(self, row: Row) -> Row:
        """A row under these readings; what the row sets itself stays."""
        known = (*run_keys(row.model), FOLLOWS)
        own = {
            short_key(key): value
            for key, value in self.settings.items()
            if key in known or key.startswith("probe.")
        }
        label = f"{row.label}, {self.name.replace(',', ', ')}"
        return replace(
            row, key=f"{row.key},{self.name}", label=label, overrides=own | dict(row.overrides)
        )


def block_of(study: Study) -> Mapping[str, Any]:
    """The study's block `sensitivity`; ConfigError when it has none."""
    if study.sensitivity is None:
        raise ConfigError(
            f"{study.file}: no block 'sensitivity' says what to compute again: add one"
            " (docs/sensitivity.md), 'sensitivity: {}' for every reading"
        )
    return study.sensitivity


def changed_rows(
    study: Study, rows: Sequence[Row], datasets: Iterable[str], probes: Iterable[str]
) -> dict[Alternative, dict[str, Row]]:
    """By alternative, and by the key of the row as it is, the rows that it changes.

    A row is changed if its runs have another name on one of the datasets. ConfigError for what the
    study asks for by name and changes no row, and where nothing does.
    """
    places = [(dataset, probe) for dataset in datasets for probe in probes]

    def changed(row: Row, other: Row) -> bool:
        return any(row.stages(study, *p) != other.stages(study, *p) for p in places)

    found: dict[str, tuple[Alternative, dict[str, Row]]] = {}
    for asked, members in _asked(study):
        kept = {}
        for alternative in members:
            others = {row.key: alternative.of(row) for row in rows}
            if own := {row.key: others[row.key] for row in rows if changed(row, others[row.key])}:
                kept[alternative.name] = (alternative, own)
        if asked and not kept:
            raise ConfigError(
                f"sensitivity: '{asked}' changes nothing of {', '.join(r.key for r in rows)}:"
                " leave it out, or name a row that it concerns under 'rows'"
            )
        found |= kept
    if not found:
        keys = ", ".join(row.key for row in rows)
        raise ConfigError(f"sensitivity: no alternative changes anything of {keys}")
    return dict(found.values())


def _asked(study: Study) -> Iterator[tuple[str, list[Alternative]]]:
    """What the study asks for by name, or what it gets unless it says, with its alternatives."""
    block = block_of(study)
    for text in block.get("readings", ()):
        yield text, _named(text)
    if "readings" not in block:
        bearing = [r.id for r in readings().values() if r.alternatives and r.when is not None]
        yield "", [one for name in bearing for one in _named(name)]
    for texts in block.get("together", ()):
        yield " with ".join(texts), [_together(texts)]
    for name in block.get("protocols", ()):
        lookup("protocol", PROTOCOLS, name)
        yield name, [_protocol(name)]
    if "protocols" not in block:
        yield "", [_protocol(name) for name in PROTOCOLS]


def _named(text: str) -> list[Alternative]:
    """Every alternative of the reading `A3`, or the one of `A3=mean`."""
    name, _, which = text.partition("=")
    reading = lookup("reading", readings(), name)
    if not reading.alternatives:
        raise ConfigError(f"sensitivity: {name} has no alternative: {reading.why}")
    if reading.when is None:
        raise ConfigError(f"sensitivity: no accuracy depends on {name}: leave it out")
    if which:
        lookup(f"alternative of {name}", reading.alternatives, which)
    chosen = [which] if which else list(reading.alternatives)
    return [Alternative(f"{name}={c}", (name,), reading.alternatives[c]) for c in chosen]


def _together(texts: Sequence[str]) -> Alternative:
    """Several alternatives at once; ConfigError where two set one key."""
    settings: dict[str, Scalar] = {}
    members = []
    for text in texts:
        found = _named(text)
        if len(found) > 1:
            raise ConfigError(
                f"sensitivity: together: '{text}' has {len(found)} alternatives: name one of"
                f" {', '.join(one.name for one in found)}"
            )
        members += found
        if twice := settings.keys() & found[0].settings.keys():
            raise ConfigError(f"sensitivity: together: {' and '.join(texts)} set {min(twice)}")
        settings |= found[0].settings
    names = tuple(name for member in members for name in member.readings)
    return Alternative(",".join(member.name for member in members), names, settings)


def _protocol(name: str) -> Alternative:
    return Alternative(name, (), {FOLLOWS: name})
