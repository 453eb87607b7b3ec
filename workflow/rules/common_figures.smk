"""What the figure rules share."""

from patchvae.figures.catalogue import FIGURES
from patchvae.figures.inputs import default_run
from patchvae.figures.products import figure_inputs, figure_sources
from patchvae.study.runs import resolve_run

# tables that figures write -> their label in Snakemake's report
TABLES_OF_FIGURES = {"discovery": "Part discovery", "posterior": "Latent codes"}
# figures drawn together
FIGURE_GROUPS = (
    ("figure1", "figure3"),
    ("figure2", "traversal"),
    ("reconstructions", "samples", "filters"),
    ("training",),
    ("ablations",),
    ("steps",),
    ("heatmap",),
    ("scatter",),
    ("posterior",),
    ("discovery",),
    ("sensitivity",),
)


def figure_outputs(names):
    """Both formats of some figures, the PNG in Snakemake's report, and what else they write."""
    found = []
    for name in names:
        png = report(
            f"figures{{below}}/{name}.png",
            caption=f"../report/{name}.rst",
            category="Figures",
            subcategory=study_of,
            labels={"figure": FIGURES[name].title},
        )
        found += [f"figures{{below}}/{name}.pdf", png]
        if name == "figure2":
            found.append("figures{below}/figure2.csv")
        if name in TABLES_OF_FIGURES:
            found += written_table(name)
    return found


def written_table(name):
    """The files of a table that a figure writes, in Snakemake's report beside the others."""
    shown = report(
        f"tables{{below}}/{name}.html",
        caption=f"../report/{name}-table.rst",
        category="Tables",
        subcategory=study_of,
        labels={"table": TABLES_OF_FIGURES[name]},
    )
    return [f"tables{{below}}/{name}.{suffix}" for suffix in paths.TABLE_FORMATS] + [
        shown
    ]
