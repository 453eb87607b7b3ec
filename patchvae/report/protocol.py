"""docs/protocol.md.

Each key with its value, who chose it and where the paper speaks of it.
"""

from patchvae.study.protocol import Entry, protocol, show
from patchvae.study.registry import DATASETS

INTRODUCTION = """# Protocol

Every choice that a number depends on is one key of
[`config/protocol.yaml`](../config/protocol.yaml); this page is made from it by `patchvae protocol
--markdown > docs/protocol.md`. A study (`config/<study>.yaml`) overrides keys under `protocol`,
for all of its datasets or for one.

The source is *paper* (stated in the text), *release* (the authors' public code, where the text is
silent) or *ours*. Readings are explained in [readings.md](readings.md).

The values are the protocol `as-printed`, which a study follows unless it says otherwise. *As
released* is what the authors' code does where it departs: `protocol: as-released` in a study
takes all of these, and `protocol: {named: as-released, ...}` takes them with changes of its own.
Either name is followed for every dataset of the study.
"""

HEADINGS = "| key | value | as released | source | where | what |"


def values_of(entry: Entry) -> str:
    """The value, and those of datasets that have their own."""
    by = f", {entry.for_source}" if entry.for_source else ""
    others = [f"{show(v)} ({DATASETS[name].title}{by})" for name, v in entry.by_dataset.items()]
    return "; ".join([f"**{show(entry.value)}**", *others])


def _released(entry: Entry) -> str:
    return "" if entry.released is None else show(entry.released)


def render_markdown() -> str:
    """docs/protocol.md."""
    lines = [INTRODUCTION]
    section = ""
    for key, entry in protocol().items():
        if not key.startswith(f"{section}."):
            section = key.split(".")[0]
            lines += [f"## {section}", "", HEADINGS, "|---|---|---|---|---|---|"]
        reading = f" ({entry.reading})" if entry.reading else ""
        lines.append(
            f"| `{key}` | {values_of(entry)} | {_released(entry)} | {entry.source}{reading}"
            f" | {entry.where} | {entry.about} |"
        )
        following = [k for k in protocol() if k.startswith(f"{section}.")]
        if key == following[-1]:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"
