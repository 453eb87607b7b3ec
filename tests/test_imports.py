"""Imports go one way, and what must start fast imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import REPO

PACKAGE = REPO / "patchvae"
# each layer may import itself and those before it
LAYERS = (
    {"__init__", "errors"},
    {"registry", "paths", "results", "config", "runtime", "seeds", "progress", "runs", "specs"},
    {
        "sources",
        "lock",
        "failures",
        "checkpoint",
        "foreign",
        "heap",
        "optim",
        "parallel",
        "numerics",
        "loop",
        "paper",
    },
    {"data", "nn", "losses", "sampling", "schedules"},
    {"models"},
    {"pretrain", "probe", "standardise", "neighbours", "release"},
    {"analysis"},
    {"report"},
    {"figures"},
    {"study_pages"},
    {"publish"},
    {"cli", "__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "seaborn", "scipy", "PIL", "skimage")


def name_of(path: Path) -> str:
    parts = path.relative_to(REPO).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imports_of(path: Path) -> set[str]:
    """The package's modules that a module names in any import, at the top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = str(node.module)
            deeper = {f"{module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= deeper or {module}
    return {name for name in found if name.split(".")[0] == "patchvae"}


def top(module: str) -> str:
    return [*module.split("."), "__init__"][1]


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    assert top(module) in RANK, f"give {module} its place in LAYERS"
    for imported in imports_of(MODULES[module]):
        assert imported in MODULES, f"{module} imports {imported}, which is no module"
        assert RANK.get(top(imported), 0) <= RANK[top(module)], (
            f"{module} must not import {imported}"
        )


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imports_of(path) - {"patchvae"} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for imported in graph.get(name, ()):
                visit(imported, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_what_plans_the_work_imports_nothing_heavy() -> None:
    code = (
        "import sys, patchvae.cli, patchvae.specs, patchvae.runs, patchvae.sources\n"
        "import patchvae.report.cells, patchvae.report.protocol\n"
        "from patchvae.specs import load_table\n"
        "[p for c in load_table('paper', 'table1').cells() for p in c.probes()]\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_torchvision_is_imported_by_data_preparation_only() -> None:
    """It costs each job three seconds."""
    for name, path in MODULES.items():
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            str(node.module).split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        }
        if "torchvision" in names:
            assert name.startswith("patchvae.data."), name
