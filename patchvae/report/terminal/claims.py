"""The paper's claims on our numbers."""

from rich.console import Console

from patchvae.analysis.claims import Judged
from patchvae.report.claim_views import (
    ONE_SEED,
    PART,
    contrast_record,
    contrast_records,
    part_record,
)
from patchvae.report.terminal.style import Grid, style_of


def show(claims: tuple[Judged, ...], console: Console) -> None:
    """The parts, each with the contrast that decides; the files name and list all."""
    if not claims:
        console.print(ONE_SEED)
        return
    headings = [PART[name] for name in PART if name != "where"]
    table = Grid(*headings, "deciding contrast", title="The paper's claims on our numbers")
    for judged in claims:
        record = part_record(judged)
        del record["where"]
        found = contrast_record(judged.decisive) if judged.decisive else None
        decisive = f"{found['difference']} ({found['interval']})" if found else ""
        table.add_row(*record.values(), decisive, style=style_of(judged.word))
    console.print(table)
    covered = {record["covers"] for judged in claims for record in contrast_records(judged)}
    if covered:
        console.print(f"Intervals cover {'; '.join(sorted(covered))}.")
