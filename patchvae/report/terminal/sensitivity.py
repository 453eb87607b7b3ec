"""What other readings move."""

from rich.console import Console

from patchvae.analysis.sensitivity import Sensitivity
from patchvae.report.sensitivity import headline, sections
from patchvae.report.terminal.style import Grid, say, style_of


def show(found: Sensitivity, console: Console) -> None:
    """What moves most, and the claims; the files have every row besides."""
    say(console, [headline(found)])
    for section in sections(found)[: 2 if found.bears_claims else 1]:
        table = Grid(*section.headings, title=section.title)
        for row in section.rows:
            table.add_row(*row, style=style_of(row[-1]))
        console.print(table)
