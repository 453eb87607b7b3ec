"""The readings for people: docs/readings.md."""

from collections import Counter
from functools import cache

from patchvae.paper.readings import readings_of
from patchvae.report.protocol import values_of
from patchvae.study import paths
from patchvae.study.protocol import protocol, show
from patchvae.study.readings import Reading, readings
from patchvae.study.tables import study_cells

INTRODUCTION = """# Readings

What the paper's text leaves open, prints two ways or contradicts, and how it is read here. This
page is made by `patchvae readings --markdown > docs/readings.md` from
[`patchvae/paper/readings.yaml`](../patchvae/paper/readings.yaml).

*Settled by* names who decides: *paper* (another place in it), *release* (the authors' public
code), or *ours*. Tables and the comparison mark the numbers that depend on a reading that is
ours. The keys are those of [protocol.md](protocol.md): a study that sets one reads the paper
differently. *Alternatives* are other readings as the keys that a study sets for them; where there
are none, the page says why. A test trains each of them and holds that it changes a number.
"""


def numbers_behind(reading: Reading) -> Counter[str]:
    """How many of the 128 published accuracies depend on a reading, by table."""
    return Counter(table for table, found in _published() if reading.id in found)


@cache
def _published() -> list[tuple[str, list[str]]]:
    """Table and readings of each published accuracy, as cells of the paper's study."""
    cells = study_cells(paths.MAIN_STUDY)
    return [(cell.table.name, readings_of(cell.probes()[0])) for cell in cells]


def _keys(reading: Reading) -> str:
    return ", ".join(f"`{key}` = {values_of(protocol()[key])}" for key in reading.keys) or "none"


def _alternatives(reading: Reading) -> str:
    settings = (
        f"*{name}* ({', '.join(f'`{key}: {show(value)}`' for key, value in keys.items())})"
        for name, keys in reading.alternatives.items()
    )
    return "; ".join(settings) or f"none. {reading.why}"


def _cells(reading: Reading) -> str:
    numbers = numbers_behind(reading)
    tables = ", ".join(f"Table {t.removeprefix('table')}: {n}" for t, n in numbers.items())
    return f"{numbers.total()} of {len(_published())}" + (f" ({tables})" if tables else "")


def render_markdown() -> str:
    """docs/readings.md."""
    lines = [INTRODUCTION]
    for reading in readings().values():
        lines += [
            f"## {reading.id}: {reading.where}",
            "",
            reading.what,
            "",
            f"- Reading: {reading.reading}",
            f"- Settled by: {reading.origin}",
            f"- Keys: {_keys(reading)}",
            f"- Alternatives: {_alternatives(reading)}",
            f"- Published accuracies that depend on it: {_cells(reading)}",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"
