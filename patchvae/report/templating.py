"""The one way in which texts are made from the templates beside this file."""

from typing import TYPE_CHECKING, Any

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
