"""The package in numbers: modules, lines, imports of each other, lengths of functions.

python scripts/structure.py [FOLDER OF A CHECKOUT]
"""

import ast
import sys
from pathlib import Path
from statistics import median, quantiles

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((root / "patchvae").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.Module, known: dict[str, Path]) -> set[str]:
    """The package's modules that a module names in any import, at the top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names} & known.keys()
            found |= deeper or {node.module}
    return found & known.keys()


def functions(tree: ast.Module) -> list[int]:
    """Lines of each function's body, without signature and docstring."""
    lengths = []
    for node in ast.walk(tree):
        if isinstance(node, Function):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1)
    return lengths


def main() -> None:
    """Print one line a number."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    known = modules(root)
    trees = {name: ast.parse(path.read_text()) for name, path in known.items()}
    imports = {name: len(imported(tree, known)) for name, tree in trees.items()}
    lengths = [length for tree in trees.values() for length in functions(tree)]
    lines = sum(len(path.read_text().splitlines()) for path in known.values())
    top = [path.name for path in known.values() if path.parent == root / "patchvae"]
    most = max(imports, key=imports.__getitem__)
    print(f"modules {len(known)}, of them at the top {len(top)}: {', '.join(top)}")
    print(f"lines {lines}")
    print(f"imports a module: median {median(imports.values()):g}, most {imports[most]} ({most})")
    print(
        f"functions {len(lengths)}, lines of one: median {median(lengths):g},"
        f" 90th percentile {quantiles(lengths, n=10)[-1]:g}, most {max(lengths)}"
    )


if __name__ == "__main__":
    main()
