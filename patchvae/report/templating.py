"""The one way in which texts are made from the templates beside this file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from patchvae.report.markup import latex

if TYPE_CHECKING:
    import jinja2


def environment(**choices: Any) -> "jinja2.Environment":
    """Templates in which an unknown name is an error and a block leaves no line.

    `choices` are jinja2's.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("patchvae.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        **choices,
    )


def tex(template: str, context: Mapping[str, Any]) -> str:
    """LaTeX from a template whose marks are `<% %>` and `<< >>`, with the filter `latex`."""
    templates = environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    templates.filters["latex"] = latex
    return templates.get_template(template).render(context)
