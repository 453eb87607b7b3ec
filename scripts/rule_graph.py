"""Draws the rule graph anew in workflow/documentation.md: `make rule-graph`.

The graph is Snakemake's of the study `demo` and its document, without the target itself.
"""

import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "workflow" / "documentation.md"
TARGETS = ("demo", "tables/demo/tables.pdf")
BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


def graph() -> str:
    """Mermaid's text: a line for each rule that waits for another, sorted."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js", *TARGETS]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", done.stdout, re.MULTILINE))
    edges = re.findall(r"^\s*(id\d+) --> (id\d+)$", done.stdout, re.MULTILINE)
    lines = {f"  {names[a]} --> {names[b]}\n" for a, b in edges if names[b] not in TARGETS}
    return "".join(["flowchart LR\n", *sorted(lines)])


def page() -> str:
    """The page with the graph of now."""
    return BLOCK.sub(graph(), PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
