"""Figures: those that need the same inputs are drawn by one process, since starting it costs most."""

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


for names, others in FIGURE_GROUPS.items():

    rule:
        name:
            f"figures_{names[0]}"
        input:
            figure_inputs(names),
        output:
            figure_outputs(names, others, "{study}", **IN_STUDY),
        log:
            f"logs/{{study}}/figures/{names[0]}.log",
        conda:
            "../../environment.yml"
        resources:
            mem_mb=8000,
            runtime=60,
        params:
            model=default_model,
            source=figure_sources(names),
            targets=lambda w, names=names: [f"{study_of(w)}/{name}" for name in names],
        shell:
            "python -m patchvae figure {params.targets:q} --threads {threads} > {log:q} 2>&1"

    rule:
        name:
            f"paper_figures_{names[0]}"
        input:
            figure_inputs(names),
        output:
            figure_outputs(names, others, "", **IN_PAPER),
        log:
            f"logs/{paths.MAIN_STUDY}/figures/{names[0]}.log",
        conda:
            "../../environment.yml"
        resources:
            mem_mb=8000,
            runtime=60,
        params:
            model=default_model,
            source=figure_sources(names),
            targets=[f"{paths.MAIN_STUDY}/{name}" for name in names],
        shell:
            "python -m patchvae figure {params.targets:q} --threads {threads} > {log:q} 2>&1"


def run_figure_inputs(wildcards):
    run = Run(
        study_of(wildcards),
        wildcards.dataset,
        wildcards.model,
        wildcards.variant,
        int(wildcards.seed),
    )
    return str(run.pretrain / paths.METRICS)


RUN_FIGURE = "runs/{dataset}/{model}/{variant}/seed{seed}/{figure}"


rule run_figure:
    input:
        run_figure_inputs,
    output:
        multiext(f"figures/{{study}}/{RUN_FIGURE}", ".pdf", ".png"),
    log:
        f"logs/{{study}}/figures/{RUN_FIGURE}.log",
    wildcard_constraints:
        figure="|".join(name for name in FIGURES if FIGURES[name].of_run),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        source=lambda w: figure_sources([w.figure]),
        target=subpath(output[0], strip_suffix=".pdf"),
    shell:
        "python -m patchvae figure {params.target:q} --threads {threads} > {log:q} 2>&1"


use rule run_figure as paper_run_figure with:
    output:
        multiext(f"figures/{RUN_FIGURE}", ".pdf", ".png"),
    log:
        f"logs/{paths.MAIN_STUDY}/figures/{RUN_FIGURE}.log",


rule dataset_figure:
    input:
        str(paths.prepared("{dataset}")),
    output:
        multiext("figures/{study}/datasets/{dataset}/figure3", ".pdf", ".png"),
    log:
        "logs/{study}/figures/datasets/{dataset}/figure3.log",
    conda:
        "../../environment.yml"
    params:
        source=figure_sources(["figure3"]),
        target=subpath(output[0], strip_suffix=".pdf"),
    shell:
        "python -m patchvae figure {params.target:q} --threads {threads} > {log:q} 2>&1"


use rule dataset_figure as paper_dataset_figure with:
    output:
        multiext("figures/datasets/{dataset}/figure3", ".pdf", ".png"),
    log:
        f"logs/{paths.MAIN_STUDY}/figures/datasets/{{dataset}}/figure3.log",
