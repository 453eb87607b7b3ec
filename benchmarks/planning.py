"""Claim: planning the paper's study takes 2.9 CPU seconds and 0.4 a seed; 5,000 cells take 5.

    python benchmarks/planning.py --cells 5000

CPU seconds (user and system) of whole processes: `snakemake --dry-run --forceall` of the paper's
study with 1, 5, 10 and 20 seeds, and `patchvae status`, `compare` and `forecast` of a study with so
many finished cells, made as the tests make them. Figures, hardware and n: docs/cost.md.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

import yaml
from common import head, row, spread
from startup import REPO, cpu_seconds

sys.path.insert(0, str(REPO / "tests"))
from made_results import write_chain

SEEDS = (1, 5, 10, 20)
COMMANDS = {
    "status": ("status", "many"),
    "compare": ("compare", "many"),
    "forecast": ("forecast", "many", "--cores", "2"),
}


def with_seeds(folder: Path, seeds: int) -> Path:
    """A working folder in which the paper's study has so many seeds."""
    for name in ("config", "workflow", "profiles"):
        shutil.copytree(REPO / name, folder / name)
    shutil.copy(REPO / "Snakefile", folder)
    study = folder / "config" / "paper.yaml"
    changed = re.sub(r"^seeds: .*", f"seeds: {[*range(seeds)]}", study.read_text(), flags=re.M)
    study.write_text(changed)
    return folder


def with_cells(folder: Path, cells: int) -> Path:
    """A working folder with a study of one table, two cells a row, one seed, all of it finished."""
    from patchvae.study.tables import study_cells

    (folder / "config" / "tables").mkdir(parents=True)
    rows = [{"model": "patchvae", "set": {"beta_app": 1 + k}} for k in range(cells // 2)]
    columns = [{"key": name, "label": name, "probe": name} for name in ("conv1", "conv5")]
    panels = [{"header": "Model", "groups": [rows]}]
    table = {"table": "wide", "caption": "Many", "columns": columns, "panels": panels}
    study = {"study": "many", "title": "many cells", "seeds": [0]}
    study |= {"datasets": {"parts32": {}}, "tables": {"wide": {"datasets": ["parts32"]}}}
    (folder / "config" / "tables" / "wide.yaml").write_text(yaml.safe_dump(table))
    (folder / "config" / "many.yaml").write_text(yaml.safe_dump(study))
    with chdir(folder):
        for cell in study_cells("many"):
            write_chain(cell)
    return folder


def measure(what: str, command: list[str], folder: Path, rounds: int) -> None:
    """One line: CPU seconds of a command, run some times."""
    row(what, spread([cpu_seconds(command, folder) for _ in range(rounds)], ".1f"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--cells", type=int, default=500)
    chosen = parser.parse_args()
    head(__doc__, chosen.rounds)
    os.environ["PYTHONPATH"] = str(REPO)
    python = [sys.executable, "-m"]
    with tempfile.TemporaryDirectory() as name:
        row("CPU seconds")
        for seeds in chosen.seeds:
            folder = with_seeds(Path(name, str(seeds)), seeds)
            plan = [*python, "snakemake", "--dry-run", "--forceall", "--quiet", "rules"]
            measure(f"plan, {seeds} seeds", [*plan, "--", "all"], folder, chosen.rounds)
        folder = with_cells(Path(name, "cells"), chosen.cells)
        for what, words in COMMANDS.items():
            command = [*python, "patchvae", *words]
            measure(f"{what}, {chosen.cells} cells", command, folder, chosen.rounds)


if __name__ == "__main__":
    main()
