"""LaTeX of labels and captions as HTML."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

SYMBOLS = {r"\beta": "β", r"\%": "%", r"\mathrm": "", r"\times": "×", r"\phi": "φ", r"\,": " "}


def html(text: str) -> "Markup":
    """LaTeX of labels and captions as HTML: `$z_{a}^{b}$` becomes z with sub- and superscript.

    Letters are set in italics, bare numbers are not.
    """
    import markupsafe

    escaped = str(markupsafe.escape(text))
    for symbol, character in SYMBOLS.items():
        escaped = escaped.replace(symbol, character)
    return markupsafe.Markup(re.sub(r"\$(.*?)\$", lambda m: _math(m[1]), escaped))


def _math(formula: str) -> str:
    for mark, tag in (("_", "sub"), (r"\^", "sup")):
        pattern = mark + r"(?:\{+([^{}]*)\}+|(\w))"
        formula = re.sub(pattern, rf"<{tag}>\1\2</{tag}>", formula)
    return f"<i>{formula}</i>" if re.search(r"[^\W\d_]", formula) else formula
