"""Digests of the code behind a stage: an edit reruns exactly the jobs whose numbers it can change.

A stage is a module; its digest covers that module and all that it imports inside the package,
without comments, docstrings and layout. What only names, checks and carries (the folders in
`PLUMBING`) acts on numbers through the resolved configuration alone and is left out.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from patchvae.study.config import find_dataset
from patchvae.study.paths import PACKAGE
from patchvae.study.registry import ADVERSARIAL, ARCHITECTURES, MODELS, PROBES, lookup

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)  # what has a docstring
PLUMBING = ("study", "runtime")  # folders; the modules beside the folders are left out too


def _path(module: str) -> Path | None:
    base = PACKAGE.parent / Path(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A module and the statements in it, however deep: what may import or begin with a docstring.

    Expressions, most of a tree, are left aside.
    """
    yield node
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        for inner in getattr(node, name, ()):
            yield from _statements(inner)


@cache
def _parse(module: str) -> tuple[str, frozenset[str]]:
    """Normalised source of a module and the package's modules that it imports."""
    path = _path(module)
    assert path is not None, module
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    inside = frozenset(m for m in imported if m.startswith("patchvae.") and _path(m))
    return ast.unparse(tree), inside


def _carries(module: str) -> bool:
    words = module.split(".")
    return words[1] in PLUMBING or (PACKAGE / f"{words[1]}.py").is_file()


def modules_behind(*roots: str) -> list[str]:
    """The modules that a stage's numbers depend on, sorted."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        module = todo.pop()
        if module in found or _carries(module):
            continue
        found.add(module)
        todo.extend(_parse(module)[1])
    return sorted(found)


@cache
def source_digest(*roots: str) -> str:
    """SHA-256 (hex) over the normalised sources behind the given modules."""
    sha = hashlib.sha256()
    for module in modules_behind(*roots):
        sha.update(f"{module}\n{_parse(module)[0]}\n".encode())
    return sha.hexdigest()


def prepare_source(dataset: str) -> str:
    """Code that decides a dataset's bytes, after what a declared folder holds."""
    facts = find_dataset(dataset)
    return facts.listing + source_digest(facts.import_path)


def pretrain_source(model: str) -> str:
    """Code that decides a run's weights."""
    facts = lookup("model", MODELS, model)
    targets = (
        ARCHITECTURES[facts.architecture].target,
        *((ADVERSARIAL,) if facts.adversarial else ()),
    )
    return source_digest(
        "patchvae.training.pretrain", *(target.split(":")[0] for target in targets)
    )


def probe_source(probe: str) -> str:
    """Code that decides a probe's accuracy, given the encoder.

    The same for all that are trained.
    """
    return source_digest(lookup("probe", PROBES, probe).module)


def paper_source(*names: str) -> str:
    """The paper as data: the named files of patchvae/paper, or all of its csv and yaml files."""
    sha = hashlib.sha256()
    for path in sorted((PACKAGE / "paper").iterdir()):
        if path.name in names or (not names and path.suffix in (".csv", ".yaml")):
            sha.update(path.read_bytes())
    return sha.hexdigest()


def report_source(module: str) -> str:
    """Code and templates that decide what is made of results."""
    sha = hashlib.sha256(source_digest(f"patchvae.report.{module}").encode())
    for template in sorted((PACKAGE / "report" / "templates").iterdir()):
        sha.update(template.read_bytes())
    return sha.hexdigest()
