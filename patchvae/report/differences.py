"""docs/differences.md.

The release against the paper and our own choices, with the protocol's values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from patchvae.report.protocol import values_of
from patchvae.study.protocol import protocol, show
from patchvae.study.yaml_files import read_yaml

INTRODUCTION = """# Differences

Two lists: where the authors' public release departs from the paper and a number can feel it, and
what we do that the paper does not say. Each item has the place in the paper and the
[readings](readings.md), what is done, the protocol keys that switch it with their values as
printed and, where the release has another, as released, and the tests that hold it. `protocol:
as-released` in a study takes all the release's values at once ([protocol.md](protocol.md)). This
page is made by `patchvae differences > docs/differences.md`.

## The authors' release against the paper

What the release does is our description of its public code (PyTorch, 2020), which we read and
ran; nothing of it is used here. It reaches the paper's 15 parameter counts, as do we
(`tests/models/test_models.py::test_all_fifteen_published_parameter_counts_are_equalled`).
"""


@dataclass(frozen=True)
class Item:
    """One difference: what the release `does` (if it is about the release) and ours, keys or `why`
    none.
    """

    what: str
    where: str
    ours: str
    tests: Sequence[str]
    does: str = ""
    why: str = ""
    readings: Sequence[str] = ()
    keys: Sequence[str] = ()


def release() -> Mapping[str, list[Item]]:
    """Where the authors' release departs from the paper, by section of the page."""
    return {title: [Item(**raw) for raw in items] for title, items in _content()["release"].items()}


def ours() -> list[Item]:
    """What we do that the paper does not say."""
    return [Item(**raw) for raw in _content()["ours"]]


def _content() -> Any:
    return read_yaml(files("patchvae.paper").joinpath("differences.yaml"))


def _key(key: str) -> str:
    """A key with its value, and the release's where that is another."""
    entry = protocol()[key]
    released = "" if entry.released is None else f", as released {show(entry.released)}"
    return f"`{key}` = {values_of(entry)}{released}"


def _lines(items: Sequence[Item], first: int = 1) -> list[str]:
    """A numbered item each: what is done, what switches it, what holds it."""
    lines = []
    for number, item in enumerate(items, first):
        readings = f"; {', '.join(item.readings)}" if item.readings else ""
        done = f"The release: {item.does} Here: {item.ours}" if item.does else item.ours
        keys = f"Keys: {'; '.join(map(_key, item.keys))}." if item.keys else f"No key: {item.why}"
        tests = ", ".join(f"`{test}`" for test in item.tests)
        lines += [f"{number}. **{item.what}** ({item.where}{readings}). {done}"]
        lines += [f"   *{keys}* Held by {tests}.", ""]
    return lines


def render_markdown() -> str:
    """docs/differences.md."""
    lines, number = [INTRODUCTION], 1
    for title, items in release().items():
        lines += [f"### {title}", "", *_lines(items, number)]
        number += len(items)
    lines += ["## Our own deviations and choices", "", *_lines(ours())]
    return "\n".join(lines).rstrip() + "\n"
