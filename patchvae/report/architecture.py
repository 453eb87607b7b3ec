"""Tables 6-10 as LaTeX, Markdown, HTML and csv, from the modules."""

from collections.abc import Sequence

from patchvae.report.grid import csv_text, markdown, page
from patchvae.report.templating import tex
from patchvae.study.table_specs import ARCHITECTURE_TABLES

LAYERS = "off the instantiated modules. Layers are (kernel, channels, stride, padding)."


def architecture_texts(name: str) -> dict[str, str]:
    """A table by suffix: each network's layers and its parameters beside the paper's."""
    from patchvae.analysis.parameters import heading, networks
    from patchvae.paper.published import parameters

    columns = [network for network in networks() if network.key.table == name]
    ours = [network.parameters for network in columns]
    paper = [parameters()[network.key] for network in columns]
    caption, headings = ARCHITECTURE_TABLES[name], ["Layer", *map(heading, columns)]
    parts = [(part, [network.parts[part] for network in columns]) for part in columns[0].parts]
    counts = [
        [label, *(f"{n:,}" for n in numbers)]
        for label, numbers in (("# Parameters", ours), ("# Parameters (paper)", paper))
    ]
    groups = [[[part, *map("<br>".join, layers)] for part, layers in parts], counts]
    context = {
        "command": "table",
        "size": "footnotesize",
        "caption": f"{caption}, read {LAYERS}",
        "label": name,
        "columns": f"[t]{{l*{{{len(columns)}}}{{l}}}}",
        "headings": headings,
        "groups": [
            *([[part, *map(_lines, layers)]] for part, layers in parts),
            [[rf"\{label}", *numbers] for label, *numbers in counts],
        ],
    }
    records = [
        {"key": str(network.key), "paper": theirs, "ours": n, "equal": n == theirs}
        for network, n, theirs in zip(columns, ours, paper, strict=True)
    ]
    panels = [(headings, groups)]
    return {
        "tex": tex("table.tex.j2", context),
        "md": markdown(f"**{caption}**, read {LAYERS}", panels, len(headings)),
        "html": page(
            f"Table {name.removeprefix('table')}", f"**{caption}.** Read {LAYERS}", panels
        ),
        "csv": csv_text(records),
    }


def _lines(texts: Sequence[str]) -> str:
    """Several texts, one below the other, in a cell."""
    return r"\begin{tabular}[t]{@{}l@{}}" + r" \\ ".join(texts) + r"\end{tabular}"
