"""What the figure rules share."""

from patchvae.figures.catalogue import FIGURES, FORMATS, STYLE, Target, figure_names
from patchvae.figures.inputs import default_run, input_files
from patchvae.results import sha256_file

# figures drawn together -> what else they write
FIGURE_GROUPS = {
    ("figure1", "figure3"): [],
    ("figure2", "traversal"): ["figures/{study}/figure2.csv"],
    ("reconstructions", "samples", "filters"): [],
    ("training",): [],
    ("ablations",): [],
    ("heatmap",): [],
    ("scatter",): [],
    ("discovery",): [
        f"tables/{{study}}/discovery.{suffix}" for suffix in paths.TABLE_FORMATS
    ],
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
    return found + [
        other.replace("{study}/", f"{study}/" if study else "") for other in others
    ]


def figure_inputs(names):
    @clear
    def inputs(wildcards):
        targets = [Target(study_of(wildcards), FIGURES[name]) for name in names]
        return sorted({str(path) for target in targets for path in input_files(target)})

    return inputs


def figure_sources(names):
    """Code and style behind some figures."""
    modules = [sources.source_digest(FIGURES[name].module) for name in names]
    return [sha256_file(STYLE), *modules]


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
