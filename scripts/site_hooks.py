"""What the site needs beyond docs/: pages of the root, commands, notebooks, files linked to.

MkDocs calls both functions (`hooks` in mkdocs.yml). Pages are written for a code host, where links
lead anywhere in the repository; here each file outside of docs/ is copied below `source/`.
"""

import os
import re
from pathlib import Path

import click
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

from patchvae.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "published/README.md": "published.md",
    "config/README.md": "configuration.md",
    "workflow/documentation.md": "workflow.md",
}
LINK = re.compile(r"\]\(([^)#:\s]+)((?:#[^)\s]*)?)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of docs/, and those that are made here."""
    for name, target in PAGES.items():
        files.append(File.generated(config, target, content=(ROOT / name).read_text()))
    files.append(File.generated(config, "cli.md", content=_commands()))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(notebook)
        _add_notebook(files, config, notebook)
    for page in files.documentation_pages():
        for target, _ in LINK.findall(page.content_string):
            path = _linked(page, target)
            uri = _address(path)
            if (ROOT / path).is_file() and files.get_file_from_path(uri) is None:
                content = (ROOT / path).read_bytes()
                files.append(File.generated(config, uri, content=content))
    return files


def _commands() -> str:
    """What `--help` says, command by command."""
    root = click.Context(cli, info_name="patchvae", terminal_width=88, **cli.context_settings)
    parts = ["# Command line", _code(root.get_help())]
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, parent=root, info_name=name)
        parts += [f"## {name}", _code(context.get_help())]
    return "\n\n".join(parts)


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


def _add_notebook(files: Files, config: MkDocsConfig, notebook: File) -> None:
    """An executed notebook as a page, and its pictures."""
    stem = notebook.src_uri.removesuffix(".ipynb")
    node = nbformat.reads(notebook.content_string, as_version=4)
    resources = {"unique_key": Path(stem).name, "output_files_dir": f"{Path(stem).name}-files"}
    text, made = MarkdownExporter().from_notebook_node(node, resources)
    files.append(File.generated(config, f"{stem}.md", content=text))
    for name, content in made["outputs"].items():
        uri = f"{os.path.dirname(stem)}/{name}"
        files.append(File.generated(config, uri, content=content))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A page whose links lead to where the site has what they name."""

    def moved(match: re.Match[str]) -> str:
        path = _linked(page.file, match[1])
        if not (ROOT / path).is_file():
            return match[0]  # MkDocs warns where nothing is there
        here = os.path.dirname(page.file.src_uri) or "."
        return f"]({os.path.relpath(_address(path), here)}{match[2]})"

    return LINK.sub(moved, markdown)


def _linked(page: File, target: str) -> str:
    """What a link of a page names, relative to the repository."""
    origin = {uri: name for name, uri in PAGES.items()}.get(page.src_uri, f"docs/{page.src_uri}")
    return os.path.normpath(os.path.join(os.path.dirname(origin), target))


def _address(path: str) -> str:
    """Where the site has a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    path = re.sub(r"\.ipynb$", ".md", path)
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}"
