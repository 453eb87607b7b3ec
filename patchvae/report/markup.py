"""LaTeX and Markdown of labels, captions and numbers as HTML, and plain text as LaTeX."""

import re
from typing import TYPE_CHECKING

from patchvae.study.tables import BEYOND

if TYPE_CHECKING:
    from markupsafe import Markup

SYMBOLS = {r"\beta": "β", r"\%": "%", r"\mathrm": "", r"\times": "×", r"\phi": "φ", r"\,": " "}
DAGGER = r"$^\dagger$"
SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"\n": " "}
)


def html(text: str) -> "Markup":
    """LaTeX of labels and captions as HTML: `$z_{a}^{b}$` becomes z with sub- and superscript.

    Letters are set in italics, bare numbers are not. Of Markdown it takes `**bold**` and the tags
    that our tables use.
    """
    import markupsafe

    escaped = str(markupsafe.escape(text))
    for symbol, character in SYMBOLS.items():
        escaped = escaped.replace(symbol, character)
    escaped = re.sub(r"&lt;(/?(?:u|sup|br))&gt;", r"<\1>", escaped)
    escaped = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escaped)
    return markupsafe.Markup(re.sub(r"\$(.*?)\$", lambda m: _math(m[1]), escaped))


def _math(formula: str) -> str:
    for mark, tag in (("_", "sub"), (r"\^", "sup")):
        pattern = mark + r"(?:\{+([^{}]*)\}+|(\w))"
        formula = re.sub(pattern, rf"<{tag}>\1\2</{tag}>", formula)
    return f"<i>{formula}</i>" if re.search(r"[^\W\d_]", formula) else formula


def latex(text: str) -> str:
    """Text with LaTeX's special characters escaped, so that none of it is a command."""
    return text.translate(SPECIAL).replace("±", r"$\pm$").replace(BEYOND, DAGGER)
