"""What the figure rules share."""

from patchvae.figures.catalogue import FIGURES, FORMATS, STYLE, Target, figure_names
from patchvae.figures.inputs import default_run, input_files
from patchvae.report.table_pages import TABLE_PAGE
from patchvae.study.digests import file_digest

# tables that figures write -> their label in Snakemake's report
TABLES_OF_FIGURES = {"discovery": "Part discovery", "posterior": "Latent codes"}


def figure_tables(name):
    """The files of a table that a figure writes."""
    return [
        f"tables/{{study}}/{name}.{suffix}" for suffix in (*paths.TABLE_FORMATS, "html")
    ]


# figures drawn together -> what else they write
FIGURE_GROUPS = {
    ("figure1", "figure3"): [],
    ("figure2", "traversal"): ["figures/{study}/figure2.csv"],
    ("reconstructions", "samples", "filters"): [],
    ("training",): [],
    ("ablations",): [],
    ("heatmap",): [],
    ("scatter",): [],
    ("posterior",): figure_tables("posterior"),
    ("discovery",): figure_tables("discovery"),
}
IN_STUDY = {"category": "Figures", "subcategory": "{study}"}
IN_PAPER = {"category": "Figures", "subcategory": paths.MAIN_STUDY}


@clear
def figures_of(study):
    """The .pdf of every figure of a study."""
    return [
        str(Target(study, FIGURES[name]).path("pdf")) for name in figure_names(study)
    ]


def figure_outputs(names, others, study, **shelf):
    """Both formats of some figures, the PNG in Snakemake's report, and what else they write."""
    found = []
    for name in names:
        base = f"figures/{study}/{name}" if study else f"figures/{name}"
        png = report(
            f"{base}.png",
            caption=f"../report/{name}.rst",
            labels={"figure": FIGURES[name].title},
            **shelf,
        )
        found += [f"{base}.pdf", png]
    for other in others:
        path = other.replace("{study}/", f"{study}/" if study else "")
        found.append(shown_table(path, **shelf) if path.endswith("html") else path)
    return found


def shown_table(path, **shelf):
    """A table that a figure writes, in Snakemake's report beside the others."""
    name = Path(path).stem
    return report(
        path,
        caption=f"../report/{name}-table.rst",
        labels={"table": TABLES_OF_FIGURES[name]},
        **{**shelf, "category": "Tables"},
    )


def figure_inputs(names):
    @clear
    def inputs(wildcards):
        targets = [Target(study_of(wildcards), FIGURES[name]) for name in names]
        return sorted({str(path) for target in targets for path in input_files(target)})

    return inputs


def figure_sources(names):
    """Code, style and templates behind some figures."""
    modules = [sources.source_digest(FIGURES[name].module) for name in names]
    pages = [TABLE_PAGE] if TABLES_OF_FIGURES.keys() & set(names) else []
    return [file_digest(path) for path in (STYLE, *pages)] + modules


@clear
def default_model(wildcards):
    return resolve_run(default_run(study_of(wildcards))).digest


def run_figure_inputs(wildcards):
    run = Run(
        study_of(wildcards),
        wildcards.dataset,
        wildcards.model,
        wildcards.variant,
        int(wildcards.seed),
    )
    return str(run.pretrain / paths.METRICS)
