"""Tables as HTML files of their own, for Snakemake's report and any browser."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchvae.report.markup import html
from patchvae.report.templating import environment

if TYPE_CHECKING:
    from markupsafe import Markup

TABLE_PAGE = Path(__file__).with_name("templates") / "table.html.j2"
# headings, and groups of rows of cells with a rule after each
Panel = tuple[Sequence[str], Sequence[Sequence[Sequence[str]]]]


def accuracy_page(context: dict[str, Any]) -> str:
    """Tables 1-5, from what their other templates get."""
    from markupsafe import Markup

    table = context["table"]
    headings = [
        f"{title} {c.heading}".strip() for title in context["datasets"] for c in table.columns
    ]

    def cells(row: Any) -> list[str]:
        readings = " ".join(context["marks"][row.key])
        mark = Markup(" <sup>{}</sup>").format(readings) if readings else ""
        label = html(row.label) + mark
        return [label, *map(_entry, context["entries"](row))]

    panels = [
        ((panel.header, *headings), [[cells(row) for row in group] for group in panel.groups])
        for panel in table.panels
    ]
    title = f"Table {table.name.removeprefix('table')}, study {table.study.name}"
    return table_page(title, table.caption, context["note"], panels)


def _entry(entry: Any) -> str:
    from markupsafe import Markup

    shape = {"best": "<b>{}</b>", "close": "<u>{}</u>"}.get(entry.standing, "{}")
    mean = Markup(shape).format(entry.mean)
    number = mean + f" ± {entry.half_width}" if entry.mean else ""
    note = f"({entry.note})" if entry.mean and entry.note else entry.note
    paper = f"(paper {entry.paper})" if entry.paper else ""
    return Markup(" ").join(text for text in (number, note, paper) if text)


def architecture_page(context: dict[str, Any]) -> str:
    """Tables 6-10, likewise."""
    layers = [[part, *map(_lines, columns)] for part, columns in context["parts"]]
    counts = [
        [label, *(f"{count:,}" for count in context[key])]
        for label, key in (("# Parameters", "ours"), ("# Parameters (paper)", "paper"))
    ]
    return table_page(
        f"Table {context['name'].removeprefix('table')}",
        context["caption"],
        "Read off the instantiated modules. Layers are (kernel, channels, stride, padding).",
        [(("Layer", *context["headings"]), [layers, counts])],
    )


def _lines(texts: Sequence[str]) -> "Markup":
    """Several texts, one below the other, in a cell."""
    import markupsafe

    return markupsafe.Markup("<br>").join(html(text) for text in texts)


def table_page(title: str, caption: str, note: str, panels: Sequence[Panel]) -> str:
    """A table as a page without outside resources, for Snakemake's report and any browser.

    Texts are LaTeX (`html`) unless they are Markup already.
    """
    templates = environment(autoescape=True)
    templates.filters["label"] = lambda text: text if hasattr(text, "__html__") else html(text)
    return templates.get_template(TABLE_PAGE.name).render(
        title=title, caption=caption, note=note, panels=panels
    )
