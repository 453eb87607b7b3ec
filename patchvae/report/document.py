"""One PDF of all tables of a study, so that every table is known to compile."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from patchvae.errors import ConfigError, SuiteError
from patchvae.runtime.results import write_bytes
from patchvae.study import paths
from patchvae.study.tables import table_names

PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{amsmath,booktabs,xcolor}
\input{glyphtounicode}\pdfgentounicode=1
\pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1
% tables stay in order, as many on a page as fit whole
\makeatletter
\renewenvironment{table}[1][]{\begin{minipage}{\textwidth}\def\@captype{table}}{\end{minipage}}
\makeatother
\setlength{\parindent}{0pt} \raggedbottom
\begin{document}
"""

PDFLATEX = ("pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error")
# a table's .tex may have been edited: it reads and writes nothing outside the compiler's folder
PARANOID = {"openin_any": "p", "openout_any": "p", "shell_escape": "f"}


def write_document(study: str) -> Path:
    """`tables/[<study>/]tables.pdf` from the tables' .tex files, the same bytes for the same
    tables.
    """
    if shutil.which("pdflatex") is None:
        raise ConfigError("pdflatex is not installed: install texlive-latex-recommended")
    texts = [_numbered(study, name) for name in table_names(study)]
    target = paths.output("tables", study, "tables.pdf")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tables.tex"
        source.write_text(PREAMBLE + "\n\\vspace{.5em}\n\n".join(texts) + "\\end{document}\n")
        command = [*PDFLATEX, source.name]
        env = os.environ | PARANOID
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            problem = [line for line in done.stdout.splitlines() if line.startswith(("!", "l."))]
            raise SuiteError(
                f"pdflatex cannot compile the tables of '{study}': {' '.join(problem)}"
            )
        write_bytes(target, source.with_suffix(".pdf").read_bytes())
    return target


def _numbered(study: str, name: str) -> str:
    """A table under the number that its name ends in, as in the paper."""
    number = re.search(r"\d+$", name)
    counter = rf"\setcounter{{table}}{{{int(number[0]) - 1}}}" if number else ""
    return f"{counter}\n{paths.table(study, name, 'tex').read_text()}"
