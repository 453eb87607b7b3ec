"""Tables that figures write beside themselves, as csv, LaTeX, Markdown and HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.report.grid import Rows, csv_text, markdown, page
from patchvae.report.templating import tex
from patchvae.study import paths
from patchvae.study.registry import DATASETS


@dataclass(frozen=True)
class Sheet:
    """A figure's numbers: groups of rows for each dataset, below the same headings.

    `caption` has the fields `{dataset}` and `{study}`; texts are LaTeX. `records` are the csv's
    rows.
    """

    name: str
    title: str
    caption: str
    note: str
    headings: Sequence[str]
    groups: Mapping[str, Sequence[Rows]]
    records: Sequence[Mapping[str, Any]]

    def files(self, study: str) -> dict[Path, str]:
        """tables/[<study>/]<name>.{csv,tex,md,html} with their texts."""
        panels = [
            ((DATASETS[dataset].title, *self.headings[1:]), groups)
            for dataset, groups in self.groups.items()
        ]
        texts = {
            "csv": csv_text(self.records),
            "tex": "\n".join(self._latex(dataset, study) for dataset in self.groups),
            "md": "\n".join(self._markdown(dataset, study) for dataset in self.groups),
            "html": page(self.title, self._lead(study, *self.groups), panels),
        }
        return {paths.table(study, self.name, suffix): text for suffix, text in texts.items()}

    def _caption(self, study: str, *datasets: str) -> str:
        titles = " and ".join(DATASETS[dataset].title for dataset in datasets)
        return self.caption.format(dataset=titles, study=study)

    def _lead(self, study: str, *datasets: str) -> str:
        return f"**{self._caption(study, *datasets)}.** {self.note}"

    def _markdown(self, dataset: str, study: str) -> str:
        return markdown(self._lead(study, dataset), [(self.headings, self.groups[dataset])])

    def _latex(self, dataset: str, study: str) -> str:
        return tex(
            "table.tex.j2",
            {
                "command": "figure",
                "size": "scriptsize",
                "caption": f"{self._caption(study, dataset)}. {self.note}",
                "label": f"{study}-{self.name}-{dataset}",
                "columns": f"{{l*{{{len(self.headings) - 1}}}{{r}}}}",
                "headings": self.headings,
                "groups": self.groups[dataset],
            },
        )
