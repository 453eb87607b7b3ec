"""Figures: those that need the same inputs are drawn by one process, since starting it costs most."""

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
