"""Figures: those that need the same inputs are drawn by one process, since starting it costs most."""

for names in FIGURE_GROUPS:

    rule:
        name:
            f"figures_{names[0]}"
        input:
            clear(lambda w, names=names: figure_inputs(study_of(w), names)),
        output:
            figure_outputs(names),
        log:
            f"logs{{below}}/figures/{names[0]}.log",
        conda:
            "../envs/patchvae.yml"
        resources:
            mem_mb=8000,
            runtime=60,
        params:
            model=clear(lambda w: resolve_run(default_run(study_of(w))).digest),
            source=figure_sources(names),
            targets=lambda w, names=names: [f"{study_of(w)}/{name}" for name in names],
        shell:
            "python -m patchvae figure {params.targets:q} --threads {threads} > {log:q} 2>&1"


RUN_FIGURE = "runs/{dataset}/{model}/{variant}/seed{seed}/{figure}"


rule run_figure:
    input:
        lambda w: f"{paths.RUN.format(study=study_of(w), **w)}/pretrain/{paths.METRICS}",
    output:
        multiext(f"figures{{below}}/{RUN_FIGURE}", ".pdf", ".png"),
    log:
        f"logs{{below}}/figures/{RUN_FIGURE}.log",
    wildcard_constraints:
        figure="|".join(name for name in FIGURES if FIGURES[name].of_run),
    conda:
        "../envs/patchvae.yml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        source=lambda w: figure_sources([w.figure]),
        target=subpath(output[0], strip_suffix=".pdf"),
    shell:
        "python -m patchvae figure {params.target:q} --threads {threads} > {log:q} 2>&1"


rule dataset_figure:
    input:
        str(paths.prepared("{dataset}")),
    output:
        multiext("figures{below}/datasets/{dataset}/figure3", ".pdf", ".png"),
    log:
        "logs{below}/figures/datasets/{dataset}/figure3.log",
    conda:
        "../envs/patchvae.yml"
    params:
        source=figure_sources(["figure3"]),
        target=subpath(output[0], strip_suffix=".pdf"),
    shell:
        "python -m patchvae figure {params.target:q} --threads {threads} > {log:q} 2>&1"
