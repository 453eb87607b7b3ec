rule cell:
    input:
        clear(
            lambda w: [
                str(probe.folder / paths.METRICS) for probe in find_cell(**w).probes()
            ]
        ),
    output:
        paths.CELL,
    log:
        "logs/{study}/cells/{table}/{row}/{column}.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        config=clear(lambda w: [probe.digest for probe in find_cell(**w).probes()]),
        source=sources.source_digest("patchvae.analysis.cells"),
        paper=sources.paper_source("accuracy.csv", "readings.yaml"),
    shell:
        "python -m patchvae cell {output:q} > {log:q} 2>&1"


rule table:
    input:
        lambda w: cells_of(study_of(w), w.table),
    output:
        table_outputs("table"),
    log:
        "logs{below}/{table}.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        source=sources.report_source("tables"),
        target=lambda w: f"{study_of(w)}/{w.table}",
    shell:
        "python -m patchvae table {params.target:q} > {log:q} 2>&1"


# of no study's numbers, and by one process, which takes longer to start than to write them
rule architecture_tables:
    output:
        [
            file
            for name in ARCHITECTURE_TABLES
            for file in table_outputs("architecture", name)
        ],
    log:
        "logs{below}/architectures.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        source=sources.report_source("tables"),
        targets=lambda w: [f"{study_of(w)}/{name}" for name in ARCHITECTURE_TABLES],
    shell:
        "python -m patchvae table {params.targets:q} > {log:q} 2>&1"


rule document:
    input:
        clear(lambda w: tables_of(study_of(w))),
    output:
        "tables{below}/tables.pdf",
    log:
        "logs{below}/document.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        source=sources.report_source("document"),
        study=study_of,
    shell:
        "python -m patchvae document {params.study:q} > {log:q} 2>&1"


rule comparison:
    input:
        lambda w: cells_of(w.study),
    output:
        multiext("results/{study}/comparison", ".csv", ".md"),
        multiext("results/{study}/accuracies", ".csv", ".parquet"),
        report(
            "results/{study}/comparison.html",
            caption="../report/comparison.rst",
            category="Report",
            subcategory="{study}",
            labels={"page": "the paper's numbers and claims against ours"},
        ),
    log:
        "logs/{study}/comparison.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        source=sources.report_source("compare_views"),
        paper=sources.paper_source(),
    shell:
        "python -m patchvae compare {wildcards.study} > {log:q} 2>&1"
