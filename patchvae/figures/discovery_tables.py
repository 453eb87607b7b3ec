"""What part discovery measured, as csv, LaTeX, Markdown and HTML."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from patchvae import paths
from patchvae.data.parts import VOCABULARY
from patchvae.figures.precision import Discovery
from patchvae.registry import DATASETS
from patchvae.report.table_pages import table_page

HEADINGS = ("method", "epochs", *VOCABULARY, "mean", "chance")
CAPTION = "Part discovery on {dataset}, study {study} (beyond the paper)"
NOTE = (
    "Average precision in percent of the latent part matched to each true part over the cells of the"
    " test images, and the mean that the same maps reach with the places of other images (chance);"
    " means over seeds. 0 epochs: untrained."
)


def tabulate(data: Discovery, study: str) -> dict[Path, str]:
    """tables/[<study>/]discovery.{csv,tex,md,html}."""
    texts = {
        "csv": _csv(data),
        "tex": "\n".join(_latex(data, dataset, study) for dataset in data.datasets),
        "md": "\n".join(_markdown(data, dataset, study) for dataset in data.datasets),
        "html": _html(data, study),
    }
    return {paths.table(study, "discovery", suffix): text for suffix, text in texts.items()}


def _csv(data: Discovery) -> str:
    import pandas as pd

    records = [
        {"dataset": s.dataset, "method": s.method, "epoch": "" if s.epoch is None else s.epoch,
         "seed": s.seed, "kind": kind, "part": part + 1,
         "ap": round(ap, 6), "mean": round(s.mean, 6), "chance": round(s.chance, 6)}
        for s in data.scores
        for kind, part, ap in zip(VOCABULARY, s.part, s.ap, strict=True)
    ]  # fmt: skip
    return str(pd.DataFrame(records).to_csv(index=False, lineterminator="\n"))


def _rows(data: Discovery, dataset: str) -> Iterator[list[list[str]]]:
    """A method's rows, one an epoch: AP of each kind, mean and chance in percent, over seeds."""
    for method, epochs in data.of(dataset).items():
        rows = []
        for epoch, scores in epochs.items():
            table = np.array([[*score.ap, score.mean, score.chance] for score in scores])
            numbers = [f"{100 * value:.1f}" for value in table.mean(0)]
            rows.append([method, "" if epoch is None else str(epoch), *numbers])
        yield rows


def _markdown(data: Discovery, dataset: str, study: str) -> str:
    caption = CAPTION.format(dataset=DATASETS[dataset].title, study=study)
    lines = [f"**{caption}.** {NOTE}", "", f"| {' | '.join(HEADINGS)} |"]
    lines.append("|---|" + "---:|" * (len(HEADINGS) - 1))
    lines += [f"| {' | '.join(row)} |" for rows in _rows(data, dataset) for row in rows]
    return "\n".join(lines) + "\n"


def _latex(data: Discovery, dataset: str, study: str) -> str:
    caption = CAPTION.format(dataset=DATASETS[dataset].title, study=study)
    rows = [
        line
        for rows in _rows(data, dataset)
        for line in (r"\midrule", *(" & ".join(row) + r" \\" for row in rows))
    ]
    return "\n".join(
        [
            "% Made by `patchvae figure`; needs booktabs.",
            r"\begin{table}[htbp]",
            r"\centering\scriptsize",
            rf"\caption{{{caption}. {NOTE}}}",
            rf"\label{{tab:{study}-discovery-{dataset}}}",
            rf"\begin{{tabular}}{{l*{{{len(HEADINGS) - 1}}}{{r}}}}",
            r"\toprule",
            " & ".join(HEADINGS) + r" \\",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _html(data: Discovery, study: str) -> str:
    titles = {dataset: DATASETS[dataset].title for dataset in data.datasets}
    panels = [
        ((title, *HEADINGS[1:]), list(_rows(data, dataset))) for dataset, title in titles.items()
    ]
    caption = CAPTION.format(dataset=" and ".join(titles.values()), study=study)
    return table_page("Part discovery", caption, NOTE, panels)
