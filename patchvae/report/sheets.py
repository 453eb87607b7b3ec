"""Tables that figures write beside themselves, as csv, LaTeX, Markdown and HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchvae.report.table_pages import table_page
from patchvae.study import paths
from patchvae.study.registry import DATASETS

Rows = Sequence[Sequence[str]]


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
        texts = {
            "csv": self._csv(),
            "tex": "\n".join(self._latex(dataset, study) for dataset in self.groups),
            "md": "\n".join(self._markdown(dataset, study) for dataset in self.groups),
            "html": self._html(study),
        }
        return {paths.table(study, self.name, suffix): text for suffix, text in texts.items()}

    def _caption(self, study: str, *datasets: str) -> str:
        titles = " and ".join(DATASETS[dataset].title for dataset in datasets)
        return self.caption.format(dataset=titles, study=study)

    def _csv(self) -> str:
        import pandas as pd

        return str(pd.DataFrame(list(self.records)).to_csv(index=False, lineterminator="\n"))

    def _markdown(self, dataset: str, study: str) -> str:
        lines = [f"**{self._caption(study, dataset)}.** {self.note}", ""]
        lines.append(f"| {' | '.join(self.headings)} |")
        lines.append("|---|" + "---:|" * (len(self.headings) - 1))
        lines += [f"| {' | '.join(row)} |" for rows in self.groups[dataset] for row in rows]
        return "\n".join(lines) + "\n"

    def _latex(self, dataset: str, study: str) -> str:
        rows = [
            line
            for rows in self.groups[dataset]
            for line in (r"\midrule", *(" & ".join(row) + r" \\" for row in rows))
        ]
        return "\n".join(
            [
                "% Made by `patchvae figure`; needs booktabs.",
                r"\begin{table}[htbp]",
                r"\centering\scriptsize",
                rf"\caption{{{self._caption(study, dataset)}. {self.note}}}",
                rf"\label{{tab:{study}-{self.name}-{dataset}}}",
                rf"\begin{{tabular}}{{l*{{{len(self.headings) - 1}}}{{r}}}}",
                r"\toprule",
                " & ".join(self.headings) + r" \\",
                *rows,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )

    def _html(self, study: str) -> str:
        panels = [
            ((DATASETS[dataset].title, *self.headings[1:]), groups)
            for dataset, groups in self.groups.items()
        ]
        return table_page(self.title, self._caption(study, *self.groups), self.note, panels)
